import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.stats import Pairs, compare_paired, compare_strata


def pairs_of(first, second, names=None):
    return Pairs(list(first), list(second), list(range(len(first))) if names is None else list(names))


def drawn(documents, seed, mean=0.1):
    return np.random.default_rng(seed).normal([[0.0], [mean]], 1, (2, documents))


def apart(*sizes):
    """Sets without a document in common."""
    return [pairs_of(*drawn(n, n), [f"set {i}, document {j}" for j in range(n)]) for i, n in enumerate(sizes)]


def test_without_common_documents_standard_errors_add_up_by_their_squares():
    sets, weights = apart(10, 250, 40), (0.2, 0.5, 0.3)
    found, alone = compare_strata(sets, weights), [compare_paired(*pairs) for pairs in sets]
    squares = [(weight * one.standard_error) ** 2 for weight, one in zip(weights, alone, strict=True)]
    assert found.standard_error == pytest.approx(sum(squares) ** 0.5, rel=1e-12)
    for run in ("first", "second", "difference"):
        mean = sum(weight * getattr(one, run) for weight, one in zip(weights, alone, strict=True))
        assert getattr(found, run) == pytest.approx(mean, rel=1e-12)
    assert (found.documents, found.clusters, found.changed) == (300, 300, 300)


def test_two_sets_without_common_documents_are_compared_by_welch_s_test():
    (one, two), weights = apart(12, 90), (0.5, 0.5)
    found = compare_strata([one, two], weights)
    first, second = (np.subtract(pairs.second, pairs.first) for pairs in (one, two))
    welch = scipy_stats.ttest_ind(first, -second, equal_var=False)
    assert (found.p_value, found.degrees) == pytest.approx((welch.pvalue, welch.df))
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low / 2, interval.high / 2))


def test_sets_over_the_same_documents_are_compared_by_their_weighted_mean_in_each_document():
    weights = (0.5, 0.3, 0.2)
    runs = [drawn(80, seed) for seed in range(3)]
    found = compare_strata([pairs_of(*run) for run in runs], weights)
    first, second = sum(weight * run for weight, run in zip(weights, runs, strict=True))
    reference = scipy_stats.ttest_rel(second, first)
    interval = reference.confidence_interval(0.95)
    assert found.p_value == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.degrees, found.documents, found.clusters) == (pytest.approx(79), 240, 80)


def test_the_same_set_twice_is_no_surer_than_once():
    pairs = pairs_of(*drawn(50, 1))
    once, twice = compare_strata([pairs], [1.0]), compare_strata([pairs, pairs], [0.5, 0.5])
    assert twice.standard_error == pytest.approx(once.standard_error, rel=1e-12)
    assert twice.p_value == pytest.approx(once.p_value, rel=1e-9)
    assert once.standard_error == pytest.approx(compare_paired(*pairs).standard_error, rel=1e-12)


def test_overlapping_sets_have_the_clustered_error_of_a_regression_on_the_sets():
    """The mean of the sets' intercepts, from the covariance that is clustered over all sets (CR0)."""
    generator = np.random.default_rng(2)
    names = [generator.choice(60, 40, replace=False) for _ in range(3)]
    shared = generator.normal(0, 1, 60)
    differences = [shared[name] + generator.normal(0, 1, 40) for name in names]
    found = compare_strata(
        [pairs_of([0.0] * 40, d, name) for d, name in zip(differences, names, strict=True)], [1 / 3] * 3
    )
    fit = sm.OLS(np.concatenate(differences), np.repeat(np.eye(3), 40, axis=0)).fit()
    robust = fit.get_robustcov_results("cluster", groups=np.concatenate(names), use_correction=False)
    error = float(np.sqrt(robust.cov_params().sum())) / 3
    assert found.standard_error == pytest.approx(error * (40 / 39) ** 0.5)
    independent = (
        sum(compare_strata([pairs_of([0.0] * 40, d)], [1.0]).standard_error ** 2 for d in differences) ** 0.5 / 3
    )
    assert found.standard_error > 1.2 * independent


def test_clusters_within_a_set_and_across_sets_are_the_same():
    """A set of 30 documents in pairs, and one of 15 that holds a document of each pair."""
    generator = np.random.default_rng(4)
    long, short = generator.normal(0, 1, 30), generator.normal(0, 1, 15)
    pairs = [
        pairs_of([0.0] * 30, long, [f"text {i // 2}" for i in range(30)]),
        pairs_of([0.0] * 15, short, [f"text {i}" for i in range(15)]),
    ]
    found = compare_strata(pairs, [2 / 3, 1 / 3])
    by_text = (long.reshape(15, 2).sum(1) + short) / 3
    assert found.difference == pytest.approx(by_text.mean())
    assert found.standard_error == pytest.approx(scipy_stats.sem(by_text))
    assert found.clusters == 15


