import pytest
import torch

from lm_eval_cachesteer.core.selection import select_heads, select_layers
from lm_eval_cachesteer.errors import ArgumentError


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("1-", [1, 2, 3, 4, 5]),
        ("2-4", [2, 3, 4]),
        ("3", [3]),
        (3, [3]),
        ([1], [1]),
        ([1, 2], [1, 2]),
        ("0+2+4-5", [0, 2, 4, 5]),
        ("4, 1", [1, 4]),
        ("all", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_layers(spec, expected):
    assert select_layers(spec, 6) == expected


@pytest.mark.parametrize("spec", ["6", "2-6", "4-2", "", "a", "-3", "1--2", [], [-1], "1.5", True])
def test_bad_layers_list_what_is_allowed(spec):
    with pytest.raises(ArgumentError, match="Allowed: N"):
        select_layers(spec, 6)


@pytest.mark.parametrize("spec", [0, -1, 5, "none", "1.5", True])
def test_bad_heads_list_what_is_allowed(spec):
    tensors = {0: torch.ones(2, 3), 1: torch.ones(2, 3)}
    with pytest.raises(ArgumentError, match="4 KV heads. Allowed: all"):
        select_heads(spec, tensors, tensors)
