import random
from math import comb

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.stats import bootstrap, compare_paired


def binary_runs(documents=300, seed=1):
    generator = np.random.default_rng(seed)
    return (generator.random((2, documents)) < [[0.5], [0.6]]).astype(float)


def counted_p_value(up, down):
    """Twice the smaller tail of a fair coin, by counting."""
    n, few = up + down, min(up, down)
    return min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)


def test_the_published_flips_of_arc_challenge_are_not_significant():
    """200 items one way and 184 the other, of 1172: p = 0.44 (the paper's own result files)."""
    first = [0.0] * 200 + [1.0] * 184 + [1.0] * 445 + [0.0] * 343
    second = [1.0] * 200 + [0.0] * 184 + [1.0] * 445 + [0.0] * 343
    found = compare_paired(first, second)
    assert found.p_value == pytest.approx(counted_p_value(200, 184), rel=1e-9)
    assert round(found.p_value, 2) == 0.44
    assert not found.significant
    assert found.low < 0 < found.high
    assert found.difference == pytest.approx(16 / 1172)
    assert (found.up, found.down, found.test) == (200, 184, "exact McNemar")


def test_the_exact_test_equals_statsmodels():
    first, second = binary_runs()
    table = [[sum((first == a) & (second == b)) for b in (0, 1)] for a in (0, 1)]
    assert compare_paired(first, second).p_value == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)


def test_the_standard_error_and_interval_are_those_of_the_paired_t_test():
    generator = np.random.default_rng(2)
    first, second = generator.normal([[0.0], [0.2]], 1, (2, 400))
    found = compare_paired(first, second)
    reference = scipy_stats.ttest_rel(second, first)
    interval = reference.confidence_interval(0.95)
    assert found.difference / found.standard_error == pytest.approx(reference.statistic)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(reference.pvalue, abs=0.01)
    assert found.test == "paired bootstrap"


def test_clustered_errors_equal_those_of_a_clustered_regression():
    """Miller's clustered standard error is that of a regression on a constant with errors clustered (CR1)."""
    generator = np.random.default_rng(3)
    clusters = np.repeat(np.arange(260), generator.integers(1, 5, 260))
    shared = generator.normal(0, 1, 260)[clusters]
    first, second = generator.normal(0, 1, (2, len(clusters)))
    second += shared
    found = compare_paired(first, second, clusters=[f"text {c}" for c in clusters])
    fit = sm.OLS(second - first, np.ones(len(clusters))).fit()
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=False)
    assert found.standard_error == pytest.approx(float(robust.bse[0]) * (260 / 259) ** 0.5)
    assert (found.documents, found.clusters) == (len(clusters), 260)
    assert found.standard_error > 1.1 * compare_paired(first, second).standard_error
    assert found.test == "clustered bootstrap"


def test_repeats_of_each_document_do_not_make_the_run_surer():
    first, second = binary_runs(250)
    once = compare_paired(first, second)
    repeated = compare_paired(np.repeat(first, 4), np.repeat(second, 4), clusters=np.repeat(np.arange(250), 4).tolist())
    assert repeated.standard_error == pytest.approx(once.standard_error)
    assert repeated.p_value == pytest.approx(once.p_value, abs=0.02)


def test_few_documents_without_a_flip_leave_room_for_a_difference():
    found = compare_paired([1.0] * 20, [1.0] * 20)
    assert found.p_value == 1.0
    assert found.low < -0.05
    assert found.high > 0.05
    assert found.few


def test_few_changes_have_the_interval_of_the_t_test_where_resamples_do_not_vary():
    """Of 100 documents 2 changed: every seventh resample holds neither, and deviates infinitely."""
    first, second = np.zeros(100), np.zeros(100)
    second[[3, 70]] = 0.5
    found = compare_paired(first, second)
    interval = scipy_stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert not found.significant


def test_the_detectable_difference_is_found_in_four_of_five_runs():
    generator = np.random.default_rng(4)
    detectable = compare_paired(*generator.normal(0, 1, (2, 10_000))).detectable * (10_000 / 400) ** 0.5
    first, second = generator.normal([[[0.0]], [[detectable]]], 1, (2, 1000, 400))
    shown = (scipy_stats.ttest_rel(first, second, axis=1).pvalue < 0.05).mean()
    assert shown == pytest.approx(0.8, abs=0.05)


def beta_binary(generator, documents):
    """Figures of 0 and 1 whose chances differ from document to document, but not from run to run."""
    chances = generator.beta(1, 1, documents)
    return *(generator.random((2, documents)) < chances).astype(float), None


def long_tailed(generator, documents):
    scale = generator.exponential(1, documents)
    return *(scale * generator.exponential(1, (2, documents))), None