def test_sets_of_one_document_each_are_compared_by_the_spread_between_them():
    figures = np.random.default_rng(5).normal(0.3, 1, 40)
    sets = [pairs_of([0.0], [figure], [f"document {i}"]) for i, figure in enumerate(figures)]
    found = compare_strata(sets, [1 / 40] * 40)
    assert found.standard_error == pytest.approx(figures.std() / 40**0.5)


def test_few_changes_are_tested_as_mcnemar_s_test_does():
    """6 of 80 documents in two sets rose, 1 fell; Student's t would give 0.06."""
    first, second = np.zeros((2, 80))
    second[[3, 9, 20, 41, 60, 70]] = first[5] = 1.0
    sets = [pairs_of(first[part], second[part], range(80)[part]) for part in (slice(50), slice(50, 80))]
    found = compare_strata(sets, [50 / 80, 30 / 80])
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)
    assert (found.test, found.changed) == ("sign flips", 7)
    assert found.low < found.difference < found.high


def test_an_interval_that_contradicts_the_test_is_known_as_such():
    """5 rose and none fell: the test says 2 / 2**5, the interval leaves out 0."""
    sets = [
        pairs_of([0.0] * 40, [1.0] * rose + [0.0] * (40 - rose), [f"{rose}, {i}" for i in range(40)]) for rose in (2, 3)
    ]
    found = compare_strata(sets, [0.5, 0.5])
    assert (found.p_value, found.low > 0, found.is_contradictory) == (2 / 2**5, True, True)


def test_sets_without_any_spread():
    equal = [pairs_of([0.5] * n, [0.5] * n, [f"{n}, {i}" for i in range(n)]) for n in (3, 20)]
    found = compare_strata(equal, [0.5, 0.5])
    assert (found.p_value, found.low, found.high, found.changed) == (1.0, 0.0, 0.0, 0)
    risen = [pairs._replace(second=[2.5] * len(pairs.first)) for pairs in equal]
    found = compare_strata(risen, [0.5, 0.5])
    assert (found.p_value, found.low, found.high) == (2 / 2**23, 2.0, 2.0)


def test_no_set_and_empty_sets_are_refused():
    for sets in ([], [Pairs([], [], [])]):
        with pytest.raises(ArgumentError, match="at least one set"):
            compare_strata(sets, [1.0] * len(sets))


def right_or_wrong(generator, documents):
    """Three tasks over the same documents: each run has its own chance with a document, the same in every task."""
    chances = np.clip(generator.beta(1, 1, documents) + generator.normal(0, 0.25, (2, documents)), 0, 1)
    return generator.random((3, 2, documents)) < chances


def long_tailed(generator, documents):
    scale = generator.exponential(1, documents)
    return scale * (generator.exponential(1, (2, documents)) + 0.5 * generator.exponential(1, (3, 2, documents)))


@pytest.mark.parametrize("draw", [right_or_wrong, long_tailed])
@pytest.mark.parametrize("documents", [60, 250])
def test_without_a_true_difference_means_over_tasks_that_share_documents_find_one_in_twenty(draw, documents):
    """1,000 simulated comparisons: 5 % within three Monte Carlo errors; taking the tasks as independent, far more."""
    generator = np.random.default_rng(documents)
    declared = covered = independent = 0
    for _ in range(1000):
        tasks = draw(generator, documents).astype(float)
        found = compare_strata([pairs_of(*task) for task in tasks], [1 / 3] * 3)
        declared += found.p_value < 0.05
        covered += found.low <= 0 <= found.high
        changes = tasks[:, 1] - tasks[:, 0]
        error = np.sqrt((changes.var(axis=1, ddof=1) / documents).sum()) / 3
        independent += abs(changes.mean()) > 1.96 * error
    margin = 3 * (0.05 * 0.95 / 1000) ** 0.5
    assert declared / 1000 == pytest.approx(0.05, abs=margin)
    assert covered == 1000 - declared
    assert independent / 1000 > 0.05 + 2 * margin


@pytest.mark.parametrize("sizes", [(60, 60, 60), (10, 60, 200), (5, 200)])
@pytest.mark.parametrize("by_size", [True, False])
def test_without_a_true_difference_means_over_tasks_apart_find_at_most_one_in_twenty(sizes, by_size):
    """Tasks of 0 and 1; with very few documents in one of them the test is cautious."""
    generator = np.random.default_rng(sum(sizes))
    weights = [size / sum(sizes) if by_size else 1 / len(sizes) for size in sizes]
    names = [[f"{i}, {j}" for j in range(size)] for i, size in enumerate(sizes)]
    declared = 0
    for _ in range(1000):
        runs = [(generator.random((2, size)) < generator.beta(1, 1, size)).astype(float) for size in sizes]
        found = compare_strata([pairs_of(*run, name) for run, name in zip(runs, names, strict=True)], weights)
        declared += found.p_value < 0.05
    margin = 3 * (0.05 * 0.95 / 1000) ** 0.5
    assert (0.05 - margin if min(sizes) > 10 else 0.005) <= declared / 1000 <= 0.05 + margin
