"""`cachesteer compare`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..results.support import right_and_wrong, write_run

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")


def compare(*arguments):
    return subprocess.run([CACHESTEER, "compare", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")


@pytest.fixture
def runs(tmp_path):
    write_run(tmp_path / "baseline", {"arith": right_and_wrong("1" * 20 + "0" * 20)})
    write_run(tmp_path / "stepwise", {"arith": right_and_wrong("1" * 32 + "0" * 8)})
    write_run(tmp_path / "chatty", {"arith": right_and_wrong("0" + "1" * 19 + "1" + "0" * 19)})
    return tmp_path


def test_the_table_says_what_differs_and_how_sure_that_is(runs):
    finished = compare(runs / "baseline", runs / "stepwise", runs / "chatty")
    assert finished.returncode == 0, finished.stderr
    shown = " ".join(finished.stdout.split())
    assert "arith │ exact_match, none │ 40 │ 0.5 │ 0.8 │ +0.3" in shown
    assert "│ 12/0 │ 0.000488 │ better" in shown
    assert "│ 1/1 │ 1 │ no significant difference" in shown
    assert "Fewer than 200 independent documents in arith" in shown
    assert "a true difference below 0.1" in shown


def test_json_holds_every_figure(runs):
    (found,) = json.loads(compare(runs / "baseline", runs / "stepwise", "--json").stdout)
    (metric,) = found["metrics"]
    assert (metric["task"], metric["verdict"], metric["found"]["test"]) == ("arith", "better", "exact McNemar")
    assert metric["found"]["difference"] == pytest.approx(0.3)
    assert found["base"].endswith(".json")


@pytest.fixture
def group(tmp_path):
    """A group weighted by size; 20 of 30 documents rose in one task, none of 10 in the other."""
    for name, figure, pattern in (("base", 0.25, "0" * 30), ("more", 0.75, "1" * 20 + "0" * 10)):
        results = {"both": {"alias": "both", "exact_match,none": figure}}
        tasks = {
            "long": right_and_wrong(pattern),
            "short": [{"document": f"s{i}", "exact_match": 1.0} for i in range(10)],
        }
        write_run(tmp_path / name, tasks, results=results, group_subtasks={"both": ["long", "short"]})
    return tmp_path


def test_means_over_groups_have_their_rows_and_remarks(group):
    shown = " ".join(compare(group / "base", group / "more").stdout.split())
    assert "both: mean of 2 tasks, weights by size │ exact_match, none │ 40 │ 0.25 │ 0.75 │ +0.5 │" in shown
    (found,) = json.loads(compare(group / "base", group / "more", "--json").stdout)
    (mean,) = found["means"]
    assert (mean["group"], mean["tasks"], mean["weights"], mean["verdict"]) == (
        "both",
        ["long", "short"],
        "by size",
        "better",
    )
    # 20 of 30 rose, in three quarters of the documents; the 10 others have no spread.
    assert mean["found"]["standard_error"] == pytest.approx(0.75 * (2 / 3 * 1 / 3 / 29) ** 0.5)


def test_patterns_name_several_runs(runs):
    found = json.loads(compare(runs / "baseline", runs / "*t*", "--json").stdout)
    assert [Path(one["other"]).parent.name for one in found] == ["chatty", "stepwise"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "No results at"),
        (["stepwise", "--metric", "f1"], "no metric f1 in both runs"),
        (["stepwise", "--task", "logic"], "do not both hold samples of logic"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_3(runs, arguments, message):
    finished = compare(runs / "baseline", *[runs / arguments[0], *arguments[1:]])
    assert finished.returncode == 3
    assert message in " ".join(finished.stderr.split())
    assert "Traceback" not in finished.stderr
