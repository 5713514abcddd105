import json
import math
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.runs import find_run, find_runs
from lm_eval_cachesteer.stats import compare_paired

from .scored import STEPWISE, write_scored
from .support import right_and_wrong, write_run

HALF, MOST, SWAPPED = "1" * 20 + "0" * 20, "1" * 32 + "0" * 8, "0" + "1" * 19 + "1" + "0" * 19
GOLDEN = Path(__file__).parent / "golden"


def listed(folder, **options):
    return leaderboard(find_runs([str(folder)]), **options)


def day(number):
    return f"2026-11-{number:02}T10-00-00.000001"


def test_runs_stand_beside_their_baseline_best_first(tmp_path):
    write_scored(tmp_path / "a", {"arith": HALF}, date=day(1))
    write_scored(tmp_path / "b", {"arith": SWAPPED}, vectors=[STEPWISE | {"c_values": 1.0}], date=day(2))
    write_scored(tmp_path / "c", {"arith": MOST}, vectors=[STEPWISE], date=day(3))
    best, base, swapped = listed(tmp_path)
    assert [one.configuration for one in (best, base, swapped)] == [
        "stepwise, c_values 5",
        "unsteered",
        "stepwise, c_values 1",
    ]
    assert [one.score for one in (best, base, swapped)] == [0.8, 0.5, 0.5]
    assert (best.model, best.group, best.task) == ("tiny", "arith", "arith")
    assert (best.documents, best.metric, best.filter, best.stderr) == (40, "exact_match", "none", 0.05)
    assert base.is_baseline
    assert (base.difference, base.paired, base.remarks) == (None, None, ())
    assert best.difference == pytest.approx(0.3)
    found = best.paired.found
    assert found == compare_paired([float(sign) for sign in HALF], [float(sign) for sign in MOST])
    # 12 documents rose, none fell: McNemar gives 2 / 2**12; the smaller of two p-values counts twice (Holm).
    assert best.paired.adjusted == pytest.approx(2 * 2 / 2**12)
    assert best.paired.verdict == "better"
    assert (swapped.paired.adjusted, swapped.paired.verdict) == (1.0, "no significant difference")


def test_lower_is_better_where_the_harness_says_so(tmp_path):
    for name, pattern in (("a", HALF), ("b", MOST)):
        write_scored(tmp_path / name, {"arith": pattern}, higher_is_better={"exact_match": False})
    assert [one.score for one in listed(tmp_path)] == [0.5, 0.8]


def test_models_and_tasks_are_kept_apart(tmp_path):
    write_scored(tmp_path / "a", {"logic": HALF, "arith": MOST})
    write_scored(tmp_path / "b", {"arith": HALF}, model="/my/large", config={"model": "hf", "steering": None})
    steering = {"vectors": [STEPWISE], "model": "large"}  # hf-cachesteer records the folder's name alone
    write_scored(tmp_path / "c", {"arith": HALF}, model="/my/large", config={"steering": steering})
    assert [(one.model, one.group, one.is_baseline) for one in listed(tmp_path)] == [
        ("/my/large", "arith", True),
        ("/my/large", "arith", False),
        ("tiny", "arith", True),
        ("tiny", "logic", True),
    ]


def test_cot_prompts_stand_beside_the_plain_task_joined_by_document(tmp_path):
    write_scored(tmp_path / "a", {"arith": HALF}, date=day(1))
    write_scored(tmp_path / "b", {"arith_cot": MOST}, date=day(2))
    write_scored(tmp_path / "c", {"arith_cot": HALF, "arith": MOST}, vectors=[STEPWISE], date=day(3))
    entries = {one.configuration: one for one in listed(tmp_path)}
    assert {one.group for one in entries.values()} == {"arith"}
    assert [name for name, one in entries.items() if one.is_baseline] == ["unsteered"]
    assert entries.keys() == {
        "unsteered",
        "unsteered, CoT prompt",
        "stepwise, c_values 5",
        "stepwise, c_values 5, CoT prompt",
    }
    prompted = entries["unsteered, CoT prompt"]
    assert prompted.task == "arith_cot"
    assert (prompted.paired.found.up, prompted.paired.found.down) == (12, 0)
    assert entries["stepwise, c_values 5, CoT prompt"].difference == 0.0


