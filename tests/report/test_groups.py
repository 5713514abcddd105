import pytest

from lm_eval_cachesteer.report.groups import read_groups
from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.runs import find_runs

from .support import answered, scored, steered, unsteered, write_answers

STEPS = "Step 1: look at the floor. Step 2: look at the ceiling."


def groups_of(folder, left_out=None):
    runs = find_runs([str(folder)])
    return read_groups(runs, leaderboard(runs), left_out or pytest.fail)


def write_two(folder, base, other, style="stepwise"):
    write_answers(folder / "base", {"ways": base}, unsteered())
    write_answers(folder / "other", {"ways": other}, steered(style), date="2026-11-02T10-00-00.000001")


def test_what_tasks_do_not_report_is_measured(tmp_path):
    base = [answered("Up?", "one two three", "one two three four five", exact_match=0.0)]
    write_two(tmp_path, base, [answered("Up?", STEPS, "no", exact_match=1.0)])
    (group,) = groups_of(tmp_path)
    assert group.labels == ["exact_match", "words", "repetition", "stepwise"]
    assert group.score == 0
    assert group.styles == {"stepwise": 3}
    figures = {
        side.entry.configuration: list(rows.values()) for side, rows in zip(group.sides, group.rows, strict=True)
    }
    # The mean over both responses.
    assert figures == {"unsteered": [[0.0, 4.0, 0.0, 0.0]], "stepwise, c_values 5": [[1.0, 6.5, 0.0, 0.5]]}


def test_what_tasks_report_is_taken_from_them(tmp_path):
    filters = {
        "strict": (["[invalid]"], {"exact_match": 0.0}),
        "flexible": (["B"], {"exact_match": 1.0}),
        "response": ([["B"]], {"words": 99.0, "stepwise": 1.0}),
    }
    write_two(tmp_path, [answered("Up?", "B", filters=filters)], [answered("Up?", "B", filters=filters)])
    (group,) = groups_of(tmp_path)
    # First what the leaderboard scores by: the first metric of the results file.
    assert group.labels == ["exact_match, strict", "exact_match, flexible", "stepwise", "words", "repetition"]
    assert [group.values(side, "words") for side in range(2)] == [[99.0], [99.0]]
    assert group.values(0, "tokens") == []


def test_scoring_by_likelihood_has_no_responses_to_measure(tmp_path):
    samples = [scored("Up?", {" yes": -1.0, " no": -2.0}, acc=1.0)]
    write_two(tmp_path, samples, samples)
    (group,) = groups_of(tmp_path)
    assert group.labels == ["acc"]
    assert group.values(0, "words") == []


def test_runs_stand_beside_their_baseline(tmp_path):
    samples = [answered("Up?", "B", exact_match=1.0)]
    write_two(tmp_path, samples, samples)
    write_answers(
        tmp_path / "alone", {"ways": samples}, steered("cot", model="large"), date="2026-11-03T10-00-00.000001"
    )
    large, tiny = sorted(groups_of(tmp_path), key=lambda group: group.model)
    assert (large.model, large.base, len(large.sides)) == ("large", None, 1)
    assert tiny.base.entry.configuration == "unsteered"
    assert len(tiny.sides) == 2


def test_damaged_samples_are_told_and_left_out(tmp_path):
    samples = [answered("Up?", "B", exact_match=1.0)]
    write_two(tmp_path, samples, samples)
    (damaged,) = (tmp_path / "other").glob("samples_*.jsonl")
    damaged.write_text("{")
    told = []
    (group,) = groups_of(tmp_path, told.append)
    assert [side.entry.configuration for side in group.sides] == ["unsteered"]
    assert "is damaged" in str(told[0])
