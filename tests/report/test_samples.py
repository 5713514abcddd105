import pytest

from lm_eval_cachesteer.report.groups import read_groups
from lm_eval_cachesteer.report.samples import browser_data, outcome
from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.runs import find_runs

from .support import answered, many, scored, steered, unsteered, write_answers

START = "You are helpful.\n"


def data_of(folder, limit=100, seed=0):
    runs = find_runs([str(folder)])
    return browser_data(read_groups(runs, leaderboard(runs), pytest.fail), limit, seed)


def write_pair(folder, base, other):
    write_answers(folder / "base", {"ways": base}, unsteered())
    write_answers(folder / "other", {"ways": other}, steered("stepwise"), date="2026-11-02T10-00-00.000001")


def told(data):
    """Each sample with its texts: question, target, responses of both, outcome."""
    texts, records = data["texts"], data["records"]
    return [
        (
            texts[sample["title"]],
            texts[sample["target"]],
            [[texts[number] for number in records[sample[side]]["responses"]] for side in ("base", "other")],
            sample["outcome"],
        )
        for sample in data["samples"]
    ]


@pytest.mark.parametrize(
    ("base", "other", "higher_is_better", "expected"),
    [
        (0.0, 1.0, True, "flipped right"),
        (1.0, 0.0, True, "flipped wrong"),
        (1.0, 1.0, True, "both right"),
        (0.0, 0.0, True, "both wrong"),
        (0.4, 0.6, True, "flipped right"),
        (0.6, 0.6, True, "both right"),
        (0.0, 1.0, False, "flipped wrong"),
        (0.0, 0.0, False, "both right"),
        (None, 1.0, True, "no score"),
        (0.0, None, True, "no score"),
    ],
)
def test_outcomes(base, other, higher_is_better, expected):
    assert outcome(base, other, higher_is_better) == expected


def test_answers_are_joined_by_document_and_not_by_order(tmp_path):
    base = [answered("Up?", "A", exact_match=1.0), answered("Down?", "B", exact_match=0.0)]
    other = [answered("Down?", "C", exact_match=1.0), answered("Left?", "D", exact_match=0.0)]
    write_pair(tmp_path, base, [*other, answered("Up?", "E", exact_match=0.0)])
    assert told(data_of(tmp_path)) == [
        ("Up?", "A", [["A"], ["E"]], "flipped wrong"),
        ("Down?", "A", [["B"], ["C"]], "flipped right"),
    ]


def test_every_text_is_written_once(tmp_path):
    samples = [answered(f"{i}?", "the same answer", prompt=f"{START}{i}?", exact_match=1.0) for i in range(3)]
    write_pair(tmp_path, samples, samples)
    data = data_of(tmp_path)
    assert sorted(data["texts"]) == ["0?", "1?", "2?", "A", "the same answer"]
    assert [side["start"] for side in data["sides"]] == [START, START]
    assert len(data["records"]) == 6


def test_prompts_that_differ_are_kept_apart(tmp_path):
    base = [answered(f"{i}?", "A", prompt=f"{START}{i}?", exact_match=1.0) for i in range(2)]
    write_pair(tmp_path, base, [answered(f"{i}?", "A", prompt=f"{i}? Think!", exact_match=1.0) for i in range(2)])
    data = data_of(tmp_path)
    prompts = {data["sides"][record["side"]]["start"] + data["texts"][record["prompt"]] for record in data["records"]}
    assert prompts == {f"{START}0?", f"{START}1?", "0? Think!", "1? Think!"}


def test_a_baseline_is_written_once_for_all_runs_compared_with_it(tmp_path):
    samples = [answered("Up?", "A", exact_match=1.0)]
    write_pair(tmp_path, samples, samples)
    write_answers(tmp_path / "third", {"ways": samples}, steered("cot"), date="2026-11-03T10-00-00.000001")
    data = data_of(tmp_path)
    assert len(data["samples"]) == 2
    assert len(data["records"]) == 3
    names = [[data["sides"][pair[side]]["name"] for side in ("base", "other")] for pair in data["comparisons"]]
    assert sorted(names) == [["unsteered", "cot, c_values 5"], ["unsteered", "stepwise, c_values 5"]]


def test_choices_carry_their_likelihoods(tmp_path):
    samples = [scored("Up?", {" yes": -1.25, " no": -2.0}, target="1", acc=0.0)]
    write_pair(tmp_path, samples, samples)
    data = data_of(tmp_path)
    choices = [(data["texts"][text], *rest) for text, *rest in data["records"][0]["choices"]]
    assert choices == [(" yes", -1.25, True), (" no", -2.0, False)]
    assert told(data)[0][1:] == ("no", [[], []], "both wrong")


def test_of_many_pairs_a_seeded_choice_is_kept(tmp_path):
    write_pair(tmp_path, many(50, seed=1), many(50, seed=2))
    whole, first, again, other = (data_of(tmp_path, *settings) for settings in ((50,), (10,), (10,), (10, 1)))
    assert (len(whole["samples"]), len(first["samples"]), first["of"]) == (50, 10, 50)
    assert first == again
    assert told(first) != told(other)
    assert set(map(str, told(first))) < set(map(str, told(whole)))
    assert len(first["texts"]) < len(whole["texts"])


def test_without_a_baseline_there_are_no_pairs(tmp_path):
    write_answers(tmp_path, {"ways": many(3, seed=1)}, steered("stepwise"))
    data = data_of(tmp_path)
    assert (data["samples"], data["of"]) == ([], 0)