def test_a_cot_task_without_the_plain_one_has_its_own_baseline(tmp_path):
    write_scored(tmp_path / "a", {"arith_cot": HALF})
    write_scored(tmp_path / "b", {"arith_cot": MOST}, vectors=[STEPWISE])
    best, base = listed(tmp_path)
    assert (base.group, base.configuration, base.is_baseline) == ("arith_cot", "unsteered", True)
    assert best.paired.verdict == "better"


def test_the_baseline_is_the_newest_unsteered_run_unless_one_is_named(tmp_path):
    old = write_scored(tmp_path / "runs/a", {"arith": HALF}, date=day(1))
    new = write_scored(tmp_path / "runs/b", {"arith": SWAPPED}, date=day(2))
    write_scored(tmp_path / "runs/c", {"arith": MOST}, vectors=[STEPWISE], date=day(3))
    elsewhere = write_scored(tmp_path / "elsewhere", {"arith": "0" * 40}, date=day(1))

    def baselines(**options):
        entries = listed(tmp_path / "runs", **options)
        return [one.path for one in entries if one.is_baseline], len(entries)

    assert baselines() == ([str(new)], 3)
    assert baselines(baseline=find_run(str(old))) == ([str(old)], 3)
    assert baselines(baseline=find_run(str(elsewhere))) == ([str(elsewhere)], 4)


def test_of_a_named_baseline_with_and_without_cot_prompt_the_plain_task_counts(tmp_path):
    both = find_run(str(write_scored(tmp_path, {"arith_cot": HALF, "arith": MOST})))
    assert [one.task for one in leaderboard([both], baseline=both) if one.is_baseline] == ["arith"]


def test_without_a_baseline_there_is_no_difference(tmp_path):
    write_scored(tmp_path, {"arith": MOST}, vectors=[STEPWISE])
    (entry,) = listed(tmp_path)
    assert (entry.score, entry.difference, entry.paired, entry.is_baseline) == (0.8, None, None, False)
    assert entry.remarks == ("no baseline: no unsteered run of this model and task",)


def without_samples(folder):
    for file in folder.glob("samples_*"):
        file.unlink()


def damaged_samples(folder):
    for file in folder.glob("samples_*"):
        file.write_text("{")


@pytest.mark.parametrize(
    ("spoil", "steered", "reason"),
    [
        (lambda folder: without_samples(folder / "a"), MOST, "the baseline has no samples; run lm_eval with --log"),
        (lambda folder: without_samples(folder / "b"), MOST, "this run has no samples"),
        (lambda folder: damaged_samples(folder / "b"), MOST, "is damaged"),
        (lambda _: None, MOST + "0" * 4, "other documents than the baseline's"),
    ],
)
def test_where_documents_cannot_be_joined_the_difference_is_plain_and_says_so(tmp_path, spoil, steered, reason):
    write_scored(tmp_path / "a", {"arith": HALF})
    write_scored(tmp_path / "b", {"arith": steered}, vectors=[STEPWISE])
    spoil(tmp_path)
    entry = next(one for one in listed(tmp_path) if not one.is_baseline)
    assert entry.paired is None
    assert entry.difference == pytest.approx(steered.count("1") / len(steered) - 0.5)
    assert reason in entry.remarks[0]


def test_means_over_tasks_have_a_plain_difference(tmp_path):
    for name, pattern, vectors in (("a", HALF, ()), ("b", MOST, [STEPWISE])):
        path = write_scored(
            tmp_path / name,
            {"arith": pattern},
            vectors=vectors,
            group_subtasks={"arith": [], "suite": ["arith"], "nothing": ["arith"]},
        )
        content = json.loads(path.read_text())
        content["results"] |= {"suite": content["results"]["arith"], "nothing": {"alias": "nothing", "name": "nothing"}}
        path.write_text(json.dumps(content))
    entries = listed(tmp_path)
    assert [one.group for one in entries] == ["arith", "arith", "suite", "suite"]
    assert entries[2].difference == pytest.approx(0.3)
    assert "a mean over tasks" in entries[2].remarks[0]


