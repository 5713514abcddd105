from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from lm_eval_cachesteer.stats.signs import sign_flips


@pytest.mark.parametrize(("up", "down"), [(0, 0), (1, 0), (4, 0), (5, 2), (3, 3), (0, 9)])
def test_equal_contributions_are_tested_as_flips_of_a_coin(up, down):
    contributions = np.array([0.1] * up + [-0.1] * down + [0.0] * 30)
    expected = binomtest(up, up + down).pvalue if up + down else 1.0
    assert sign_flips(contributions) == pytest.approx(expected)


def test_all_signs_are_tried():
    contributions = np.array([0.5, 0.25, -0.1, 0.7, 0.05])
    sums = [abs(contributions @ signs) for signs in product((1, -1), repeat=5)]
    assert sign_flips(contributions) == sum(found >= contributions.sum() - 1e-9 for found in sums) / 32


def test_many_contributions_have_the_approximate_share():
    contributions = np.random.default_rng(1).normal(0.4, 1, 40)
    flipped = np.random.default_rng(2).choice((-1, 1), (20_000, 40)) @ contributions
    share = (np.abs(flipped) >= abs(contributions.sum())).mean()
    assert 0.001 < share < 0.2
    assert sign_flips(contributions) == pytest.approx(share, abs=0.005)


def test_many_contributions_of_one_sign_have_the_exact_share():
    assert sign_flips(np.arange(1.0, 31.0)) == sign_flips(-np.ones(30)) == 2 / 2**30
