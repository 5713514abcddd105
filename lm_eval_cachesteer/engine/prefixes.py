"""Finding what prompts have in common: a tree over token ids whose nodes are computed once.

The edit belongs to a prompt, not to its tokens: the edited token of one prompt may be an ordinary token of another.
So a node that holds an edited token is shared only by prompts edited at the same place, with the same tokens up to
where the edit is made; it ends there, because later tokens see the edited cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

# Sharing a node saves the prefill of its tokens for all users but one and costs a pass of its own, about as much as
# this many tokens in a larger pass.
MIN_SAVED_TOKENS = 16


@dataclass(frozen=True)
class PromptPath:
    """The tokens that one request feeds, in order.

    Attributes:
        tokens: Token ids.
        edited: Index of the edited token; None if nothing is edited.
        boundary: Number of tokens in the cache when the edit is made (more than `edited`).
    """

    tokens: Sequence[int]
    edited: int | None = None
    boundary: int = 0


@dataclass(eq=False)
class PrefixNode:
    """A run of tokens that a set of requests have in common.

    Attributes:
        tokens: Token ids.
        start: Position of the first one.
        edited: Index in `tokens` of the edited token; None if it is elsewhere or nowhere.
        children: What follows.
        members: Requests whose path ends with this node.
        users: Number of requests whose path goes through this node.
    """

    tokens: tuple[int, ...]
    start: int = 0
    edited: int | None = None
    children: list[PrefixNode] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    users: int = 0

    @property
    def saved(self) -> int:
        """Tokens whose prefill is spared because this node is computed once."""
        return (self.users - 1) * len(self.tokens)

    @property
    def must_stand_alone(self) -> bool:
        """Whether later tokens depend on an edit made at the end of this node."""
        return self.edited is not None and bool(self.children)

    def dissolve(self, child: PrefixNode) -> None:
        """Gives this node's tokens to one of its children."""
        if child.edited is not None:
            child.edited += len(self.tokens)
        elif self.edited is not None:
            raise ValueError("A node whose edit precedes other tokens cannot be dissolved.")
        child.tokens = self.tokens + child.tokens
        child.start = self.start

    def chains(self) -> Iterator[list[PrefixNode]]:
        """The way from this node to each node at which requests end."""
        work = [[self]]
        while work:
            chain = work.pop()
            if chain[-1].members:
                yield chain
            work += [[*chain, child] for child in reversed(chain[-1].children)]

    def requests(self) -> Iterator[int]:
        """All requests whose path goes through this node, in the order of the tree."""
        return (request for chain in self.chains() for request in chain[-1].members)


def prefix_tree(paths: Sequence[PromptPath], share: bool = True) -> PrefixNode:
    """The radix tree of the paths, without the nodes that do not pay.

    Args:
        paths: One path for each request.
        share: Whether requests share anything; if not, each has a branch of its own.

    Returns:
        The root, whose tokens are empty; its children are in a fixed order that does not depend on the order of the
        paths.
    """
    if not share:
        return _unshared_tree(paths)
    edits = sorted({_region(path) for path in paths})
    regions = {region: i for i, region in enumerate(edits)}
    symbols = [_symbols(path, regions) for path in paths]
    order = sorted(range(len(paths)), key=lambda i: (symbols[i].tobytes(), i))
    root = PrefixNode((), users=len(paths))
    work = [(0, len(order), 0, root)]
    while work:
        low, high, depth, parent = work.pop()
        while low < high and len(symbols[order[low]]) == depth:
            parent.members.append(order[low])
            low += 1
        while low < high:
            first = symbols[order[low]]
            last = low + 1
            while last < high and symbols[order[last]][depth] == first[depth]:
                last += 1
            end = _end_of_region(first, depth, _common_length(first, symbols[order[last - 1]]))
            path = paths[order[low]]
            within = path.edited is not None and depth <= path.edited < end <= path.boundary
            node = PrefixNode(
                tuple(path.tokens[depth:end]),
                start=depth,
                edited=path.edited - depth if within and path.edited is not None else None,
                users=last - low,
            )
            parent.children.append(node)
            work.append((low, last, end, node))
            low = last
    _prune(root)
    return root


def _unshared_tree(paths: Sequence[PromptPath]) -> PrefixNode:
    root = PrefixNode((), users=len(paths))
    for i, path in enumerate(paths):
        alone = prefix_tree([path])
        root.children += alone.children
        root.members += [i] * len(alone.members)
        for chain in alone.chains():
            chain[-1].members = [i] * len(chain[-1].members)
    return root


def _region(path: PromptPath) -> tuple[int, ...]:
    """Tokens from the edited one to the boundary."""
    return () if path.edited is None else tuple(path.tokens[path.edited : path.boundary])


def _symbols(path: PromptPath, regions: dict[tuple[int, ...], int]) -> np.ndarray:
    """Token ids, the region from the edited token to the boundary replaced by one negative number for its tokens."""
    symbols = np.asarray(path.tokens, dtype=np.int64)
    if path.edited is not None:
        symbols = symbols.copy()
        symbols[path.edited : path.boundary] = -1 - regions[_region(path)]
    return symbols


def _common_length(first: np.ndarray, second: np.ndarray) -> int:
    length = min(len(first), len(second))
    different = np.flatnonzero(first[:length] != second[:length])
    return int(different[0]) if len(different) else length


def _end_of_region(symbols: np.ndarray, start: int, end: int) -> int:
    """Where a node from `start` has to end: after the first edited region, at the latest at `end`."""
    negative = np.flatnonzero(symbols[start:end] < 0)
    if not len(negative):
        return end
    begin = start + int(negative[0])
    after = np.flatnonzero(symbols[begin:end] != symbols[begin])
    return begin + int(after[0]) if len(after) else end


def _prune(root: PrefixNode) -> None:
    """Dissolves nodes that save too little, from the leaves up; the root has no tokens to save."""
    work, order = [root], []
    while work:
        node = work.pop()
        order.append(node)
        work += node.children
    for node in reversed(order):
        kept = []
        for child in node.children:
            if child.children and not child.members and not pays(child) and not child.must_stand_alone:
                for grandchild in child.children:
                    child.dissolve(grandchild)
                kept += child.children
            else:
                kept.append(child)
        node.children = kept


def pays(node: PrefixNode) -> bool:
    """Whether computing a node once saves more than its pass costs."""
    return node.saved >= MIN_SAVED_TOKENS
