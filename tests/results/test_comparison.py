import random
import re
from importlib.util import find_spec
from math import exp
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.results.comparison import compare_runs
from lm_eval_cachesteer.results.runs import LOWER_IS_BETTER, find_run
from lm_eval_cachesteer.stats import compare_paired

from .support import right_and_wrong, write_run

FIRST, SECOND = "1" * 40 + "0" * 60, "1" * 35 + "0" * 5 + "1" * 30 + "0" * 30


def two_runs(tmp_path, base, other, **content):
    if isinstance(base, list):
        base, other = {"arith": base}, {"arith": other}
    return [find_run(str(write_run(tmp_path / name, tasks, **content))) for name, tasks in (("a", base), ("b", other))]


def test_documents_are_joined_by_their_hashes_not_by_their_order(tmp_path):
    shuffled = right_and_wrong(SECOND)
    random.Random(1).shuffle(shuffled)
    comparison = compare_runs(*two_runs(tmp_path, right_and_wrong(FIRST), shuffled))
    (found,) = comparison.metrics
    assert found.found == compare_paired([float(x) for x in FIRST], [float(x) for x in SECOND])
    assert (found.found.up, found.found.down) == (30, 5)
    assert found.verdict == "better"
    assert comparison.unmatched == []
    assert comparison.means == []


@pytest.mark.parametrize(
    ("first", "second", "higher_is_better", "verdict"),
    [
        (FIRST, SECOND, True, "better"),
        (SECOND, FIRST, True, "worse"),
        (FIRST, SECOND, False, "worse"),
        (FIRST, SECOND, None, "different"),
        (FIRST, FIRST, True, "no significant difference"),
    ],
)
def test_verdicts(tmp_path, first, second, higher_is_better, verdict):
    runs = two_runs(
        tmp_path, right_and_wrong(first), right_and_wrong(second), higher_is_better={"exact_match": higher_is_better}
    )
    assert compare_runs(*runs).metrics[0].verdict == verdict


def directed(tmp_path, first, second):
    """Runs that say of `exact_match` that it is better when higher: yes, no, or nothing."""
    patterns = {"a": (FIRST, first), "b": (SECOND, second)}
    return [
        find_run(str(write_run(tmp_path / name, {"arith": right_and_wrong(pattern)}, higher_is_better=better)))
        for name, (pattern, better) in patterns.items()
    ]


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ({"exact_match": True}, {"other": True}, "better"),
        ({"other": True}, {"exact_match": False}, "worse"),
        ({"exact_match": True}, {"exact_match": False}, "different"),
    ],
)
def test_a_direction_that_one_run_knows_counts_and_a_contradiction_does_not(tmp_path, first, second, verdict):
    assert compare_runs(*directed(tmp_path, first, second)).metrics[0].verdict == verdict


@pytest.mark.parametrize(("metric", "verdict"), [("perplexity", "worse"), ("words", "different")])
def test_of_metrics_without_a_direction_only_those_the_harness_defines_have_one(tmp_path, metric, verdict):
    first, second = (right_and_wrong(pattern, metric=metric) for pattern in (FIRST, SECOND))
    runs = two_runs(tmp_path, first, second, higher_is_better={"exact_match": True})
    assert compare_runs(*runs).metrics[0].verdict == verdict


def test_metrics_that_are_lower_when_better_are_those_of_the_harness():
    source = Path(find_spec("lm_eval").origin).with_name("api") / "metrics.py"
    found = set(re.findall(r'metric="([^"]+)",\s*higher_is_better=False', source.read_text(encoding="utf-8")))
    assert "word_perplexity" in found
    assert found | {"ter"} == LOWER_IS_BETTER  # which 0.4.9 defines the other way round


def test_figures_of_documents_that_are_not_averaged_have_no_known_direction(tmp_path):
    """The documents of lambada's perplexity, exp(-mean), have log-likelihoods: they rise as it falls."""
    runs = []
    for name, likelihoods in (("a", [-3.0, -2.0, -4.0] * 20), ("b", [-1.5, -1.0, -2.0] * 20)):
        figure = exp(-sum(likelihoods) / len(likelihoods))
        samples = [{"document": str(i), "perplexity": figure} for i, figure in enumerate(likelihoods)]
        results = {"lambada": {"alias": "lambada", "perplexity,none": figure}}
        path = write_run(tmp_path / name, {"lambada": samples}, higher_is_better={"perplexity": False}, results=results)
        runs.append(find_run(str(path)))
    (found,) = compare_runs(*runs).metrics
    assert found.found.difference == pytest.approx(1.5)
    assert (found.is_mean, found.verdict) == (False, "different")


