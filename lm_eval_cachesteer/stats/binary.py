"""Pairs of figures that are 0 or 1, such as exact match."""

from scipy.stats import binomtest, norm


def mcnemar(up: int, down: int) -> float:
    """Exact two-sided p-value of no difference: the binomial test on the documents that changed (McNemar 1947).

    Args:
        up: Documents that went from 0 to 1.
        down: Documents that went from 1 to 0.
    """
    return float(binomtest(up, up + down).pvalue) if up + down else 1.0


def adjusted_interval(up: int, down: int, documents: int) -> tuple[float, float]:
    """95 % interval of the difference for few documents: half a document is added to each of the four cells.

    Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
    """
    gained, lost, total = up + 0.5, down + 0.5, documents + 2
    difference = (gained - lost) / total
    error = ((gained + lost - (gained - lost) ** 2 / total) ** 0.5) / total
    half = norm.ppf(0.975) * error
    return max(-1.0, difference - half), min(1.0, difference + half)
