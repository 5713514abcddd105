"""`cachesteer leaderboard`, as a user runs it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..results.scored import STEPWISE, write_scored

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")
HALF, MOST = "1" * 20 + "0" * 20, "1" * 32 + "0" * 8
TASK = "cachesteer_offline_word_problems"


def leaderboard(*arguments):
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    command = [CACHESTEER, "leaderboard", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def runs(tmp_path):
    measures = {"stepwise,response": 0.9, "repetition,response": 0.123, "tokens,response": 123.4}
    more = {"measures": measures, "total_evaluation_time_seconds": "1234.5"}
    write_scored(tmp_path / "runs/baseline", {TASK: HALF}, **more)
    write_scored(tmp_path / "runs/stepwise", {TASK: MOST}, vectors=[STEPWISE], **more)
    write_scored(tmp_path / "runs/cot", {f"{TASK}_cot": "0" * 30 + "1" * 10}, **more)
    write_scored(tmp_path / "runs/other", {"[red]logic": HALF}, model="[bold]large")
    return tmp_path / "runs"


def test_the_table_fits_120_columns_and_says_what_differs(runs):
    finished = leaderboard(runs)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert max(map(len, lines)) <= 120
    assert f"tiny: {TASK}" in lines
    assert "[bold]large: [red]logic" in lines
    shown = " ".join(finished.stdout.split())
    for part in ("unsteered (baseline)", "0.8 ±0.05 │ +0.3 better", "stepwise 0.9", "0.123", "│ 123 │ 1234 s"):
        assert part in shown, part
    assert "-0.25 n.s." in shown  # 20 documents fell, 10 rose


def test_the_same_configuration_is_told_apart_by_its_date(runs):
    write_scored(runs / "again", {TASK: MOST}, vectors=[STEPWISE], date="2026-11-02T11-12-13.000001")
    shown = " ".join(leaderboard(runs, "--task", TASK).stdout.split())
    assert "2026-11-01 10:00:00" in shown
    assert "2026-11-02 11:12:13" in shown


def test_every_format_holds_every_run(runs):
    entries = json.loads(leaderboard(runs, "--json").stdout)
    assert [entry["group"] for entry in entries] == ["[red]logic", TASK, TASK, TASK]
    rows = list(csv.DictReader(leaderboard(runs, "--format", "csv").stdout.splitlines()))
    assert [row["path"] for row in rows] == [entry["path"] for entry in entries]
    assert f"## tiny: {TASK}" in leaderboard(runs, "--format", "markdown").stdout


@pytest.mark.parametrize(
    ("name", "start"), [("l.md", "## "), ("l.csv", "model,"), ("l.json", "["), ("l.txt", "[bold]")]
)
def test_files_are_written_in_the_format_of_their_name(runs, tmp_path, name, start):
    out = tmp_path / "out" / name
    out.parent.mkdir()
    out.write_text("old")
    finished = leaderboard(runs, "--output", out)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert out.read_text().startswith(start)
    assert [path.name for path in out.parent.iterdir()] == [name]  # nothing partial is left


def test_format_wins_over_the_name_of_the_file(runs, tmp_path):
    leaderboard(runs, "--output", tmp_path / "board", "--format", "csv")
    assert (tmp_path / "board").read_text().startswith("model,")


def test_a_file_can_be_written_beside_the_json(runs, tmp_path):
    finished = leaderboard(runs, "--output", tmp_path / "new" / "board.md", "--json")
    assert len(json.loads(finished.stdout)) == 4
    assert (tmp_path / "new" / "board.md").read_text().startswith("## ")
    leaderboard(runs, "--output", tmp_path / "board", "--json")
    assert len(json.loads((tmp_path / "board").read_text())) == 4


def test_tasks_metrics_and_baselines_can_be_chosen(runs):
    (entry,) = json.loads(leaderboard(runs, "--task", "[red]logic", "--json").stdout)
    assert entry["model"] == "[bold]large"
    steered = runs / "stepwise"
    chosen = json.loads(leaderboard(runs, "--task", TASK, "--baseline", steered, "--json").stdout)
    assert [entry["configuration"] for entry in chosen if entry["is_baseline"]] == ["stepwise, c_values 5"]
    measured = json.loads(leaderboard(runs, "--task", TASK, "--metric", "stepwise", "--json").stdout)
    assert {entry["score"] for entry in measured} == {0.9}


def test_files_that_cannot_be_read_are_named_and_left_out(runs):
    (runs / "results_broken.json").write_text('{"results": ')
    (runs / "results_foreign.json").write_text('{"results": {"arith": {"acc": 0.5}}}')
    finished = leaderboard(runs, runs / "missing", "--json")
    assert finished.returncode == 0
    assert len(json.loads(finished.stdout)) == 4
    for part in ("results_broken.json cannot be read", "results_foreign.json holds no figure", "No results at"):
        assert part in finished.stderr, part
    assert finished.stderr.count("Left out: ") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing"], 3, "No run has figures of any task; found: none"),
        (["{runs}", "--task", "poetry"], 3, "figures of poetry; found: [red]logic, " + TASK),
        (["{runs}", "--metric", "f1"], 3, "No run has the metric 'f1'"),
        (["{runs}", "--baseline", "missing"], 3, "No results at 'missing'"),
        (["{runs}", "--output", "{runs}/baseline/board"], 2, "board does not end in"),
        (["{runs}", "--output", "board.xlsx"], 2, "board.xlsx does not end in"),
        (["{runs}", "--json", "--format", "csv"], 2, "contradict each other"),
    ],
)
def test_bad_input_is_one_message(runs, arguments, code, message):
    finished = leaderboard(*[argument.format(runs=runs) for argument in arguments])
    assert finished.returncode == code
    assert message in " ".join(finished.stderr.replace("│", " ").split())
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