def test_unmatched_documents_are_refused_or_counted(tmp_path):
    runs = two_runs(
        tmp_path, right_and_wrong(FIRST), [*right_and_wrong(SECOND)[3:], {"document": "z", "exact_match": 1.0}]
    )
    with pytest.raises(
        ResultsError, match="'arith': 3 documents are only in .*samples_arith.*, 1 only in .*allow-unmatched"
    ):
        compare_runs(*runs)
    comparison = compare_runs(*runs, allow_unmatched=True)
    assert (comparison.unmatched[0].base, comparison.unmatched[0].other) == (3, 1)
    assert comparison.metrics[0].found.documents == 97


def test_p_values_are_corrected_over_tasks_for_each_metric(tmp_path):
    patterns = {"one": "0" * 6 + "1" * 50, "two": "0" * 7 + "1" * 50, "three": "1" * 57}
    base = {task: right_and_wrong(pattern, words=3) for task, pattern in patterns.items()}
    other = {task: right_and_wrong("1" * len(pattern), words=4) for task, pattern in patterns.items()}
    comparison = compare_runs(*two_runs(tmp_path, base, other), metrics=["exact_match"])
    adjusted = {one.task: one.adjusted for one in comparison.metrics}
    assert adjusted == pytest.approx({"one": 2 * 2 / 2**6, "two": 3 * 2 / 2**7, "three": 1.0})
    (mean,) = comparison.means
    assert mean.found.difference == pytest.approx((6 / 56 + 7 / 57) / 3)


def test_scores_are_compared_unless_other_metrics_are_asked_for(tmp_path):
    runs = two_runs(tmp_path, right_and_wrong(FIRST, words=3), right_and_wrong(SECOND, words=4))
    assert [one.metric for one in compare_runs(*runs).metrics] == ["exact_match"]
    assert [one.metric for one in compare_runs(*runs, metrics=["words"]).metrics] == ["words"]
    with pytest.raises(ResultsError, match="no metric tokens in both runs; in common: exact_match, words"):
        compare_runs(*runs, metrics=["tokens"])


def test_metrics_that_no_document_has_in_both_runs_are_not_in_common(tmp_path):
    """As of a task that scores only the responses that hold an answer."""
    base = [{"document": "a", "words": 2, "right": 1.0}, {"document": "b", "words": 2}]
    other = [{"document": "a", "words": 3}, {"document": "b", "words": 3, "right": 0.0}]
    runs = two_runs(tmp_path, base, other)
    (found,) = compare_runs(*runs).metrics
    assert (found.metric, found.found.documents, found.shared) == ("words", 2, 2)
    with pytest.raises(ResultsError, match="no metric right in both runs; in common: words"):
        compare_runs(*runs, metrics=["right"])


def test_documents_without_a_figure_are_counted(tmp_path):
    base = right_and_wrong(FIRST)
    other = [sample if i % 4 else {"document": sample["document"], "words": 3} for i, sample in enumerate(base)]
    (found,) = compare_runs(*two_runs(tmp_path, base, other)).metrics
    assert (found.found.documents, found.shared) == (75, 100)


def test_tasks_without_a_score_are_compared_by_all_their_metrics(tmp_path):
    runs = two_runs(tmp_path, right_and_wrong(FIRST, metric="stepwise"), right_and_wrong(SECOND, metric="stepwise"))
    assert [one.metric for one in compare_runs(*runs).metrics] == ["stepwise"]


def test_repeats_and_fields_form_clusters(tmp_path):
    first = [
        {"document": f"d{i // 5}", "exact_match": float(i % 2), "fields": {"text": str(i // 20)}} for i in range(100)
    ]
    second = [sample | {"exact_match": 1.0} for sample in first]
    runs = two_runs(tmp_path, first, second)
    assert compare_runs(*runs).metrics[0].found.clusters == 20
    assert compare_runs(*runs, cluster_by="text").metrics[0].found.clusters == 5
    with pytest.raises(ResultsError, match="no field 'subject'; it has 'question', 'text'"):
        compare_runs(*runs, cluster_by="subject")


def test_runs_of_other_tasks_or_documents_are_refused(tmp_path):
    arith = {"arith": right_and_wrong("10")}
    with pytest.raises(ResultsError, match="do not both hold samples of any task.*arith.*logic.*--log_samples"):
        compare_runs(*two_runs(tmp_path / "1", arith, {"logic": right_and_wrong("10")}))
    with pytest.raises(ResultsError, match="do not both hold samples of logic"):
        compare_runs(*two_runs(tmp_path / "2", arith, arith), tasks=["logic"])
    with pytest.raises(ResultsError, match="no document in common"):
        compare_runs(*two_runs(tmp_path / "3", arith, {"arith": [{"document": "z", "exact_match": 1.0}]}))
