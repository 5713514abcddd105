"""Feeding a whole prefix tree: pass by pass, deepest first, so that little is kept at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .forward import PackedModel
from .limits import Limits
from .passes import Feed
from .prefixes import PrefixNode
from .storage import RowStore, Segment, is_read_together

# Feeds one pass and takes from it what it wants: the store, what is fed, and the nodes it comes from. A node's tokens
# are the last ones of its row.
Visit = Callable[[RowStore, Sequence[Feed], Sequence[PrefixNode]], None]
_Waiting = Sequence[tuple[PrefixNode, Segment | None]]


class TreeRun:
    """Feeds the nodes of a prefix tree, each once.

    Args:
        packed: The model.
        limits: How much memory; halved when it runs out.
        pass_tokens: Tokens that one pass may hold; longer nodes are fed alone.
        visit: Called for each pass, again if memory ran out in it.
        cost: How many tokens a node counts for in a pass.
    """

    def __init__(
        self,
        packed: PackedModel,
        limits: Limits,
        pass_tokens: Callable[[], int],
        visit: Visit,
        cost: Callable[[PrefixNode], int] = lambda node: len(node.tokens),
    ) -> None:
        self.packed = packed
        self.limits = limits
        self.pass_tokens = pass_tokens
        self.visit = visit
        self.cost = cost

    def run(self, tree: PrefixNode) -> None:
        """Feeds everything below the root."""
        children: _Waiting = [(child, None) for child in tree.children]
        levels = [(self._in_order(children, 0), 0)]  # nodes waiting, and the tokens that stay cached meanwhile
        with self.packed.attached():
            while levels:
                waiting, held = levels.pop()
                if not waiting:
                    continue
                chunk, segments, kept = self.limits.halving(partial(self._feed, waiting))
                levels.append((waiting[len(chunk) :], held))
                held += kept
                children = [(child, s) for (node, _), s in zip(chunk, segments, strict=True) for child in node.children]
                levels.append((self._in_order(children, held), held))

    def _in_order(self, nodes: _Waiting, held: int) -> _Waiting:
        """Nodes of similar length side by side; those too large for the memory are given to their children."""
        return sorted(self._affordable(nodes, held), key=lambda entry: -len(entry[0].tokens))

    def _affordable(self, nodes: _Waiting, held: int) -> list[tuple[PrefixNode, Segment | None]]:
        affordable: list[tuple[PrefixNode, Segment | None]] = []
        for node, prefix in nodes:
            fits = (held + len(node.tokens)) * self.packed.bytes_per_token <= self.limits.kv_bytes
            if fits or node.members or node.must_stand_alone or not node.children:
                affordable.append((node, prefix))
                continue
            for child in node.children:
                node.dissolve(child)
            affordable += self._affordable([(child, prefix) for child in node.children], held)
        return affordable

    def _feed(self, waiting: _Waiting) -> tuple[_Waiting, list[Segment | None], int]:
        """Feeds as many nodes as one pass may hold; returns them, their segments, and how many tokens these hold."""
        fed, kept = 0, 0
        chunk: list[tuple[PrefixNode, Segment | None]] = []
        for node, prefix in waiting:
            fed, kept = fed + self.cost(node), kept + _held(prefix) + len(node.tokens)
            if chunk and (fed > self.pass_tokens() or kept * self.packed.bytes_per_token > self.limits.kv_bytes):
                break
            chunk.append((node, prefix))
        store = RowStore(len(chunk), max(_held(prefix) + len(node.tokens) for node, prefix in chunk))
        feeds = []
        for slot, (node, prefix) in enumerate(chunk):
            if prefix is not None and _held(prefix):
                store.adopt(slot, prefix)
                prefix = None
            feeds.append(Feed(node.tokens, slot, prefix))
        self.visit(store, feeds, [node for node, _ in chunk])
        segments = [
            store.segment(f.slot, f.prefix) if node.children else None
            for f, (node, _) in zip(feeds, chunk, strict=True)
        ]
        return chunk, segments, sum(store.lengths)


def _held(prefix: Segment | None) -> int:
    """Shared tokens that a row holds itself."""
    return 0 if prefix is None or is_read_together(prefix.end) else prefix.end
