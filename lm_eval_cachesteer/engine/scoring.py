"""Likelihoods of continuations: each shared prefix is fed once, logits are computed where a token is predicted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.decode import Score
from ..core.edit import CacheEdit
from .editing import edit_rows
from .forward import PackedModel
from .limits import Limits, tokens_in_a_pass
from .passes import Feed
from .prefixes import PrefixNode, PromptPath, prefix_tree
from .storage import RowStore, on_device
from .traversal import TreeRun

_LOGITS_AT_ONCE_ON_CPU = 1 << 20


@dataclass(frozen=True)
class ScoringRequest:
    """One continuation whose likelihood is wanted.

    Attributes:
        path: What is fed: the context, then the continuation without its last token.
        continuation: The tokens predicted by the last `len(continuation)` tokens of the path.
        cached: Tokens of the path that are in the cache when the edit is made, if there is one.
    """

    path: PromptPath
    continuation: Sequence[int]
    cached: int = 0


class Scorer:
    """Scores continuations with one packed model.

    Args:
        packed: The model.
        edit: The edit of each context; None for none.
        limits: Passes hold as many tokens as `limits.rows` whole requests.
        softmax_dtype: dtype of the log-softmax; by default the logits' own.
    """

    def __init__(
        self, packed: PackedModel, edit: CacheEdit | None, limits: Limits, softmax_dtype: torch.dtype | None = None
    ) -> None:
        self.packed = packed
        self.edit = edit
        self.limits = limits
        self.softmax_dtype = softmax_dtype

    @torch.inference_mode()
    def score(
        self, requests: Sequence[ScoringRequest], on_done: Callable[[int, Score], None] = lambda *_: None
    ) -> list[Score]:
        """Scores requests; what they share is fed once, whatever their order.

        Args:
            requests: The requests; a path has at least one token.
            on_done: Called with the index of each request and its score once it is complete.

        Returns:
            One score for each request.
        """
        self.requests = requests
        self.logprobs = [0.0] * len(requests)
        self.greedy = [True] * len(requests)
        self.missing = [len(request.continuation) for request in requests]
        self.on_done = on_done
        longest = max(len(request.path.tokens) for request in requests)
        tree = prefix_tree([request.path for request in requests], self.limits.share_prefixes)
        most = tokens_in_a_pass(self.packed.device)
        TreeRun(self.packed, self.limits, lambda: min(most, self.limits.rows * longest), self._visit, self._cost).run(
            tree
        )
        return [Score(*found) for found in zip(self.logprobs, self.greedy, strict=True)]

    def _visit(self, store: RowStore, feeds: Sequence[Feed], nodes: Sequence[PrefixNode]) -> None:
        """Feeds one pass, makes its edits, and reads the predictions it holds."""
        starts = itertools.accumulate((len(node.tokens) for node in nodes), initial=0)
        predictions = [
            (start + index, request, token)
            for start, node in zip(starts, nodes, strict=False)
            for index, request, token in self._predictions(node)
        ]
        wanted = sorted({index for index, _, _ in predictions})
        logits = self.packed.feed(store, feeds, wanted)
        if self.edit is not None:
            edited = [
                (slot, store.lengths[slot] - len(node.tokens) + node.edited)
                for slot, node in enumerate(nodes)
                if node.edited is not None
            ]
            edit_rows(self.edit, store, edited)
        if predictions:
            self._read(logits, {index: row for row, index in enumerate(wanted)}, predictions)

    def _cost(self, node: PrefixNode) -> int:
        """Its tokens; those whose logits are wanted count twice, as these take the most memory of a pass."""
        return len(node.tokens) + len({index for index, _, _ in self._predictions(node)})

    def _predictions(self, node: PrefixNode) -> Iterator[tuple[int, int, int]]:
        """The tokens predicted within a node: (index in the node, request, predicted token)."""
        for i in node.requests():
            request = self.requests[i]
            first = len(request.path.tokens) - len(request.continuation)
            for index in range(max(0, first - node.start), len(node.tokens)):
                place = node.start + index - first
                if place < len(request.continuation):
                    yield index, i, request.continuation[place]

    def _read(self, logits: Tensor, row_of: dict[int, int], predictions: Sequence[tuple[int, int, int]]) -> None:
        """Adds the log-probabilities of predicted tokens to their requests' scores."""
        rows = on_device([row_of[index] for index, _, _ in predictions], logits.device)
        tokens = on_device([token for _, _, token in predictions], logits.device)
        logits = logits.to(self.softmax_dtype or logits.dtype)
        logprobs = (logits[rows, tokens] - _logsumexp(logits)[rows]).tolist()
        greedy = (logits.argmax(dim=-1)[rows] == tokens).tolist()
        for (_, request, _), logprob, is_greedy in zip(predictions, logprobs, greedy, strict=True):
            self.logprobs[request] += logprob
            self.greedy[request] &= is_greedy
            self.missing[request] -= 1
            if not self.missing[request]:
                self.on_done(request, Score(self.logprobs[request], self.greedy[request]))


def _logsumexp(logits: Tensor) -> Tensor:
    """(rows, vocab) -> (rows,), a few rows at a time on a CPU, whose caches then hold what is computed in between."""
    at_once = max(1, _LOGITS_AT_ONCE_ON_CPU // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    return torch.cat([part.logsumexp(dim=-1) for part in torch.split(logits, at_once)])
