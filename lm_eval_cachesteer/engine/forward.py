"""One packed pass: new tokens of many rows side by side, without padding, each row with its own past.

The model's own code computes everything but attention. It is called with all new tokens as one sequence, the right
position of each, and an attention function that knows which row each token belongs to. That function also stores
the keys and values, so no cache object passes through the model.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from .attention import Partial, Scoring, attend, blocks_of
from .packing import PackedWeights, can_pack
from .storage import RowStore, Segment, on_device

IMPLEMENTATION = "cachesteer"
# Packing a model's weights takes as long as a few decode steps and makes each faster by a fifth.
_STEPS_WORTH_PACKING = 64


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


class PackedModel:
    """A model run in packed passes.

    Args:
        model: A decoder-only model to which `why_not` has no objection.
        autocast: Makes the context of each pass, for mixed precision.
    """

    def __init__(
        self, model: PreTrainedModel, autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> None:
        self.model = model
        self.device = model.device
        self.autocast = autocast
        self._weights: PackedWeights | None = None

    @cached_property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values in all layers, found by feeding one."""
        store = RowStore(1, 1)
        with torch.inference_mode(), self.attached():
            self.feed(store, [Feed([0], 0)])
        tensors: list[Tensor] = [*store.keys.values(), *store.values.values()]
        return sum(tensor.shape[1] * tensor.shape[3] * tensor.element_size() for tensor in tensors)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Runs the model's attention through this module while the block lasts."""
        configs = {id(m.config): m.config for m in self.model.modules() if hasattr(m, "config")}.values()
        before = [(config, config._attn_implementation_internal) for config in configs]
        try:
            for config in configs:
                config._attn_implementation_internal = IMPLEMENTATION
            yield
        finally:
            for config, implementation in before:
                config._attn_implementation_internal = implementation

    @contextmanager
    def decoding(self, rows: int, steps: int) -> Iterator[None]:
        """For many decode steps of this many rows: weights packed for them, where that is possible and pays."""
        if steps < _STEPS_WORTH_PACKING or not can_pack(self.model, rows):
            yield
            return
        if self._weights is None or self._weights.rows != rows or not self._weights.is_current:
            self._weights = None  # its memory goes before more is taken
            self._weights = PackedWeights(self.model, rows)
        with self._weights.attached():
            yield

    def feed(self, store: RowStore, feeds: Sequence[Feed], wanted: Sequence[int] | None = None) -> Tensor:
        """Feeds tokens; the store's rows grow by them.

        Args:
            store: Where the rows' own keys and values lie; it must have room.
            feeds: The new tokens, at most one entry for each row.
            wanted: Indices into all new tokens, in order, whose logits are needed; None for the last of each row.

        Returns:
            (wanted, vocab) logits.
        """
        work = Pass(store, feeds, self.device)
        if wanted is None:
            wanted = work.last_tokens
        logits = self.run(self.model, work, on_device(list(wanted) or [0], self.device))
        for feed in feeds:
            store.lengths[feed.slot] += len(feed.tokens)
        return logits[: len(wanted)]

    def run(self, forward: Callable[..., Any], work: "Pass", wanted: Tensor) -> Tensor:
        """Calls the model, or its compiled forward, on a pass that is laid out; returns (wanted, vocab) logits."""
        global _running
        outer, _running = _running, work
        try:
            with self.autocast():
                logits: Tensor = forward(
                    input_ids=work.input_ids, position_ids=work.position_ids, use_cache=False, logits_to_keep=wanted
                ).logits
            return logits[0]
        finally:
            _running = outer


