"""Prompts that wait for a row: what they share with others, computed once before their rows start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.edit import CacheEdit
from .editing import edit_rows
from .forward import PackedModel
from .passes import Feed, in_passes
from .prefixes import PrefixNode, pays
from .storage import RowStore, Segment


@dataclass(eq=False)
class SharedNode:
    """A shared node's keys and values while requests wait for them.

    Attributes:
        node: The node.
        waiting: Requests not yet admitted that need it.
        segment: Its keys and values, once they are computed.
    """

    node: PrefixNode
    waiting: int
    segment: Segment | None = None


@dataclass(eq=False)
class WaitingPrompt:
    """How one request is prefilled: shared nodes, first to last, then tokens of its own."""

    index: int
    shared: list[SharedNode]
    own: tuple[int, ...]
    edited: int | None

    @property
    def shared_tokens(self) -> int:
        """How many tokens lie in shared nodes."""
        return sum(len(part.node.tokens) for part in self.shared)


def waiting_prompts(tree: PrefixNode) -> list[WaitingPrompt]:
    """The requests in the order of the tree, each with its shared nodes and its own tokens.

    A leaf is shared if several requests end there (repeats of a prompt) and it pays; inner nodes always are.
    """
    shared: dict[PrefixNode, SharedNode] = {}
    prompts = []
    for chain in tree.chains():
        leaf = chain[-1]
        own = leaf if not leaf.children and not (len(leaf.members) > 1 and pays(leaf)) else None
        nodes = [node for node in chain if node is not own and node.tokens]
        parts = [shared.setdefault(node, SharedNode(node, waiting=node.users)) for node in nodes]
        for index in leaf.members:
            prompts.append(WaitingPrompt(index, parts, own.tokens if own else (), own.edited if own else None))
    return prompts


def prefill_shared(
    packed: PackedModel, edit: CacheEdit | None, prompts: Sequence[WaitingPrompt], most_tokens: int
) -> None:
    """Computes the shared nodes that prompts need, parents first, several in one pass.

    Args:
        packed: The model.
        edit: The edit of prompts that is part of what they share; None for none.
        prompts: The prompts; those of their nodes that are computed already are left alone.
        most_tokens: Tokens that one pass should hold.
    """
    for depth in range(max((len(prompt.shared) for prompt in prompts), default=0)):
        needed: dict[SharedNode, Segment | None] = {}
        for prompt in prompts:
            if depth < len(prompt.shared) and prompt.shared[depth].segment is None:
                needed[prompt.shared[depth]] = prompt.shared[depth - 1].segment if depth else None
        in_order = sorted(needed, key=lambda shared: -len(shared.node.tokens))
        for chunk in in_passes(in_order, lambda shared: len(shared.node.tokens), most_tokens):
            store = RowStore(len(chunk), max(len(shared.node.tokens) for shared in chunk))
            packed.feed(store, [Feed(s.node.tokens, slot, needed[s]) for slot, s in enumerate(chunk)], wanted=())
            if edit is not None:
                edited = [(slot, s.node.edited) for slot, s in enumerate(chunk) if s.node.edited is not None]
                edit_rows(edit, store, edited)
            for slot, shared in enumerate(chunk):
                shared.segment = store.segment(slot, needed[shared])
