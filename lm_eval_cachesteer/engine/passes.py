"""What one pass feeds, and who attends to what in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import Partial, Scoring, attend, blocks_of, causal_kernel
from .storage import RowStore, Segment, on_device

Item = TypeVar("Item")

# Rows attend to their own tokens together, padded to the longest; shorter ones than this share of it go apart.
_SIMILAR_LENGTH = 0.75
# Rows that are fed no more than this, in decode steps, always attend together.
_FEW_TOKENS = 8


@dataclass(frozen=True)
class Feed:
    """New tokens of one row.

    Attributes:
        tokens: What is fed, at least one token.
        slot: The row's place in the store.
        prefix: The shared tokens before the row's own; None for none.
    """

    tokens: Sequence[int]
    slot: int
    prefix: Segment | None = None


class RowGroup:
    """Rows of similar length, side by side in a pass, attending to their own tokens.

    Args:
        store: Where these lie.
        slots: The rows' places in it.
        held: Tokens that each row had.
        counts: Tokens that each is fed.
        start: The first of these among all tokens of the pass.
        device: Where the model is.
    """

    def __init__(
        self,
        store: RowStore,
        slots: Sequence[int],
        held: Sequence[int],
        counts: Sequence[int],
        start: int,
        device: torch.device,
    ) -> None:
        self.store = store
        self.rows, self.longest = len(slots), max(counts)
        self.columns = max(h + c for h, c in zip(held, counts, strict=True))
        self.most_held = max(held)
        self.tokens = slice(start, start + sum(counts))
        side_by_side = list(slots) == list(range(slots[0], slots[0] + self.rows))
        self.slots = slice(slots[0], slots[0] + self.rows) if side_by_side else on_device(list(slots), device)
        self.ragged = min(counts) < self.longest
        if self.ragged:
            places = [(row, i) for row, count in enumerate(counts) for i in range(count)]
            self.token_rows = on_device([row for row, _ in places], device)
            self.token_indices = on_device([i for _, i in places], device)
            first = itertools.accumulate(counts, initial=0)
            last_repeated = [
                f + min(i, c - 1) for f, c in zip(first, counts, strict=False) for i in range(self.longest)
            ]
            self.padded_tokens = on_device(last_repeated, device)
        self.held = on_device(list(held), device)
        self.counts = on_device(list(counts), device)
        self.all_equal = min(held) == max(held) and not self.ragged
        self._masks: dict[tuple[int, int, int | None], Tensor | None] = {}
        self._group_masks: dict[tuple[int, int | None, torch.dtype], Tensor | None] = {}

    def alone(self, layer: int, query: Tensor, scoring: Scoring) -> Tensor:
        """Attention of rows that share nothing, by torch's own kernels.

        Args:
            layer: Layer number.
            query: (n_kv_heads, groups, tokens of this group, head_dim).
            scoring: How scores are computed; without softcap.

        Returns:
            (tokens, heads, head_dim of the values).
        """
        heads, groups, _, _ = query.shape
        keys, values = self._kept(layer, self.columns)
        if self.longest <= _FEW_TOKENS:  # the heads of a group are further queries, so that keys are read once for all
            mask = self._mask_of_groups(groups if self.longest > 1 else 1, scoring.window, query.dtype)
            output = F.scaled_dot_product_attention(
                self._padded(query).flatten(2, 3), keys, values, attn_mask=mask, scale=scoring.scale
            )
            by_token = output.reshape(self.rows, heads, groups, self.longest, -1).permute(0, 3, 1, 2, 4)
            return self._unpadded(by_token.flatten(2, 3))
        causal = self._is_causal(scoring)
        mask = None if causal else self._mask(0, self.longest, self.columns, scoring.window)
        output = F.scaled_dot_product_attention(
            self._padded(query).flatten(1, 2),
            keys,
            values,
            attn_mask=None if mask is None else mask[:, 0].to(query.dtype),
            is_causal=causal,
            scale=scoring.scale,
            enable_gqa=groups > 1,
        )
        return self._unpadded(output.transpose(1, 2))

    def partial(self, layer: int, query: Tensor, scoring: Scoring) -> Partial:
        """As `alone`, to be merged with attention to what rows share; over (heads, tokens)."""
        heads, groups, _, _ = query.shape
        padded = self._padded(query)
        kernel = causal_kernel(query.device, groups)
        if kernel is not None and scoring.softcap is None and self._is_causal(scoring):
            keys, values = self._kept(layer, self.columns)
            narrow = values.dtype  # autocast leaves queries and keys wider, which only torch's own front door allows
            output, log_total = kernel(
                padded.flatten(1, 2).to(narrow), keys.to(narrow), values, 0.0, True, scale=scoring.scale
            )
            maximum = self._unpadded(log_total[..., None].transpose(1, 2)).transpose(0, 1).float()
            found = self._unpadded(output.transpose(1, 2)).transpose(0, 1).float()
            return Partial(found, maximum, torch.ones_like(maximum))
        parts = []
        for start, end in blocks_of(self.longest, self.rows * heads * groups * self.columns, query.device):
            columns = min(self.columns, self.most_held + end)
            keys, values = self._kept(layer, columns)
            mask = self._mask(start, end, columns, scoring.window)
            parts.append(attend(padded[:, :, :, start:end], keys, values, scoring, mask))

        def unpadded(name: str) -> Tensor:
            whole = torch.cat([getattr(part, name) for part in parts], dim=3) if parts[1:] else getattr(parts[0], name)
            return self._unpadded(whole.flatten(1, 2).transpose(1, 2)).transpose(0, 1)

        return Partial(unpadded("output"), unpadded("maximum"), unpadded("total"))

    def _is_causal(self, scoring: Scoring) -> bool:
        """Whether every token sees just the tokens fed before it in its row."""
        return self.most_held == 0 and (scoring.window is None or self.columns <= scoring.window)

    def _kept(self, layer: int, columns: int) -> tuple[Tensor, Tensor]:
        """Keys and values of these rows: (rows, n_kv_heads, columns, head_dim)."""
        return self.store.keys[layer][self.slots, :, :columns], self.store.values[layer][self.slots, :, :columns]

    def _padded(self, query: Tensor) -> Tensor:
        """(n_kv_heads, groups, tokens, width) -> (rows, n_kv_heads, groups, longest, width)."""
        padded = query.index_select(2, self.padded_tokens) if self.ragged else query
        heads, groups, _, width = query.shape
        return padded.view(heads, groups, self.rows, self.longest, width).permute(2, 0, 1, 3, 4)

    def _unpadded(self, output: Tensor) -> Tensor:
        """(rows, longest, heads, width) -> (tokens, heads, width)."""
        return output[self.token_rows, self.token_indices] if self.ragged else output.flatten(0, 1)

    def _mask(self, start: int, end: int, columns: int, window: int | None) -> Tensor | None:
        """(rows, 1, 1, end - start, columns), 0 or -inf; None if every token may look everywhere."""
        key = (start, end, window)
        if key not in self._masks:
            everywhere = self.longest == 1 and self.all_equal and (window is None or columns <= window)
            self._masks[key] = None if everywhere else self._build_mask(start, end, columns, window)
        return self._masks[key]

    def _mask_of_groups(self, groups: int, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """(rows, 1, groups * longest, columns): the same for every query head of a group."""
        key = (groups, window, dtype)
        if key not in self._group_masks:
            self._group_masks[key] = self._build_mask_of_groups(*key)
        return self._group_masks[key]

    def _build_mask_of_groups(self, groups: int, window: int | None, dtype: torch.dtype) -> Tensor | None:
        mask = self._mask(0, self.longest, self.columns, window)
        return None if mask is None else mask.expand(-1, -1, groups, -1, -1).flatten(2, 3).to(dtype)

    def _build_mask(self, start: int, end: int, columns: int, window: int | None) -> Tensor:
        tokens = torch.arange(start, end, device=self.held.device)
        own = self.held[:, None] + torch.minimum(tokens, self.counts[:, None] - 1)
        behind = own[:, :, None] - torch.arange(columns, device=own.device)
        allowed = behind >= 0 if window is None else (behind >= 0) & (behind < window)
        return additive(allowed)[:, None, None]


class Pass:
    """The new tokens of a pass, one row's after another's, and what each attends to; the same for all layers.

    Args:
        store: Where the rows' own keys and values lie.
        feeds: What is fed, at most one entry for each row.
        device: Where the model is.
        filled: To how many tokens so many are filled up for the model's products; nothing comes of the others.

    Attributes:
        tokens: How many are fed.
        input_ids: (1, tokens), filled up.
        position_ids: (1, tokens), filled up.
        last_tokens: The last token of each row among all tokens.
    """

    def __init__(
        self, store: RowStore, feeds: Sequence[Feed], device: torch.device, filled: Callable[[int], int]
    ) -> None:
        self.store = store
        counts = [len(feed.tokens) for feed in feeds]
        held = [store.lengths[feed.slot] for feed in feeds]
        starts = [feed.prefix.end if feed.prefix is not None else 0 for feed in feeds]
        store.reserve(max(h + c for h, c in zip(held, counts, strict=True)))
        bounds = [0, *itertools.accumulate(counts)]
        tokens = [(row, i) for row, count in enumerate(counts) for i in range(count)]
        self.tokens = len(tokens)
        self.filling = filled(self.tokens) - self.tokens
        unused = [0] * self.filling
        self.input_ids = on_device([t for feed in feeds for t in feed.tokens] + unused, device)[None]
        self.position_ids = on_device([starts[row] + held[row] + i for row, i in tokens] + unused, device)[None]
        self.token_slots = on_device([feeds[row].slot for row, _ in tokens], device)
        self.token_columns = on_device([held[row] + i for row, i in tokens], device)
        self.last_tokens = [bound - 1 for bound in bounds[1:]]
        self.groups = [
            RowGroup(store, [f.slot for f in feeds[a:b]], held[a:b], counts[a:b], bounds[a], device)
            for a, b in _runs_of_similar_length(counts)
        ]
        self.shared = _shared_segments(feeds, bounds, device)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scoring: Scoring, sinks: Tensor | None
    ) -> Tensor:
        """Stores the new keys and values of a layer, then attends to everything before and among them.

        Args:
            layer: Layer number.
            query: (heads, tokens, head_dim), filled up as the tokens are.
            key: (n_kv_heads, tokens, head_dim).
            value: (n_kv_heads, tokens, head_dim of the values).
            scoring: How scores are computed.
            sinks: (heads,) scores of an extra key without value (GPT-OSS); None for none.

        Returns:
            (tokens, heads, head_dim of the values), filled up.
        """
        if not self.filling:
            return self._attend(layer, query, key, value, scoring, sinks)
        query, key, value = (states[:, : self.tokens] for states in (query, key, value))
        return F.pad(self._attend(layer, query, key, value, scoring, sinks), (0, 0, 0, 0, 0, self.filling))

    def _attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scoring: Scoring, sinks: Tensor | None
    ) -> Tensor:
        self.store.write(layer, self.token_slots, self.token_columns, key, value)
        self.store.windows[layer] = scoring.window
        grouped = query.reshape(key.shape[0], -1, *query.shape[1:])
        if not self.shared and scoring.softcap is None and sinks is None:
            return _joined((group.alone(layer, grouped[:, :, group.tokens], scoring) for group in self.groups), 0)
        parts = [group.partial(layer, grouped[:, :, group.tokens], scoring) for group in self.groups]
        partial = Partial(
            _joined((part.output for part in parts), 1).contiguous(),
            _joined((part.maximum for part in parts), 1).contiguous(),
            _joined((part.total for part in parts), 1).contiguous(),
        )
        for segment, where in self.shared:
            partial.merge(self._to_segment(segment, where, layer, grouped, scoring), where)
        if sinks is not None:
            sink = sinks.float().view(-1, 1, 1)
            unit = torch.ones_like(partial.total)
            partial.merge(Partial(torch.zeros_like(partial.output), sink * unit, unit), slice(None))
        return partial.normalized().to(query.dtype).transpose(0, 1)

    def _to_segment(
        self, segment: Segment, where: slice | Tensor, layer: int, query: Tensor, scoring: Scoring
    ) -> Partial:
        """Attention of some tokens to shared ones; over (heads, tokens)."""
        heads, groups = query.shape[:2]
        mine = query[:, :, where]
        positions = self.position_ids[0, where]
        keys, values = segment.keys[layer], segment.values[layer]
        window = scoring.window
        parts = []
        for start, end in blocks_of(mine.shape[2], heads * groups * keys.shape[1], query.device):
            mask = None
            if window is not None and int(positions.max()) - segment.start >= window:
                behind = positions[start:end, None] - torch.arange(segment.start, segment.end, device=keys.device)
                mask = additive(behind < window)
            parts.append(attend(mine[None, :, :, start:end], keys[None], values[None], scoring, mask))

        def flat(name: str) -> Tensor:
            return _joined((getattr(part, name)[0] for part in parts), 2).flatten(0, 1)

        return Partial(flat("output"), flat("maximum"), flat("total"))


def in_passes(items: Iterable[Item], length: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Splits items, in order, into passes of at most so many tokens, one item at least."""
    chunk: list[Item] = []
    tokens = 0
    for item in items:
        if chunk and tokens + length(item) > most:
            yield chunk
            chunk, tokens = [], 0
        chunk.append(item)
        tokens += length(item)
    if chunk:
        yield chunk