def in_clusters(generator, documents):
    """Clusters of four with chances of their own in each run: documents of one cluster flip together."""
    chances = np.clip(generator.beta(1, 1, documents) + generator.normal(0, 0.2, (2, documents)), 0, 1)
    figures = generator.random((2, documents, 4)) < chances[:, :, None]
    return *figures.astype(float).reshape(2, -1), np.repeat(np.arange(documents), 4).tolist()


@pytest.mark.parametrize("draw", [beta_binary, long_tailed, in_clusters])
@pytest.mark.parametrize("documents", [60, 250])
def test_without_a_true_difference_one_comparison_in_twenty_finds_one(monkeypatch, draw, documents):
    """1,000 simulated comparisons: 5 % within three Monte Carlo errors.

    The exact test, and the bootstrap of few documents with long tails, may find fewer, never more.
    """
    monkeypatch.setattr(bootstrap, "RESAMPLES", 2000)  # for speed: more only scatter less, see the next test
    generator = np.random.default_rng(documents)
    found = [compare_paired(*draw(generator, documents), seed=i) for i in range(1000)]
    declared = sum(one.significant for one in found) / 1000
    covered = sum(one.low <= 0 <= one.high for one in found) / 1000
    margin = 3 * (0.05 * 0.95 / 1000) ** 0.5
    assert declared <= 0.05 + margin
    cautious = draw is beta_binary or (draw is long_tailed and documents < 200)
    assert declared >= (0.01 if cautious else 0.05 - margin)
    assert covered == pytest.approx(0.95, abs=0.02 + margin)


def test_fewer_resamples_give_the_same_p_value_within_monte_carlo_error(monkeypatch):
    runs = [long_tailed(np.random.default_rng(seed), 250) for seed in range(10)]
    many = [compare_paired(*run).p_value for run in runs]
    monkeypatch.setattr(bootstrap, "RESAMPLES", 2000)
    for run, p_value in zip(runs, many, strict=True):
        error = (p_value * (1 - p_value) * (1 / 2000 + 1 / 10_000)) ** 0.5
        assert compare_paired(*run, seed=1).p_value == pytest.approx(p_value, abs=4 * error + 1e-3)


def test_figures_of_0_and_1_have_the_score_interval_at_any_size():
    """Where none fell, it is Wilson's interval of the share that rose."""
    for documents in (40, 1000):
        risen = documents * 3 // 10
        found = compare_paired([0.0] * documents, [1.0] * risen + [0.0] * (documents - risen))
        wilson = scipy_stats.binomtest(risen, documents).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)


def test_an_interval_that_contradicts_the_test_is_known_as_such():
    """5 rose and none fell: 2 / 2**5 is above 5 %, yet the interval does not hold 0."""
    found = compare_paired([0.0] * 40, [1.0] * 5 + [0.0] * 35)
    assert (found.p_value, found.significant, found.is_contradictory) == (0.0625, False, True)
    assert found.low > 0
    assert not compare_paired([0.0] * 40, [1.0] * 12 + [0.0] * 28).is_contradictory
    assert not compare_paired([0.0] * 40, [0.0] * 40).is_contradictory


def test_equal_runs_do_not_differ():
    assert compare_paired([0.0, 1.0, 1.0], [0.0, 1.0, 1.0]).p_value == 1.0
    assert compare_paired([0.5, 2.0], [0.5, 2.0]).p_value == 1.0


@pytest.mark.parametrize(("documents", "p_value"), [(1, 1.0), (3, 0.25), (20, 2 / 2**20)])
def test_figures_that_all_rise_alike_are_as_sure_as_so_many_coins_that_fall_alike(documents, p_value):
    first = np.arange(documents) + 0.5
    shifted = compare_paired(first, first + 2)
    assert (shifted.difference, shifted.low, shifted.high, shifted.standard_error) == (2.0, 2.0, 2.0, 0.0)
    assert (shifted.p_value, shifted.test) == (p_value, "sign flips")


def test_the_order_of_documents_and_the_names_of_clusters_do_not_matter():
    first, second = binary_runs(60)
    clusters = [i // 3 for i in range(60)]
    order = list(range(60))
    random.Random(1).shuffle(order)
    one = compare_paired(first, second, clusters)
    other = compare_paired(first[order], second[order], [f"c{clusters[i]}" for i in order])
    assert other.standard_error == pytest.approx(one.standard_error)
    assert other.p_value == pytest.approx(one.p_value, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "clusters"), [([1.0], [1.0, 2.0], None), ([], [], None), ([1.0], [1.0], [])]
)
def test_runs_over_different_documents_are_refused(first, second, clusters):
    with pytest.raises(ArgumentError, match="same documents"):
        compare_paired(first, second, clusters)
