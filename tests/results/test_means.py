from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lm_eval_cachesteer.results.comparison import compare_runs
from lm_eval_cachesteer.results.runs import find_run, find_runs

from .support import write_run

GOLDEN = Path(__file__).parent / "golden"
PATTERNS = {
    "short": ("1" * 10 + "0" * 10, "1" * 16 + "0" * 4),
    "long": ("1" * 60 + "0" * 40, "1" * 55 + "0" * 45),
    "other": ("10" * 15, "01" * 15),
}


def samples_of(pattern, name="", **fields):
    """Documents that no other task has, unless they share a name."""
    return [
        {"document": f"{name} {i}", "exact_match": float(sign), "fields": {key: f(i) for key, f in fields.items()}}
        for i, sign in enumerate(pattern)
    ]


def runs_of(tmp_path, patterns=PATTERNS, groups=None, weights=None, samples=None, **content):
    """A base and another run.

    Args:
        tmp_path: Where to.
        patterns: Task -> right and wrong answers of both.
        groups: As `group_subtasks` of the results.
        weights: Group -> weight of each task, from which the runs' own figures of the group follow.
        samples: Makes the samples of a task from its pattern and name.
        content: As in `write_run`.
    """
    found = []
    for number, name in enumerate(("base", "other")):
        tasks = {task: (samples or samples_of)(both[number], task) for task, both in patterns.items()}
        means = {task: fmean(sample["exact_match"] for sample in listed) for task, listed in tasks.items()}
        own = {
            group: {"alias": group, "exact_match,none": sum(share * means[task] for task, share in shares.items())}
            for group, shares in (weights or {}).items()
        }
        results = {task: {"alias": task, "exact_match,none": mean} for task, mean in means.items()} | own
        path = write_run(tmp_path / name, tasks, results=results, group_subtasks=groups or {}, **content)
        found.append(find_run(str(path)))
    return found


def described(comparison):
    return [(mean.group, mean.tasks, mean.weights, mean.matches) for mean in comparison.means]


def test_each_group_and_all_tasks_have_a_mean(tmp_path):
    groups = {"short": [], "pair": ["short", "long"], "single": ["other"], "elsewhere": ["poetry", "prose"]}
    comparison = compare_runs(*runs_of(tmp_path, groups=groups))
    assert described(comparison) == [
        ("pair", ("long", "short"), "equal", None),
        (None, ("long", "other", "short"), "equal", None),
    ]
    pair, everything = (mean.found for mean in comparison.means)
    assert (pair.first, pair.second) == (pytest.approx((0.6 + 0.5) / 2), pytest.approx((0.55 + 0.8) / 2))
    assert (everything.first, everything.second) == (pytest.approx(1.6 / 3), pytest.approx(1.85 / 3))
    alone = {one.task: one.found.standard_error for one in comparison.metrics}
    assert everything.standard_error == pytest.approx(sum(error**2 for error in alone.values()) ** 0.5 / 3)


def test_a_mean_over_all_tasks_is_not_told_twice(tmp_path):
    comparison = compare_runs(*runs_of(tmp_path, groups={"all_of_it": ["short", "long", "other"]}))
    assert [mean.name for mean in comparison.means] == ["all_of_it"]
    (mean,) = compare_runs(*runs_of(tmp_path), tasks=["short", "long"]).means
    assert (mean.name, mean.tasks) == ("all tasks", ("short", "long"))
    assert compare_runs(*runs_of(tmp_path), tasks=["short"]).means == []


def test_groups_hold_the_tasks_of_the_groups_in_them(tmp_path):
    groups = {"outer": ["inner", "other"], "inner": ["short", "long"], "circle": ["circle", "outer"]}
    comparison = compare_runs(*runs_of(tmp_path, groups=groups))
    assert [(mean.group, set(mean.tasks)) for mean in comparison.means] == [
        ("outer", {"short", "long", "other"}),
        ("inner", {"short", "long"}),
        ("circle", {"short", "long", "other"}),
    ]


@pytest.mark.parametrize(
    ("short", "weights", "matches"),
    [(20 / 120, "by size", True), (0.5, "equal", True), (0.4, "equal", False)],
)
def test_tasks_are_weighted_as_in_the_runs_own_figure_of_the_group(tmp_path, short, weights, matches):
    own = {"pair": {"short": short, "long": 1 - short}}
    runs = runs_of(tmp_path, groups={"pair": ["short", "long"]}, weights=own)
    pair = compare_runs(*runs).means[0]
    assert (pair.weights, pair.matches) == (weights, matches)
    share = short if matches else 0.5
    assert pair.found.first == pytest.approx(share * 0.5 + (1 - share) * 0.6)
    assert pair.found.difference == pytest.approx(share * 0.3 - (1 - share) * 0.05)


