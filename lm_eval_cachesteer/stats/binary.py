"""Pairs of figures that are 0 or 1, such as exact match."""

import math

from scipy.optimize import brentq
from scipy.stats import binomtest, norm


def mcnemar(up: int, down: int) -> float:
    """Exact two-sided p-value of no difference: the binomial test on the documents that changed (McNemar 1947).

    Args:
        up: Documents that went from 0 to 1.
        down: Documents that went from 1 to 0.
    """
    return float(binomtest(up, up + down).pvalue) if up + down else 1.0


def score_interval(up: int, down: int, documents: int) -> tuple[float, float]:
    """95 % interval of the difference, of all the values that its score test does not reject.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design". It keeps its error rate for non-inferiority margins even where hardly any document changed, and has a width
    where none did.

    Args:
        up: Documents that went from 0 to 1.
        down: Documents that went from 1 to 0.
        documents: All documents.
    """
    found, z = (up - down) / documents, float(norm.ppf(0.975))

    def rejected(difference: float) -> float:
        return float((found - difference) ** 2 - (z * spread(up, down, documents, difference)) ** 2 / documents)

    near = 1e-9  # at the difference itself, the test of runs without any change is 0 / 0
    low = brentq(rejected, -1, found - near) if down < documents else -1.0
    high = brentq(rejected, found + near, 1) if up < documents else 1.0
    return float(low), float(high)


def spread(up: int, down: int, documents: int, difference: float) -> float:
    """Standard deviation of a document's change, as likely as can be if the true mean change is `difference`.

    Args:
        up: Documents that went from 0 to 1.
        down: Documents that went from 1 to 0.
        documents: All documents.
        difference: The true mean change, from -1 to 1.
    """
    linear = up + down - (2 * documents - up + down) * difference
    root = math.sqrt(max(0.0, linear**2 + 8 * documents * down * difference * (1 - difference)))
    falls = (linear + root) / (4 * documents)  # the constrained maximum likelihood of a fall, Tango 1998
    return math.sqrt(max(0.0, 2 * falls + difference - difference**2))
