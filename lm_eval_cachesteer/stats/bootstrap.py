"""The bootstrap of a paired mean difference, over documents or clusters of them."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
# So many that one step of the loop stays in a processor's cache.
_DRAWN_AT_A_TIME = 1 << 15

Array = NDArray[np.float64]


def deviations(sums: Array, sizes: Array, seed: int) -> Array:
    """How far bootstrapped means lie from the mean, in their own standard errors.

    Clusters are drawn with replacement, whole ones; each resample is studentized (Efron and Tibshirani 1993,
    section 12.5), which keeps its error rates for small samples where plain percentiles do not.

    Args:
        sums: (clusters,) sum of the differences in each cluster.
        sizes: (clusters,) number of documents in each.
        seed: Seed of the draws.

    Returns:
        (RESAMPLES,) absolute studentized deviations; infinite where a resample has no spread of its own.
    """
    clusters = len(sums)
    mean = sums.sum() / sizes.sum()
    moments = np.stack([sums, sizes, sums**2, sums * sizes, sizes**2], axis=1)
    generator = np.random.default_rng(seed)
    at_a_time = max(1, _DRAWN_AT_A_TIME // clusters)
    totals = []
    for start in range(0, RESAMPLES, at_a_time):
        totals.append(_drawn(generator, min(at_a_time, RESAMPLES - start), clusters) @ moments)
    total, weight, squares, cross, square_sizes = np.concatenate(totals).T
    means = total / weight
    spread = squares - 2 * means * cross + means**2 * square_sizes
    errors = np.sqrt(np.clip(spread, 0, None) * clusters / max(1, clusters - 1)) / weight
    shift = np.abs(means - mean)
    negligible = errors <= 1e-12 * (1 + np.abs(means))
    unlike: Array = np.where(shift > 1e-12, np.inf, 0.0)
    return np.where(negligible, unlike, shift / np.where(negligible, 1, errors))


def _drawn(generator: np.random.Generator, resamples: int, clusters: int) -> Array:
    """(resamples, clusters): how often each resample drew each cluster."""
    # Counting all resamples at once is several times faster than drawing the counts themselves (multinomial).
    drawn = generator.integers(clusters, size=(resamples, clusters))
    drawn += clusters * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)