def test_a_group_of_which_documents_are_left_out_counts_its_tasks_equally(tmp_path):
    groups, own = {"pair": ["short", "long"]}, {"pair": {"short": 20 / 120, "long": 100 / 120}}
    base, _ = runs_of(tmp_path, groups=groups, weights=own)
    fewer = PATTERNS | {"long": (PATTERNS["long"][0], PATTERNS["long"][1][:50])}
    _, other = runs_of(tmp_path / "fewer", fewer, groups=groups, weights={"pair": {"short": 20 / 70, "long": 50 / 70}})
    pair = compare_runs(base, other, allow_unmatched=True).means[0]
    assert (pair.weights, pair.matches) == ("equal", False)
    assert pair.found.first == pytest.approx((0.5 + 1.0) / 2)  # the first 50 documents of "long" are right


def test_a_group_that_one_run_knows_is_enough(tmp_path):
    base, _ = runs_of(tmp_path / "1")
    _, other = runs_of(
        tmp_path / "2", groups={"pair": ["short", "long"]}, weights={"pair": {"short": 0.5, "long": 0.5}}
    )
    assert described(compare_runs(base, other))[0] == ("pair", ("long", "short"), "equal", True)
    assert described(compare_runs(other, base))[0] == ("pair", ("long", "short"), "equal", True)


def test_documents_of_several_tasks_are_one_cluster(tmp_path):
    """A task and its CoT variant: the same documents, so that they rise and fall together."""
    patterns = {"arc": PATTERNS["short"], "arc_cot": PATTERNS["short"]}
    together = compare_runs(*runs_of(tmp_path / "1", patterns, samples=lambda pattern, _: samples_of(pattern)))
    apart = compare_runs(*runs_of(tmp_path / "2", patterns))
    one = together.metrics[0].found.standard_error
    assert together.means[0].found.standard_error == pytest.approx(one)
    assert apart.means[0].found.standard_error == pytest.approx(one / 2**0.5)
    assert (together.means[0].found.clusters, apart.means[0].found.clusters) == (20, 40)
    assert together.means[0].found.p_value == pytest.approx(2 / 2**6)  # 6 documents rose, as surely as in one task
    assert apart.means[0].found.p_value < 0.01


def test_a_field_makes_clusters_across_tasks(tmp_path):
    first, second = np.random.default_rng(1).integers(0, 2, (2, 2, 40))
    patterns = {task: ("".join(map(str, first[i])), "".join(map(str, second[i]))) for i, task in enumerate("ab")}
    runs = runs_of(tmp_path, patterns, samples=lambda p, name: samples_of(p, name, text=lambda i: f"text {i // 4}"))
    (mean,) = compare_runs(*runs, cluster_by="text").means
    by_text = (second - first).reshape(2, 10, 4).mean(axis=(0, 2))
    assert mean.found.standard_error == pytest.approx(scipy_stats.sem(by_text))
    assert (mean.found.documents, mean.found.clusters) == (80, 10)


def test_p_values_are_corrected_over_the_means_of_a_metric(tmp_path):
    comparison = compare_runs(*runs_of(tmp_path, groups={"pair": ["short", "long"], "odd": ["short", "other"]}))
    p_values = sorted(mean.found.p_value for mean in comparison.means)
    assert len(p_values) == 3
    adjusted = sorted(mean.adjusted for mean in comparison.means)
    assert adjusted[0] == pytest.approx(min(1, 3 * p_values[0]))
    assert adjusted[1] == pytest.approx(min(1, max(3 * p_values[0], 2 * p_values[1])))


def test_verdicts_of_means(tmp_path):
    patterns = {"a": ("0" * 20 + "1" * 10, "1" * 30), "b": ("0" * 15 + "1" * 10, "1" * 25)}
    for better, verdict in ((True, "better"), (False, "worse"), (None, "different")):
        runs = runs_of(tmp_path / verdict, patterns, higher_is_better={"exact_match": better})
        assert [mean.verdict for mean in compare_runs(*runs).means] == [verdict]
    base, other = runs_of(tmp_path, patterns)
    base.content["higher_is_better"]["b"]["exact_match"] = other.content["higher_is_better"]["b"]["exact_match"] = False
    assert [mean.verdict for mean in compare_runs(base, other).means] == ["different"]


@pytest.mark.parametrize("version", ["0.4.9", "0.4.13"])
def test_means_of_a_real_group_are_the_figures_the_harness_reports(version):
    base, other = find_runs([str(GOLDEN / f"lm_eval-{version}")])
    group, everything = compare_runs(
        base, other, metrics=["acc"], tasks=["golden_choice", "golden_parity", "golden_size"]
    ).means
    assert (group.group, group.tasks) == ("golden_group", ("golden_parity", "golden_size"))
    assert (group.weights, group.matches) == ("by size", True)
    for run, mean in ((base, group.found.first), (other, group.found.second)):
        assert mean == pytest.approx(run.content["groups"]["golden_group"]["acc,none"], abs=1e-12)
    assert (everything.name, len(everything.tasks)) == ("all tasks", 3)
    # golden_choice and golden_parity ask the same 8 documents; golden_size asks 3 others twice.
    assert (everything.found.documents, everything.found.clusters) == (22, 11)