def test_styles_are_those_the_runs_were_steered_towards(tmp_path):
    def measures(stepwise, concise):
        named = {"stepwise,response": stepwise, "concise,response": concise, "formal,response": 0.5}
        return named | {"repetition,response": 0.2, "looping,response": 0.1, "tokens,response": 70.0}

    mine = {"name": "/my/vectors.safetensors", "kind": "concise", "weight": 1.0, "c_keys": 0.0, "c_values": 4.0}
    write_scored(tmp_path / "a", {"arith": HALF}, measures=measures(0.0, 0.3))
    write_scored(tmp_path / "b", {"arith": MOST}, measures=measures(0.9, 0.1), vectors=[STEPWISE])
    write_scored(tmp_path / "c", {"arith": "1" * 40}, measures=measures(0.0, 0.7), vectors=[mine | {"weight": 0.5}])
    short, stepwise, base = listed(tmp_path)
    assert short.configuration == "0.5*/my/vectors.safetensors, c_values 4"
    assert short.adherence == {"concise": 0.7}
    assert stepwise.adherence == {"stepwise": 0.9}
    assert base.adherence == {"stepwise": 0.0, "concise": 0.3}
    assert (base.repetition, base.looping, base.tokens, base.words) == (0.2, 0.1, 70.0, None)


def test_time_and_interventions_are_those_of_the_run(tmp_path):
    counts = {
        "generate_until": {"requests": 40, "interventions": 38, "not_steered": 2},
        "loglikelihood": {"requests": 10, "interventions": 10, "not_steered": 0},
    }
    config = {"steering": {"vectors": [STEPWISE], "counts": counts}}
    write_scored(tmp_path, {"arith": HALF}, config=config, total_evaluation_time_seconds="53.5")
    (entry,) = listed(tmp_path)
    assert (entry.seconds, entry.requests, entry.interventions) == (53.5, 50, 48)
    assert "2 of 50 requests of this run were not steered" in entry.remarks


def test_every_run_is_listed_once(tmp_path):
    for number in (1, 2, 3):
        write_scored(tmp_path / str(number), {"arith": HALF}, date=day(number))
    runs = find_runs([str(tmp_path)])
    assert [one.date for one in leaderboard([*runs, *runs])] == [day(1), day(2), day(3)]


def test_the_whole_group_is_scored_by_one_metric(tmp_path):
    both = {"arith": [{"document": "a", "filter": name, "exact_match": 1.0} for name in ("flexible", "strict")]}
    figures = {"exact_match,strict": 0.25, "exact_match,flexible": 0.75}
    for name, known in (("a", figures), ("b", dict(reversed(figures.items()))), ("c", {"exact_match,flexible": 1.0})):
        write_run(tmp_path / name, both, results={"arith": known | {"words,response": 9.0}})
    entries = listed(tmp_path)
    assert {one.filter for one in entries} == {"strict"}
    assert [one.score for one in entries] == [0.25, 0.25, None]
    assert entries[2].remarks == ("no exact_match, strict in this run",)
    assert {one.filter for one in listed(tmp_path, baseline=find_run(str(tmp_path / "c")))} == {"flexible"}
    assert [one.score for one in listed(tmp_path, metric="exact_match,flexible")] == [1.0, 0.75, 0.75]
    assert {one.metric for one in listed(tmp_path, metric="words")} == {"words"}
    with pytest.raises(ResultsError, match="No run has the metric 'f1'; found: exact_match,flexible; exact"):
        listed(tmp_path, metric="f1")