_running: "Pass | None" = None


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - the pass knows who may look where
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in place of its own attention: (1, heads, tokens, width) -> (1, tokens, heads, width)."""
    if _running is None:
        raise RuntimeError("Attention of a packed pass was called outside of one.")
    scoring = Scoring(query.shape[-1] ** -0.5 if scaling is None else scaling, softcap, sliding_window)
    output = _running.attend(module.layer_idx, query[0], key[0], value[0], scoring, s_aux)  # type: ignore[arg-type]
    return output[None], None


AttentionInterface.register(IMPLEMENTATION, _attention)


class Pass:
    """Who attends to what in one pass; shared by all layers."""

    store: RowStore
    rows: int  # rows that are fed
    longest: int  # most tokens fed in one of them
    columns: int  # most tokens of its own that one of them then has
    slots: Tensor | None  # their places in the store; None if they are the first ones in order
    shared: "list[tuple[Segment, slice | Tensor]]"  # what rows share, and which of the new tokens see it
    input_ids: Tensor
    position_ids: Tensor
    token_slots: Tensor  # for each new token, where it is stored
    token_columns: Tensor
    held_by_row: Tensor  # tokens of its own that each row had
    counts_by_row: Tensor  # and is fed

    def __init__(self, store: RowStore, feeds: Sequence[Feed], device: torch.device) -> None:
        self.store = store
        counts = [len(feed.tokens) for feed in feeds]
        self.held = [store.lengths[feed.slot] for feed in feeds]
        starts = [feed.prefix.end if feed.prefix is not None else 0 for feed in feeds]
        self.rows, self.longest = len(feeds), max(counts)
        self.columns = max(held + count for held, count in zip(self.held, counts, strict=True))
        store.reserve(self.columns)
        tokens = [(row, i) for row, count in enumerate(counts) for i in range(count)]
        self.input_ids = on_device([t for feed in feeds for t in feed.tokens], device)[None]
        self.position_ids = on_device([starts[row] + self.held[row] + i for row, i in tokens], device)[None]
        self.token_slots = on_device([feeds[row].slot for row, _ in tokens], device)
        self.token_columns = on_device([self.held[row] + i for row, i in tokens], device)
        ends = list(torch.tensor(counts).cumsum(0).tolist())
        self.last_tokens = [end - 1 for end in ends]
        slots = [feed.slot for feed in feeds]
        self.slots = None if slots == list(range(self.rows)) else on_device(slots, device)
        self.ragged = len(tokens) != self.rows * self.longest
        if self.ragged:
            self.token_rows = on_device([row for row, _ in tokens], device)
            self.token_indices = on_device([i for _, i in tokens], device)
        self.held_by_row = on_device(self.held, device)
        self.counts_by_row = on_device(counts, device)
        self.shared = _shared_segments(feeds, [0, *ends], device)
        self._masks: dict[tuple[int, int, int | None], Tensor | None] = {}

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scoring: Scoring, sinks: Tensor | None
    ) -> Tensor:
        """Stores the new keys and values of a layer, then attends to everything before and among them.

        Args:
            layer: Layer number.
            query: (heads, tokens, head_dim).
            key: (n_kv_heads, tokens, head_dim).
            value: (n_kv_heads, tokens, head_dim of the values).
            scoring: How scores are computed.
            sinks: (heads,) scores of an extra key without value (GPT-OSS); None for none.

        Returns:
            (tokens, heads, head_dim of the values).
        """
        self.store.write(layer, self.token_slots, self.token_columns, key, value)
        grouped = query.view(key.shape[0], -1, *query.shape[1:])
        if self.longest == 1 and not self.shared and scoring.softcap is None and sinks is None:
            return self._decode(layer, grouped, scoring)
        partial = self._own(layer, grouped, scoring)
        for segment, where in self.shared:
            self._merge_shared(partial, segment, where, layer, grouped, scoring)
        if sinks is not None:
            sink = sinks.float().view(*partial.total.shape[:1], 1, 1)
            unit = torch.ones_like(partial.total)
            partial.merge(Partial(torch.zeros_like(partial.output), sink * unit, unit), slice(None))
        return partial.normalized().to(query.dtype).transpose(0, 1)

    def _decode(self, layer: int, query: Tensor, scoring: Scoring) -> Tensor:
        """One token for each row, nothing shared: the heads of a group are the queries of torch's own attention."""
        heads, groups, rows, _ = query.shape
        keys, values = self._held(layer)
        mask = self._mask(0, 1, self.columns, scoring.window)
        output = F.scaled_dot_product_attention(
            query.permute(2, 0, 1, 3),
            keys,
            values,
            attn_mask=None if mask is None else mask[:, 0].to(query.dtype),
            scale=scoring.scale,
        )
        return output.reshape(rows, heads * groups, -1)

    def _held(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the rows of this pass: (rows, n_kv_heads, columns, head_dim)."""
        keys, values = self.store.keys[layer], self.store.values[layer]
        rows = slice(self.rows) if self.slots is None else self.slots
        return keys[rows, :, : self.columns], values[rows, :, : self.columns]

    def _own(self, layer: int, query: Tensor, scoring: Scoring) -> Partial:
        """Attention to the row's own tokens: (n_kv_heads, groups, tokens, head_dim) -> partial over (heads, tokens)."""
        heads, groups, tokens, width = query.shape
        keys, values = self._held(layer)
        if self.ragged:
            padded = query.new_zeros(self.rows, self.longest, heads, groups, width)
            padded[self.token_rows, self.token_indices] = query.permute(2, 0, 1, 3)
        else:
            padded = query.permute(2, 0, 1, 3).reshape(self.rows, self.longest, heads, groups, width)
        padded = padded.permute(0, 2, 3, 1, 4)
        parts = []
        for start, end in blocks_of(self.longest, self.rows * heads * groups * self.columns, query.device):
            columns = min(self.columns, max(self.held) + end)
            mask = self._mask(start, end, columns, scoring.window)
            parts.append(
                attend(padded[:, :, :, start:end], keys[:, :, :columns], values[:, :, :columns], scoring, mask)
            )

        def unpad(name: str) -> Tensor:
            whole = [getattr(part, name) for part in parts]
            tensor = (whole[0] if len(whole) == 1 else torch.cat(whole, dim=3)).permute(0, 3, 1, 2, 4)
            flat = tensor[self.token_rows, self.token_indices] if self.ragged else tensor.reshape(-1, *tensor.shape[2:])
            return flat.reshape(tokens, heads * groups, -1).transpose(0, 1).contiguous()

        return Partial(unpad("output"), unpad("maximum"), unpad("total"))

    def _merge_shared(
        self, partial: Partial, segment: Segment, where: slice | Tensor, layer: int, query: Tensor, scoring: Scoring
    ) -> None:
        heads, groups = query.shape[:2]
        mine = query[:, :, where]
        positions = self.position_ids[0, where]
        keys, values = segment.keys[layer], segment.values[layer]
        parts = []
        for start, end in blocks_of(mine.shape[2], heads * groups * keys.shape[1], query.device):
            mask = None
            if scoring.window is not None and int(positions.max()) - segment.start >= scoring.window:
                behind = positions[start:end, None] - torch.arange(segment.start, segment.end, device=keys.device)
                mask = _additive(behind < scoring.window)
            parts.append(attend(mine[None, :, :, start:end], keys[None], values[None], scoring, mask))

        def joined(name: str) -> Tensor:
            whole = [getattr(part, name)[0] for part in parts]
            tensor = whole[0] if len(whole) == 1 else torch.cat(whole, dim=2)
            return tensor.reshape(heads * groups, mine.shape[2], -1)

        partial.merge(Partial(joined("output"), joined("maximum"), joined("total")), where)

    def _mask(self, start: int, end: int, columns: int, window: int | None) -> Tensor | None:
        """(rows, 1, 1, end - start, columns), 0 or -inf; None if every token may look everywhere."""
        key = (start, end, window)
        if key not in self._masks:
            self._masks[key] = self._build_mask(start, end, columns, window)
        return self._masks[key]

    def _sees_everything(self, window: int | None) -> bool:
        """Whether single tokens may look at all columns, because all rows are of one length."""
        return min(self.held) == max(self.held) and (window is None or self.columns <= window)

    def _build_mask(self, start: int, end: int, columns: int, window: int | None) -> Tensor | None:
        if end - start == 1 and self._sees_everything(window):
            return None
        tokens = torch.arange(start, end, device=self.held_by_row.device)
        own = self.held_by_row[:, None] + torch.minimum(tokens, self.counts_by_row[:, None] - 1)
        behind = own[:, :, None] - torch.arange(columns, device=own.device)
        allowed = behind >= 0 if window is None else (behind >= 0) & (behind < window)
        return _additive(allowed)[:, None, None]


def _additive(allowed: Tensor) -> Tensor:
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -torch.inf)


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
