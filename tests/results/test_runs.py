import json

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.results.runs import find_run, find_runs

from .support import right_and_wrong, write_run

TASKS = {"arith": right_and_wrong("10"), "arith_hard_2": right_and_wrong("01")}


def test_runs_are_found_by_folder_file_and_pattern_oldest_first(tmp_path):
    second = write_run(tmp_path / "b" / "model", TASKS, date="2026-11-02T10-00-00.000001")
    first = write_run(tmp_path / "a" / "model", TASKS)
    assert [run.path for run in find_runs([str(tmp_path)])] == [first, second]
    assert [run.path for run in find_runs([str(tmp_path / "*"), str(first)])] == [first, second]
    assert [run.path for run in find_runs([str(second)])] == [second]
    assert find_run(str(tmp_path)).path == second


def test_samples_belong_to_the_run_of_their_date(tmp_path):
    write_run(tmp_path, TASKS)
    write_run(tmp_path, {"arith": right_and_wrong("11")}, date="2026-11-02T10-00-00.000001")
    earlier, later = find_runs([str(tmp_path)])
    assert set(earlier.sample_files) == {"arith", "arith_hard_2"}
    assert set(later.sample_files) == {"arith"}
    assert earlier.sample_files["arith"] != later.sample_files["arith"]


def test_runs_named_by_a_file_are_found(tmp_path):
    """`lm_eval --output_path runs/base.json` writes runs/base_DATE.json, with the samples beside it."""
    for name, pattern, date in (
        ("base", "10", "2026-11-01T10-00-00.000001"),
        ("results_2", "11", "2026-11-02T10-00-00"),
    ):
        path = write_run(tmp_path, {"arith": right_and_wrong(pattern)}, date=date)
        path.rename(path.with_name(path.name.replace("results", name)))
    (tmp_path / "notes_of_2026-11-01.json").write_text("{}")
    base, other = find_runs([str(tmp_path)])
    assert [base.path.name, other.path.name] == [
        "base_2026-11-01T10-00-00.000001.json",
        "results_2_2026-11-02T10-00-00.json",
    ]
    assert [base.date, other.date] == ["2026-11-01T10-00-00.000001", "2026-11-02T10-00-00"]
    assert base.sample_files["arith"] == tmp_path / "samples_arith_2026-11-01T10-00-00.000001.jsonl"
    assert [run.path for run in find_runs([str(tmp_path / "base*")])] == [base.path]


def test_a_run_says_which_metrics_should_be_high(tmp_path):
    write_run(tmp_path, {"arith": right_and_wrong("1")}, higher_is_better={"exact_match": True, "looping": False})
    run = find_run(str(tmp_path))
    assert run.higher_is_better("arith", "exact_match") is True
    assert run.higher_is_better("arith", "looping") is False
    assert run.higher_is_better("arith", "unknown") is None
    assert run.config == {"model": "hf"}


@pytest.mark.parametrize("content", ["{", "[]", '{"results": 3}', "\udcff"])
def test_damaged_results_are_refused_by_name(tmp_path, content):
    (tmp_path / "results_x.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ResultsError, match="results_x.json"):
        find_runs([str(tmp_path)])


@pytest.mark.parametrize("place", ["missing", "*", "empty", "empty/notes.json"])
def test_places_without_results_are_refused(tmp_path, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.json").write_text(json.dumps({"results": {}}))
    with pytest.raises(ResultsError, match="No results at .*output_path"):
        find_runs([str(tmp_path / place)])
