"""Attention over several blocks of keys, each computed on its own and merged exactly.

A token attends to the shared prefixes of its row and to the row's own tokens. Each block yields an unnormalized
softmax with its maximum and its sum; merging rescales them to the common maximum, as in online softmax (Milakov and
Gimelshein 2018, arXiv 1805.02867) and shared-prefix attention (Juravsky et al. 2024, arXiv 2402.05099).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Scores computed at a time: on a CPU what its caches hold, elsewhere what bounds the memory of long prefills.
_MAX_SCORES_ON_CPU = 1 << 20
_MAX_SCORES = 1 << 26


@dataclass(frozen=True)
class Scoring:
    """How a model turns queries and keys into scores.

    Attributes:
        scale: Factor of the dot products.
        softcap: Scores are limited to +-softcap by a tanh (Gemma 2); None for none.
        window: A token sees this many tokens back, itself included; None for all.
    """

    scale: float
    softcap: float | None = None
    window: int | None = None


@dataclass
class Partial:
    """Softmax attention over some of the keys, not yet normalized. All in float32.

    Attributes:
        output: (..., tokens, head_dim), sum of exp(score - maximum) * value.
        maximum: (..., tokens, 1), the largest score.
        total: (..., tokens, 1), sum of exp(score - maximum).
    """

    output: Tensor
    maximum: Tensor
    total: Tensor

    def merge(self, other: "Partial", where: slice | Tensor) -> None:
        """Adds attention over further keys for the tokens `where` (along the token axis), in place."""
        maximum = torch.maximum(self.maximum[:, where], other.maximum)
        mine, theirs = torch.exp(self.maximum[:, where] - maximum), torch.exp(other.maximum - maximum)
        self.output[:, where] = self.output[:, where] * mine + other.output * theirs
        self.total[:, where] = self.total[:, where] * mine + other.total * theirs
        self.maximum[:, where] = maximum

    def normalized(self) -> Tensor:
        """The attention output over all keys merged so far."""
        return self.output / self.total


def attend(query: Tensor, keys: Tensor, values: Tensor, scoring: Scoring, mask: Tensor | None = None) -> Partial:
    """Attention of queries over one block of keys, with grouped heads and without repeating keys.

    Args:
        query: (batch, n_kv_heads, groups, tokens, head_dim).
        keys: (batch, n_kv_heads, n, head_dim).
        values: (batch, n_kv_heads, n, head_dim of the values).
        scoring: How scores are computed; its window is the caller's business.
        mask: Broadcastable to (batch, n_kv_heads, groups, tokens, n); 0 where a token may look, -inf elsewhere.

    Returns:
        The partial attention, shaped like the query.
    """
    batch, heads, groups, tokens, width = query.shape
    scores = torch.matmul(query.reshape(batch, heads, groups * tokens, width), keys.transpose(-1, -2))
    scores = scores.float().mul_(scoring.scale)
    if scoring.softcap is not None:
        scores = scores.div_(scoring.softcap).tanh_().mul_(scoring.softcap)
    if mask is not None:
        scores = scores.view(batch, heads, groups, tokens, -1).add_(mask).view(batch, heads, groups * tokens, -1)
    maximum = scores.amax(dim=-1, keepdim=True).clamp_(min=torch.finfo(torch.float32).min)
    weights = scores.sub_(maximum).exp_()
    total = weights.sum(dim=-1, keepdim=True)
    output = torch.matmul(weights.to(values.dtype), values).float()
    shape = (batch, heads, groups, tokens, -1)
    return Partial(output.view(shape), maximum.view(shape), total.view(shape))


def causal_kernel(device: torch.device, groups: int) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Torch's own kernel for causal attention that returns the logarithms of the sums too; None where there is none.

    Args:
        device: Where the model is.
        groups: Query heads to a head of keys.
    """
    kernel = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
    if device.type != "cpu" or kernel is None:
        return None
    return kernel if groups == 1 or _takes_groups(kernel) else None


@functools.cache
def _takes_groups(kernel: Callable[..., tuple[Tensor, Tensor]]) -> bool:
    """Whether query heads share heads of keys; torch 2.6 has each read its own and so reads past the last one.

    The keys tried are the first half of a larger block, so that nothing foreign is read.
    """
    block = torch.arange(4.0)[None, :, None, None].repeat(1, 1, 2, 8)
    try:
        output, _ = kernel(torch.zeros_like(block), block[:, :2], block[:, :2], 0.0, True, scale=1.0)
    except RuntimeError:
        return False
    return output[0, :, 0, 0].tolist() == [0, 0, 1, 1]


def blocks_of(tokens: int, scores_per_token: int, device: torch.device) -> list[tuple[int, int]]:
    """Splits a run of query tokens so that no block computes too many scores at once."""
    most = _MAX_SCORES_ON_CPU if device.type == "cpu" else _MAX_SCORES
    size = max(1, most // max(1, scores_per_token))
    return [(start, min(start + size, tokens)) for start in range(0, tokens, size)]