def additive(allowed: Tensor) -> Tensor:
    """0 where allowed, -inf elsewhere."""
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -torch.inf)


def _joined(tensors: Iterable[Tensor], dim: int) -> Tensor:
    whole = list(tensors)
    return torch.cat(whole, dim=dim) if len(whole) > 1 else whole[0]


def _runs_of_similar_length(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Splits rows, in order, where lengths differ too much to pad them together."""
    runs, start, shortest, longest = [], 0, counts[0], counts[0]
    for row, count in enumerate(counts):
        most = max(longest, count)
        if most > _FEW_TOKENS and min(shortest, count) < _SIMILAR_LENGTH * most - 1:
            runs.append((start, row))
            start, shortest, longest = row, count, count
        shortest, longest = min(shortest, count), max(longest, count)
    return [*runs, (start, len(counts))]


def _shared_segments(
    feeds: Sequence[Feed], bounds: Sequence[int], device: torch.device
) -> list[tuple[Segment, slice | Tensor]]:
    """Every segment of the pass with the tokens that attend to it; a slice where they lie side by side."""
    rows: dict[int, tuple[Segment, list[int]]] = {}
    for row, feed in enumerate(feeds):
        for segment in feed.prefix.chain() if feed.prefix is not None else ():
            rows.setdefault(id(segment), (segment, []))[1].append(row)
    shared: list[tuple[Segment, slice | Tensor]] = []
    for segment, users in rows.values():
        if users == list(range(users[0], users[-1] + 1)):
            shared.append((segment, slice(bounds[users[0]], bounds[users[-1] + 1])))
        else:
            tokens = [token for row in users for token in range(bounds[row], bounds[row + 1])]
            shared.append((segment, on_device(tokens, device)))
    return shared
