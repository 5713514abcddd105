"""Likelihoods of continuations: each shared prefix is fed once, logits are computed where a token is predicted."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..core.decode import Score
from ..core.edit import CacheEdit
from .editing import edit_rows
from .forward import Feed, PackedModel
from .limits import Limits
from .prefixes import PrefixNode, PromptPath, prefix_tree
from .storage import RowStore, Segment, on_device


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
        self.longest = max(len(request.path.tokens) for request in requests)
        tree = prefix_tree([request.path for request in requests], self.limits.share_prefixes)
        self.predictions = _predictions(tree, requests)
        with self.packed.attached():
            self._descend([(child, None) for child in tree.children])
        return [Score(*found) for found in zip(self.logprobs, self.greedy, strict=True)]

    def _descend(self, nodes: Sequence[tuple[PrefixNode, Segment | None]], held: int = 0) -> None:
        """Feeds nodes pass by pass; what follows a pass is fed before the next one, so that little is kept.

        Args:
            nodes: Nodes with the tokens they follow.
            held: Cached tokens that stay alive meanwhile.
        """
        waiting = sorted(self._affordable(nodes, held), key=lambda entry: -len(entry[0].tokens))
        while waiting:
            chunk, segments = self.limits.halving(partial(self._feed, waiting))
            waiting = waiting[len(chunk) :]
            children = [(child, s) for (node, _), s in zip(chunk, segments, strict=True) for child in node.children]
            if children:
                self._descend(children, held + sum(len(node.tokens) for node, _ in chunk))

    def _affordable(
        self, nodes: Sequence[tuple[PrefixNode, Segment | None]], held: int
    ) -> list[tuple[PrefixNode, Segment | None]]:
        """The nodes, those too large for the memory given to their children."""
        affordable: list[tuple[PrefixNode, Segment | None]] = []
        for node, prefix in nodes:
            fits = (held + len(node.tokens)) * self.packed.bytes_per_token <= self.limits.kv_bytes
            if fits or node.members or node.must_stand_alone or not node.children:
                affordable.append((node, prefix))
                continue
            for child in node.children:
                self._hand_down(node, child)
            affordable += self._affordable([(child, prefix) for child in node.children], held)
        return affordable

    def _hand_down(self, node: PrefixNode, child: PrefixNode) -> None:
        shift = len(node.tokens)
        node.dissolve(child)
        moved = [(index + shift, request, token) for index, request, token in self.predictions.pop(child, [])]
        members = set(child.requests())
        kept = [entry for entry in self.predictions.get(node, []) if entry[1] in members]
        self.predictions[child] = kept + moved

    def _feed(
        self, waiting: Sequence[tuple[PrefixNode, Segment | None]]
    ) -> tuple[Sequence[tuple[PrefixNode, Segment | None]], list[Segment]]:
        """Feeds as many nodes as one pass may hold, and reads the predictions they make."""
        chunk = waiting[: self._size_of_pass([len(node.tokens) for node, _ in waiting])]
        store = RowStore(len(chunk), max(len(node.tokens) for node, _ in chunk))
        feeds = [Feed(node.tokens, slot, prefix) for slot, (node, prefix) in enumerate(chunk)]
        starts = itertools.accumulate((len(node.tokens) for node, _ in chunk), initial=0)
        predictions = [
            (start + index, request, token)
            for start, (node, _) in zip(starts, chunk, strict=False)
            for index, request, token in self.predictions.get(node, ())
        ]
        wanted = sorted({index for index, _, _ in predictions})
        logits = self.packed.feed(store, feeds, wanted)
        if self.edit is not None:
            edited = [(slot, node.edited) for slot, (node, _) in enumerate(chunk) if node.edited is not None]
            edit_rows(self.edit, store, edited)
        self._read(logits, wanted, predictions)
        return chunk, [store.segment(slot, prefix) for slot, (_, prefix) in enumerate(chunk)]

    def _size_of_pass(self, lengths: Sequence[int]) -> int:
        most = min(self.limits.rows * self.longest, self.limits.kv_bytes // self.packed.bytes_per_token)
        totals = itertools.accumulate(lengths)
        return max(1, sum(1 for total in totals if total <= most))

    def _read(self, logits: Tensor, wanted: Sequence[int], predictions: Sequence[tuple[int, int, int]]) -> None:
        """Adds the log-probabilities of predicted tokens to their requests' scores."""
        if not predictions:
            return
        row_of = {index: row for row, index in enumerate(wanted)}
        rows = on_device([row_of[index] for index, _, _ in predictions], logits.device)
        tokens = on_device([token for _, _, token in predictions], logits.device)
        logits = logits.to(self.softmax_dtype or logits.dtype)
        logprobs = (logits[rows, tokens] - logits.logsumexp(dim=-1)[rows]).tolist()
        greedy = (logits.argmax(dim=-1)[rows] == tokens).tolist()
        for (_, request, _), logprob, is_greedy in zip(predictions, logprobs, greedy, strict=True):
            self.logprobs[request] += logprob
            self.greedy[request] &= is_greedy
            self.missing[request] -= 1
            if not self.missing[request]:
                self.on_done(request, Score(self.logprobs[request], self.greedy[request]))


def _predictions(tree: PrefixNode, requests: Sequence[ScoringRequest]) -> dict[PrefixNode, list[tuple[int, int, int]]]:
    """For each node the tokens predicted there: (index in the node, request, predicted token)."""
    predictions: dict[PrefixNode, list[tuple[int, int, int]]] = {}
    for chain in tree.chains():
        ends = list(itertools.accumulate(len(node.tokens) for node in chain))
        for request in chain[-1].members:
            continuation = requests[request].continuation
            first = ends[-1] - len(continuation)
            for position, token in enumerate(continuation, start=first):
                which = bisect.bisect_right(ends, position)
                index = position - ends[which] + len(chain[which].tokens)
                predictions.setdefault(chain[which], []).append((index, request, token))
    return predictions
