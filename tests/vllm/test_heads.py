"""Which KV heads a tensor parallel process edits."""

import pytest
import torch

from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.errors import VectorMismatchError
from lm_eval_cachesteer.vllm.heads import local_edit, local_heads


@pytest.mark.parametrize(
    ("total", "size", "expected"),
    [
        (4, 1, [[0, 1, 2, 3]]),
        (4, 2, [[0, 1], [2, 3]]),
        (4, 4, [[0], [1], [2], [3]]),
        (2, 4, [[0], [0], [1], [1]]),
        (1, 3, [[0], [0], [0]]),
    ],
)
def test_shares_in_order_and_copies_where_heads_are_few(total, size, expected):
    assert [list(range(total))[local_heads(total, rank, size)] for rank in range(size)] == expected


@pytest.mark.parametrize(("total", "size"), [(3, 2), (4, 3), (2, 3), (4, 6)])
def test_heads_that_cannot_be_distributed_are_refused(total, size):
    with pytest.raises(VectorMismatchError, match=f"{total} KV heads cannot be distributed over {size} processes"):
        local_heads(total, 0, size)


def edit():
    return CacheEdit({i: torch.randn(4, 2) for i in (1, 2, 3)}, {i: torch.randn(4, 3) for i in (1, 2, 3)})


def test_a_process_keeps_its_heads_of_its_layers():
    whole = edit()
    part = local_edit(whole, {0: 2, 2: 2, 3: 2}, rank=1, size=2, device="cpu")
    assert sorted(part.keys) == sorted(part.values) == [2, 3]
    assert torch.equal(part.keys[3], whole.keys[3][2:])
    assert torch.equal(part.values[2], whole.values[2][2:])


def test_another_number_of_heads_is_refused():
    with pytest.raises(VectorMismatchError, match="Layer 1 has 4 KV heads in process 0 of 2, but the vectors have 4"):
        local_edit(edit(), {1: 4}, rank=0, size=2, device="cpu")
