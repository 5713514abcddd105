"""The bootstrap of a paired mean difference, over documents or clusters of them."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
_AT_A_TIME = 500

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
    found = []
    for start in range(0, RESAMPLES, _AT_A_TIME):
        count = min(_AT_A_TIME, RESAMPLES - start)
        drawn = generator.multinomial(clusters, [1 / clusters] * clusters, size=count)
        total, weight, squares, cross, square_sizes = (drawn @ moments).T
        means = total / weight
        spread = squares - 2 * means * cross + means**2 * square_sizes
        errors = np.sqrt(np.clip(spread, 0, None) * clusters / max(1, clusters - 1)) / weight
        shift = np.abs(means - mean)
        negligible = errors <= 1e-12 * (1 + np.abs(means))
        found.append(
            np.where(negligible, np.where(shift > 1e-12, np.inf, 0.0), shift / np.where(negligible, 1, errors))
        )
    return np.concatenate(found)
