import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from lm_eval_cachesteer.stats import holm


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_equal_statsmodels(seed):
    p_values = np.random.default_rng(seed).random(12) ** 3
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_a_single_comparison_is_not_adjusted():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
