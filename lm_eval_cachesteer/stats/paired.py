"""Comparing two runs over the same documents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, ttest_rel

from ..errors import ArgumentError

RESAMPLES = 10_000
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """How one run differs from another over the same documents.

    Attributes:
        first: Mean of the first run.
        second: Mean of the second run.
        difference: `second - first`.
        low: Lower end of the difference's 95 % interval.
        high: Its upper end.
        p_value: Two-sided p-value of no difference: exact McNemar test where all figures are 0 or 1, else
            paired t-test.
        documents: Number of documents.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    documents: int

    @property
    def significant(self) -> bool:
        """Whether the difference is significant at 5 %, without correction for other comparisons."""
        return self.p_value < SIGNIFICANCE


def compare_paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> PairedDifference:
    """Compares two runs' figures, document by document.

    The interval is a percentile bootstrap of the mean difference over documents (Efron, 1979). The exact McNemar test
    is the binomial test on the documents whose figure changed (McNemar, 1947).

    Args:
        first: Figures of the first run.
        second: Figures of the second run, in the same order of documents.
        seed: Seed of the bootstrap.

    Raises:
        ArgumentError: The runs differ in length, or are empty.
    """
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != two.shape or one.ndim != 1 or not one.size:
        raise ArgumentError(
            f"Paired runs need figures for the same documents, got {len(first)} and {len(second)}. Run both over the "
            "same task with the same limit."
        )
    differences = two - one
    resampled = np.random.default_rng(seed).choice(differences, (RESAMPLES, differences.size)).mean(axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return PairedDifference(
        first=float(one.mean()),
        second=float(two.mean()),
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        p_value=_p_value(one, two),
        documents=int(one.size),
    )


def _p_value(one: "np.ndarray", two: "np.ndarray") -> float:
    better, worse = int((two > one).sum()), int((two < one).sum())
    if better + worse == 0:
        return 1.0
    if np.isin(np.concatenate([one, two]), (0.0, 1.0)).all():
        return float(binomtest(better, better + worse).pvalue)
    if np.ptp(two - one) == 0:
        return 0.0  # the same difference on every document: the t statistic is infinite
    return float(ttest_rel(two, one).pvalue)
