"""Comparing two runs over the same documents."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from ..errors import ArgumentError
from .binary import mcnemar, score_interval
from .bootstrap import Array, deviations
from .signs import sign_flips

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
POWER = 0.8
# With fewer independent documents, normal approximations are weak.
FEW_DOCUMENTS = 200


class Pairs(NamedTuple):
    """Figures of two runs over the same documents.

    Attributes:
        first: Figures of the first run.
        second: Figures of the second run, in the same order of documents.
        clusters: For each document, the name of its cluster.
    """

    first: Sequence[float]
    second: Sequence[float]
    clusters: Sequence[Hashable]


@dataclass(frozen=True)
class PairedDifference:
    """How one run differs from another over the same documents.

    Attributes:
        first: Mean of the first run.
        second: Mean of the second run.
        difference: `second - first`.
        standard_error: Paired standard error of the difference, clustered where documents form clusters.
        low: Lower end of the difference's 95 % interval.
        high: Its upper end.
        p_value: Two-sided p-value of no difference.
        test: Which test the p-value comes from.
        documents: Number of documents.
        clusters: Number of clusters; equals `documents` where each stands alone.
        up: Documents whose figure is larger in the second run.
        down: Documents whose figure is smaller in the second run.
    """

    first: float
    second: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float
    test: str
    documents: int
    clusters: int
    up: int
    down: int

    @property
    def significant(self) -> bool:
        """Whether the difference is significant at 5 %, without correction for other comparisons."""
        return self.p_value < SIGNIFICANCE

    @property
    def few(self) -> bool:
        """Whether there are too few independent documents for normal approximations."""
        return self.clusters < FEW_DOCUMENTS

    @property
    def detectable(self) -> float:
        """Smallest true difference that runs of this size show in 80 % of cases."""
        return detectable(self.standard_error)

    @property
    def is_contradictory(self) -> bool:
        """Whether the interval leaves out 0 though the test does not reject it, or the other way round."""
        return self.significant == (self.low <= 0 <= self.high)


def detectable(standard_error: float) -> float:
    """Smallest true difference that shows in 80 % of runs with a standard error (Miller 2024, section 5)."""
    return float(norm.ppf(1 - SIGNIFICANCE / 2) + norm.ppf(POWER)) * standard_error


def compare_paired(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> PairedDifference:
    """Compares two runs' figures, document by document.

    The standard error is the paired one of Miller 2024 (arXiv 2411.00640), clustered if documents do not stand alone
    (repeats of a prompt, questions about one text). If all figures are 0 or 1 and documents stand alone, the test is
    the exact one of McNemar and the interval that of Tango 1998. Else the test is a studentized paired bootstrap over
    clusters, or the sign-flip test if all of them differ alike, and the interval that of Student's t around the
    standard error or, below 200 clusters, of the bootstrap if its resamples vary.

    Args:
        first: Figures of the first run.
        second: Figures of the second run, in the same order of documents.
        clusters: For each document, the name of its cluster; None if each document stands alone.
        seed: Seed of the bootstrap.

    Raises:
        ArgumentError: The runs differ in length, or are empty.
    """
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != two.shape or one.ndim != 1 or not one.size or (clusters is not None and len(clusters) != one.size):
        raise ArgumentError(
            f"Paired runs need figures for the same documents, got {len(first)} and {len(second)}. Run both over the "
            "same task with the same limit."
        )
    differences = two - one
    sums, sizes = _by_cluster(differences, clusters)
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    mean, error = float(differences.mean()), _standard_error(sums, sizes)
    few, alone = len(sums) < FEW_DOCUMENTS, len(sums) == one.size
    half = float(t.ppf((1 + CONFIDENCE) / 2, max(1, len(sums) - 1))) * error
    low, high = mean - half, mean + half
    if alone and np.isin(np.concatenate([one, two]), (0.0, 1.0)).all():
        test, p_value = "exact McNemar", mcnemar(up, down)
        low, high = score_interval(up, down, one.size)
    elif error == 0:
        test, p_value = "sign flips", sign_flips(sums) if mean else 1.0
    else:
        test = "paired bootstrap" if alone else "clustered bootstrap"
        drawn = deviations(sums, sizes, seed)
        p_value = float((1 + (drawn >= abs(mean) / error).sum()) / (1 + len(drawn)))
        # Infinite if many resamples have no spread, as with a handful of clusters or of documents that differ.
        reach = float(np.quantile(drawn, CONFIDENCE, method="higher"))
        if few and math.isfinite(reach):
            low, high = mean - reach * error, mean + reach * error
    return PairedDifference(
        first=float(one.mean()),
        second=float(two.mean()),
        difference=mean,
        standard_error=error,
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        documents=int(one.size),
        clusters=len(sums),
        up=up,
        down=down,
    )


def _by_cluster(differences: Array, clusters: Sequence[Hashable] | None) -> tuple[Array, Array]:
    """Sum of the differences and number of documents of each cluster."""
    if clusters is None:
        return differences, np.ones_like(differences)
    number = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    places = [number[name] for name in clusters]
    return np.bincount(places, differences).astype(np.float64), np.bincount(places).astype(np.float64)


def _standard_error(sums: Array, sizes: Array) -> float:
    """Of the mean over all documents: Miller 2024, equations 4 and 8, with the factor G / (G - 1) for G clusters."""
    clusters, documents = len(sums), sizes.sum()
    if clusters < 2:
        return 0.0
    residuals = sums - sizes * (sums.sum() / documents)
    error = float(np.sqrt((residuals**2).sum() * clusters / (clusters - 1)) / documents)
    return error if error > 1e-12 * (1 + float(np.abs(sums).max())) else 0.0