def test_tasks_are_chosen_with_their_cot_prompt(tmp_path):
    path = write_scored(tmp_path, {"arith": HALF, "arith_cot": HALF, "logic": HALF})
    assert [one.task for one in listed(tmp_path, tasks=["arith"])] == ["arith", "arith_cot"]
    assert [one.group for one in listed(tmp_path, tasks=["arith_cot"])] == ["arith_cot"]
    with pytest.raises(ResultsError, match="figures of poetry; found: arith, arith_cot, logic"):
        listed(tmp_path, tasks=["poetry"])
    other = find_run(str(write_scored(tmp_path / "other", {"logic": HALF})))
    with pytest.raises(ResultsError, match="The baseline .*other.* has no figures of arith"):
        leaderboard([find_run(str(path))], tasks=["arith"], baseline=other)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"config": None, "n-shot": None, "configs": {}, "n-samples": {"arith": None}, "higher_is_better": []},
        {"config": {"model": "hf", "model_args": "pretrained=tiny,dtype=float", "gen_kwargs": None}},
        {"config": {"model_args": ["odd"], "steering": "odd"}, "total_evaluation_time_seconds": None},
    ],
)
def test_what_a_version_of_the_harness_does_not_write_is_left_empty(tmp_path, content):
    figures = {"acc,none": 0.5, "acc_stderr,none": "N/A", "alias": " - arith", "tokens,none": math.nan}
    bare = {"results": {"arith": figures}}
    (tmp_path / "results_2026.json").write_text(json.dumps(bare | content))
    (entry,) = listed(tmp_path)
    assert (entry.score, entry.is_baseline, entry.configuration) == (0.5, True, "unsteered")
    empty = (entry.stderr, entry.documents, entry.seconds, entry.requests, entry.repetition, entry.tokens)
    assert empty == (None,) * 6


def test_runs_without_figures_are_told_of(tmp_path):
    write_scored(tmp_path / "a", {"arith": HALF})
    (tmp_path / "results_foreign.json").write_text('{"results": {"arith": {"acc": 0.5}, "all": 3}}')
    told = []
    assert len(listed(tmp_path, left_out=told.append)) == 1
    assert "results_foreign.json holds no figure named 'metric,filter'" in str(told[0])
    with pytest.raises(ResultsError, match="results_foreign"):
        listed(tmp_path)


@pytest.mark.parametrize("version", ["0.4.9", "0.4.13"])
def test_what_versions_of_the_harness_wrote_is_listed_as_they_wrote_it(version):
    folder = GOLDEN / f"lm_eval-{version}"
    entries = listed(folder)
    assert len({one.path for one in entries}) == 2
    for one in entries:
        written = json.loads(Path(one.path).read_text())
        figures = written["results"][one.task]
        assert one.metric is None or one.score == figures[f"{one.metric},{one.filter}"]
        assert one.documents == written["n-samples"].get(one.task, {}).get("effective")
    compared = [one for one in entries if one.paired]
    assert {one.task for one in compared} >= {"golden_written", "golden_choice", "golden_repeats"}
    for one in compared:
        assert one.paired.found.difference == pytest.approx(one.difference, abs=1e-9)


def test_samples_of_another_run_in_the_same_folder_are_not_mixed_up(tmp_path):
    write_scored(tmp_path, {"arith": HALF}, date=day(1))
    write_scored(tmp_path, {"arith": MOST}, date=day(2), vectors=[STEPWISE])
    best, base = listed(tmp_path)
    assert (base.is_baseline, best.paired.found.up) == (True, 12)


def test_repeated_documents_form_clusters(tmp_path):
    for name, other in (("a", "0"), ("b", "1")):
        path = write_scored(tmp_path / name, {"arith": "1" * 20 + other * 20})
        samples = right_and_wrong("1" * 20 + other * 20)
        write_run(
            tmp_path / name,
            {"arith": [one | {"document": f"d{i // 4}"} for i, one in enumerate(samples)]},
            **{key: value for key, value in json.loads(path.read_text()).items() if key != "higher_is_better"},
        )
    compared = next(one for one in listed(tmp_path) if one.paired)
    assert (compared.paired.found.documents, compared.paired.found.clusters) == (40, 10)
