"""What real versions of the harness write, read: see tools/make_golden_results.py."""

import hashlib
import json
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.results.comparison import compare_runs
from lm_eval_cachesteer.results.runs import find_runs
from lm_eval_cachesteer.results.samples import read_samples

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ("0.4.9", "0.4.13")
# Task: its documents, the figures that each document has, the metrics that only aggregate.
TASKS = {
    "golden_written": (8, {"exact_match,strict", "exact_match,flexible"}, set()),
    "golden_repeats": (8, {"exact_match,first", "exact_match,majority"}, set()),
    "golden_choice": (8, {"acc,none", "acc_norm,none"}, {"brier_score"}),
    "golden_parity": (8, {"acc,none"}, set()),
    "golden_size": (6, {"acc,none"}, set()),
    "golden_measured": (6, {"numbers,none", "answered,none", "right,none", "share,none"}, set()),
    "golden_text": (3, set(), {"word_perplexity"}),
}
GROUP = ("golden_parity", "golden_size")
DIRECTIONS = {
    "golden_written": {"exact_match": True},
    "golden_choice": {"acc": True, "acc_norm": True, "brier_score": False},
    "golden_measured": {"numbers": False, "answered": True, "right": True, "share": True},
    "golden_text": {"word_perplexity": False},
    "golden_group": {"acc": True},
}


def runs_of(version):
    return find_runs([str(GOLDEN / f"lm_eval-{version}")])


def expected(version, task):
    """Documents, figures and metrics that only aggregate, as a version of the harness writes them."""
    documents, figures, aggregates = TASKS[task]
    if version == "0.4.9":  # writes numpy's 32-bit floats as text
        text = {"share,none"} & figures
        return documents, figures - text, aggregates | {name.split(",")[0] for name in text}
    return documents, figures, aggregates


