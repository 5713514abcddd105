import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.gate.figures import Figures, plain_tasks

from .support import measured, run_of

NONE = ("none", "repetition")


def figures(tmp_path, samples, reported=None, **content):
    tasks = {"open": samples} if samples else {}
    content |= {"results": {"open": reported}} if reported is not None else {}
    return Figures(run_of(tmp_path, tasks, **content))


def test_reported_figures_come_without_errors_aliases_and_what_is_no_number(tmp_path):
    reported = {
        "alias": "open", "sample_len": 3, "repetition,none": 0.2, "repetition_stderr,none": 0.1, "words,none": "N/A",
        "acc,strict": float("nan"), "f1,strict": 1,
    }  # fmt: skip
    found = figures(tmp_path, None, reported)
    assert found.reported("open") == {NONE: 0.2, ("strict", "f1"): 1.0}
    assert found.reported("unknown") == {}
    assert (found.mean("open", NONE), found.mean("open", ("none", "words"))) == (0.2, None)


def test_a_mean_is_what_the_harness_reports_else_that_of_the_documents(tmp_path):
    samples = measured([0.1, 0.3])
    assert figures(tmp_path / "1", samples).mean("open", NONE) == pytest.approx(0.2)
    assert figures(tmp_path / "2", samples, {"repetition,none": 0.25}).mean("open", NONE) == 0.25


def test_filters_are_found_in_the_report_or_in_the_log(tmp_path):
    samples = [*measured([1.0], "acc", filter="strict"), *measured([1.0], "acc", filter="flexible")]
    assert figures(tmp_path / "1", samples).filters("open", "acc") == ["flexible", "strict"]
    assert figures(tmp_path / "2", samples, {"acc,strict": 1.0}).filters("open", "acc") == ["strict"]
    assert figures(tmp_path / "3", samples, {"acc,strict": 1.0}).filters("open", "f1") == []


def test_documents_say_nothing_of_a_figure_that_is_not_their_mean(tmp_path):
    """As with perplexity: the documents hold log-likelihoods, the report their exponential mean."""
    samples = measured([-2.0, -3.0], "perplexity")
    found = figures(tmp_path, samples, {"perplexity,none": 12.18})
    assert found.mean("open", ("none", "perplexity")) == 12.18
    with pytest.raises(ResultsError, match="reported as 12.18, but its documents average to -2.5.*not their mean"):
        found.documents("open", ("none", "perplexity"))


def test_documents_of_a_metric_that_is_no_number_are_refused(tmp_path):
    found = figures(tmp_path, measured([[1, 2], [3, 4]], "bleu"))
    with pytest.raises(ResultsError, match="holds no bleu .filter none. that is one number for each document"):
        found.documents("open", ("none", "bleu"))


def test_shares_lie_between_0_and_1(tmp_path):
    assert figures(tmp_path / "1", measured([0.0, 1.0, 0.5])).are_shares("open", NONE)
    assert not figures(tmp_path / "2", measured([0.0, 1.5])).are_shares("open", NONE)
    assert not figures(tmp_path / "3", None, {"repetition,none": 0.5}).are_shares("open", NONE)


def test_groups_are_no_plain_tasks(tmp_path):
    run = run_of(tmp_path, {"one": "1", "two": "1"}, results={"suite": {}, "one": {}, "two": {}},
                 group_subtasks={"suite": ["one", "two"], "one": []})  # fmt: skip
    assert plain_tasks(run) == ["one", "two"]
