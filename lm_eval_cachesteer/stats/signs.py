"""The sign-flip test, for differences too few or too equal for Student's t and the bootstrap."""

import itertools
import math

import numpy as np
from scipy.stats import norm

from .bootstrap import Array

# With fewer, all ways to flip their signs are tried; Student's t finds a difference in 4 documents of 80 that all rose.
FEW_CHANGES = 10


def sign_flips(contributions: Array) -> float:
    """Two-sided p-value of the sign-flip test: of equal runs, each contribution could as well have the other sign.

    It is the share of all ways to flip signs that yield a sum as large (Fisher 1935, "The Design of Experiments",
    section 21). Of 0 and 1 it is the exact McNemar test. It is exact for few contributions and for those of one sign,
    else the normal approximation.

    Args:
        contributions: (clusters,) what each cluster adds to the difference.
    """
    found = contributions[contributions != 0]
    reached = abs(float(found.sum())) - 1e-9 * float(np.abs(found).sum())  # what the same sum reaches in any order
    if len(found) < FEW_CHANGES:
        signs = np.array(list(itertools.product((1, -1), repeat=len(found))))
        return float((np.abs(signs @ found) >= reached).mean())
    if (found > 0).all() or (found < 0).all():
        return 2 * 0.5 ** len(found)
    return 2 * float(norm.sf(reached / math.sqrt((found**2).sum())))