def lines_of(run, task):
    """The lines of a run's samples, read without the package."""
    date = run.path.name.removeprefix("results_").removesuffix(".json")
    text = (run.path.parent / f"samples_{task}_{date}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def figures_of(run, task, figure):
    """Number of the document -> one figure, read without the package."""
    metric, filter_name = figure.split(",")
    lines = [line for line in lines_of(run, task) if line["filter"] == filter_name and metric in line]
    return {line["doc_id"]: float(line[metric]) for line in lines}


def changes(base, other, task, figure):
    """Documents with a figure in both runs; those whose figure rose, and fell."""
    first, second = figures_of(base, task, figure), figures_of(other, task, figure)
    both = first.keys() & second.keys()
    return len(both), sum(second[i] > first[i] for i in both), sum(second[i] < first[i] for i in both)


def compared(base, other, version, task):
    """Figure -> documents, risen and fallen, as the package counts them."""
    metrics = {figure.split(",")[0] for figure in expected(version, task)[1]}
    comparison = compare_runs(base, other, tasks=[task], metrics=sorted(metrics))
    assert comparison.unmatched == []
    return {
        f"{one.metric},{one.filter}": (one.found.documents, one.found.up, one.found.down) for one in comparison.metrics
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_both_runs_of_a_folder_are_found_with_their_samples(version):
    runs = runs_of(version)
    assert [run.config["random_seed"] for run in runs] == [8, 1]
    assert {run.content["lm_eval_version"] for run in runs} == {version}
    for run in runs:
        assert set(run.sample_files) == set(TASKS)
        assert (run.model, run.label) == ("model", "unsteered")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", TASKS)
def test_samples_are_read_with_all_their_figures(version, task):
    documents, figures, aggregates = expected(version, task)
    for run in runs_of(version):
        found = read_samples(run, task)
        assert len(found.documents) == documents == run.content["n-samples"][task]["effective"]
        assert {f"{metric},{filter_name}" for filter_name, metric in found.figures} == figures
        assert found.left_out == aggregates
        assert list(found.documents.values()) == [line["doc"] for line in lines_of(run, task)[:documents]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", TASKS)
def test_the_mean_over_documents_is_the_harness_s_own(version, task):
    for run in runs_of(version):
        for (filter_name, metric), figures in read_samples(run, task).figures.items():
            precision = 1e-6 if metric == "share" else 1e-9  # the harness adds it up in 32 bits
            aggregate = run.content["results"][task][f"{metric},{filter_name}"]
            assert sum(figures.values()) / len(figures) == pytest.approx(aggregate, abs=precision)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", [task for task in TASKS if TASKS[task][1]])
def test_rises_and_falls_are_those_of_the_files(version, task):
    base, other = runs_of(version)
    counted = {figure: changes(base, other, task, figure) for figure in expected(version, task)[1]}
    assert compared(base, other, version, task) == counted
    assert any(up or down for _, up, down in counted.values())


@pytest.mark.parametrize("task", [task for task in TASKS if TASKS[task][1]])
def test_runs_of_two_versions_are_compared(task):
    older, newer = runs_of("0.4.9"), runs_of("0.4.13")
    for base in older:
        for other in newer:
            counted = {figure: changes(base, other, task, figure) for figure in expected("0.4.9", task)[1]}
            assert compared(base, other, "0.4.9", task) == counted


@pytest.mark.parametrize("task", TASKS)
def test_both_versions_hash_documents_alike(task):
    hashes = ("doc_hash", "prompt_hash", "target_hash")
    older, newer = (
        [[line[name] for name in hashes] for line in lines_of(runs_of(version)[0], task)] for version in VERSIONS
    )
    assert older == newer
    for line in lines_of(runs_of("0.4.9")[0], task):
        text = json.dumps(line["doc"], indent=2, ensure_ascii=False)
        assert line["doc_hash"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("version", VERSIONS)
def test_documents_that_occur_twice_are_one_cluster_and_repeated_responses_one_document(version):
    base, other = runs_of(version)
    found = {one.task: one.found for one in compare_runs(base, other, tasks=["golden_size", "golden_repeats"]).metrics}
    assert (found["golden_size"].documents, found["golden_size"].clusters) == (6, 3)
    assert {len(line["resps"][0]) for line in lines_of(base, "golden_repeats")} == {3}
    assert (found["golden_repeats"].documents, found["golden_repeats"].clusters) == (8, 8)
    (by_answer,) = compare_runs(base, other, tasks=["golden_size"], cluster_by="answer").metrics
    assert by_answer.found.clusters == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_tasks_whose_metrics_only_aggregate_are_left_out_unless_asked_for(version):
    base, other = runs_of(version)
    comparison = compare_runs(base, other)
    assert comparison.without_figures == ["golden_text"]
    assert {one.task for one in comparison.metrics} == TASKS.keys() - {"golden_text"}
    with pytest.raises(ResultsError, match="'golden_text': no metric at all in both runs"):
        compare_runs(base, other, tasks=["golden_text"])


@pytest.mark.parametrize("version", VERSIONS)
def test_documents_without_a_figure_in_one_of_the_runs_are_left_out_of_it(version):
    base, other = runs_of(version)
    (right,) = compare_runs(base, other, tasks=["golden_measured"], metrics=["right"]).metrics
    answered = [{i for i, figure in figures_of(run, "golden_measured", "answered,none").items() if figure}
                for run in (base, other)]  # fmt: skip
    assert right.found.documents == len(answered[0] & answered[1]) < TASKS["golden_measured"][0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", DIRECTIONS)
def test_the_direction_of_every_metric_is_known(version, task):
    for run in runs_of(version):
        assert {metric: run.higher_is_better(task, metric) for metric in DIRECTIONS[task]} == DIRECTIONS[task]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_group_weighted_by_size_scores_the_mean_of_all_its_documents(version):
    for run in runs_of(version):
        assert tuple(run.content["group_subtasks"]["golden_group"]) == GROUP
        figures = [figure for task in GROUP for figure in read_samples(run, task).figures["none", "acc"].values()]
        assert len(figures) == 14
        assert sum(figures) / 14 == pytest.approx(run.content["groups"]["golden_group"]["acc,none"], abs=1e-9)


def test_no_file_names_a_folder_of_the_machine_that_made_it():
    for file in GOLDEN.rglob("*.json*"):
        text = file.read_text(encoding="utf-8")
        assert not [place for place in ("/root", "/home", "/tmp", "/Users", "://") if place in text], file  # noqa: S108
