import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.stats import ks_2samp

from lm_eval_cachesteer.stats import bootstrap
from lm_eval_cachesteer.stats.bootstrap import deviations


def plain_bootstrap(sums, sizes, resamples=4000, seed=1):
    """One resample after the other, from the clusters themselves."""
    generator = np.random.default_rng(seed)
    mean, found = sums.sum() / sizes.sum(), []
    for _ in range(resamples):
        drawn = generator.choice(len(sums), len(sums))
        one, weight = sums[drawn], sizes[drawn]
        other = one.sum() / weight.sum()
        spread = ((one - weight * other) ** 2).sum() * len(sums) / (len(sums) - 1)
        found.append(abs(other - mean) / (spread**0.5 / weight.sum()))
    return np.array(found)


def test_deviations_are_those_of_clusters_drawn_with_replacement():
    generator = np.random.default_rng(3)
    sizes = generator.integers(1, 30, 20).astype(float)
    sums = generator.exponential(1, 20) * sizes
    found = deviations(sums, sizes, seed=7)
    assert ks_2samp(found, plain_bootstrap(sums, sizes)).pvalue > 0.01
    assert np.quantile(found, 0.95) > 1.1 * scipy_stats.t.ppf(0.975, 19)  # so it is no mere Student's t


@pytest.mark.parametrize("clusters", [2, 60, 50_000])
def test_the_same_seed_draws_the_same(clusters, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    sums, sizes = np.random.default_rng(1).normal(size=clusters), np.ones(clusters)
    one = deviations(sums, sizes, seed=5)
    assert one.shape == (20,)
    assert np.array_equal(one, deviations(sums, sizes, seed=5))
    assert not np.array_equal(one, deviations(sums, sizes, seed=6))


def test_resamples_without_spread_of_their_own_deviate_infinitely_or_not_at_all():
    """Of two clusters, half of the resamples hold one of them twice; equal clusters never deviate."""
    found = deviations(np.array([0.0, 1.0]), np.ones(2), seed=1)
    assert np.isinf(found).mean() == pytest.approx(0.5, abs=0.02)
    assert not deviations(np.ones(5), np.ones(5), seed=1).any()
