"""Comparing two runs by a weighted mean over several sets of documents, which may have documents in common."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from ..errors import ArgumentError
from .bootstrap import Array
from .paired import CONFIDENCE, SIGNIFICANCE, Pairs, detectable
from .signs import FEW_CHANGES, sign_flips

# Standard errors and differences below this share of the figures come from floating point.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class MeanDifference:
    """How one run differs from another in a weighted mean over sets of documents.

    Attributes:
        first: Weighted mean of the first run.
        second: Weighted mean of the second run.
        difference: `second - first`.
        standard_error: Its paired standard error, clustered over all sets.
        degrees: Degrees of freedom of the standard error; 0 if it is 0.
        low: Lower end of the difference's 95 % interval.
        high: Its upper end.
        p_value: Two-sided p-value of no difference.
        test: Which test the p-value comes from.
        documents: Number of documents, those of each set counted.
        clusters: Number of clusters; one that occurs in several sets counts once.
        changed: Number of clusters in which some document's figure changed.
    """

    first: float
    second: float
    difference: float
    standard_error: float
    degrees: float
    low: float
    high: float
    p_value: float
    test: str
    documents: int
    clusters: int
    changed: int

    @property
    def is_contradictory(self) -> bool:
        """Whether the interval leaves out 0 though the test does not reject it, or the other way round."""
        return (self.p_value < SIGNIFICANCE) == (self.low <= 0 <= self.high)

    @property
    def detectable(self) -> float:
        """Smallest true difference that runs of this size show in 80 % of cases."""
        return detectable(self.standard_error)


def compare_strata(strata: Sequence[Pairs], weights: Sequence[float]) -> MeanDifference:
    """Compares two runs by a weighted mean over sets of documents.

    Clusters are the units of chance across the sets. The influence of a cluster on the mean is the sum, over all sets
    it occurs in, of weight / documents times the deviations of its documents from the set's mean difference; the
    standard error is the root of the sum of squared influences, those in a set of G clusters with the factor
    sqrt(G / (G - 1)) (Liang and Zeger 1986). Without clusters in common, it is the root of the sum of the sets'
    squared, weighted standard errors. A set of one cluster has no spread of its own and is taken around the mean of all
    (Lumley 2010, "Complex Surveys", on strata with a single sampling unit).

    Test and interval are those of Student's t, with the degrees of freedom of Satterthwaite 1946 ("An approximate
    distribution of estimates of variance components"): the variance is a sum of parts, one for all clusters that occur
    in the same sets, each with one degree less than it has clusters. For sets without clusters in common these are the
    degrees of Welch's test; for sets over the same documents, those of a single paired test. If fewer than 10 clusters
    changed, the test is the sign-flip test instead.

    Args:
        strata: The sets; equal names of clusters mean the same cluster, in any set.
        weights: The weight of each set; they add up to 1.

    Raises:
        ArgumentError: There is no set, or one is empty.
    """
    if not strata or not all(len(pairs.first) for pairs in strata):
        raise ArgumentError("A mean over sets of documents needs at least one set, and documents in each.")
    first, second = (
        math.fsum(weight * math.fsum(run) / len(run) for run, weight in zip(runs, weights, strict=True))
        for runs in ([pairs.first for pairs in strata], [pairs.second for pairs in strata])
    )
    difference = second - first
    influence, contributions, sets = _influences(strata, weights, difference)
    variances = np.bincount(sets, influence**2)
    error = math.sqrt(variances.sum())
    changed = len({name for pairs in strata for one, two, name in zip(*pairs, strict=True) if one != two})
    if error <= _ROUNDING * (1 + max(float(np.abs(_differences(pairs)).max()) for pairs in strata)):
        error = degrees = half = 0.0
    else:
        degrees = float(variances.sum() ** 2 / (variances**2 / np.maximum(1, np.bincount(sets) - 1)).sum())
        half = float(t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
    if error and changed >= FEW_CHANGES:
        test, p_value = "Student's t", 2 * float(t.sf(abs(difference) / error, degrees))
    else:
        test, p_value = "sign flips", sign_flips(contributions)
    return MeanDifference(
        first=first,
        second=second,
        difference=difference,
        standard_error=error,
        degrees=degrees,
        low=difference - half,
        high=difference + half,
        p_value=p_value,
        test=test,
        documents=sum(len(pairs.first) for pairs in strata),
        clusters=len(influence),
        changed=changed,
    )


def _influences(
    strata: Sequence[Pairs], weights: Sequence[float], difference: float
) -> tuple[Array, Array, NDArray[np.intp]]:
    """What each cluster tells of the mean difference.

    Returns:
        Its influence on the mean, what it adds to it, and a number that it shares with the clusters of the same sets.
    """
    numbers: dict[Hashable, int] = {}
    places = [[numbers.setdefault(name, len(numbers)) for name in pairs.clusters] for pairs in strata]
    influence, contributions = np.zeros((2, len(numbers)))
    sets = np.zeros(len(numbers), dtype=np.intp)
    for pairs, place, weight in zip(strata, places, weights, strict=True):
        differences = _differences(pairs)
        counts = np.bincount(place, minlength=len(numbers))
        sums = weight / differences.size * np.bincount(place, differences, minlength=len(numbers))
        clusters = int((counts > 0).sum())
        center = differences.mean() if clusters > 1 else difference
        deviations = sums - weight / differences.size * counts * center
        influence += math.sqrt(clusters / max(1, clusters - 1)) * deviations
        contributions += sums
        sets = np.unique(2 * sets + (counts > 0), return_inverse=True)[1]
    return influence, contributions, sets


def _differences(pairs: Pairs) -> Array:
    return np.asarray(pairs.second, dtype=np.float64) - np.asarray(pairs.first, dtype=np.float64)
