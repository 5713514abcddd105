"""One packed pass: new tokens of many rows side by side, without padding, each row with its own past.

The model's own code computes everything but attention. It is called with all new tokens as one sequence, the right
position of each, and an attention function that knows which row each token belongs to. That function also stores
the keys and values, so no cache object passes through the model.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from .attention import Scoring
from .packing import PackedWeights, packable_sizes
from .passes import Feed, Pass
from .storage import RowStore, on_device

IMPLEMENTATION = "cachesteer"
# Packing a model's weights takes as long as a few decode steps and makes each faster by a fifth.
_STEPS_WORTH_PACKING = 64


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
        self._packed: PackedWeights | None = None
        self._filled: Callable[[int], int] = _as_it_is

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
        _keep_freed_memory()
        named: Iterator[Any] = (getattr(module, "config", None) for module in self.model.modules())
        configs = {id(config): config for config in named if hasattr(config, "_attn_implementation_internal")}
        before = [(config, config._attn_implementation_internal) for config in configs.values()]
        try:
            for config in configs.values():
                config._attn_implementation_internal = IMPLEMENTATION
            yield
        finally:
            for config, implementation in before:
                config._attn_implementation_internal = implementation

    @contextmanager
    def decoding(self, tokens: int, steps: int) -> Iterator[None]:
        """For many decode steps of at most this many tokens: weights packed for them, where it is possible and pays."""
        packed = self._packed_weights(tokens) if steps >= _STEPS_WORTH_PACKING else None
        if packed is None:
            yield
            return
        try:
            self._filled = packed.filled
            with packed.attached():
                yield
        finally:
            self._filled = _as_it_is

    def _packed_weights(self, tokens: int) -> PackedWeights | None:
        """Kept from run to run; None where nothing can be packed."""
        if self._packed is None or self._packed.rows != tokens or not self._packed.is_current:
            self._packed = None  # its memory goes before more is taken
            sizes = packable_sizes(self.model, tokens)
            self._packed = PackedWeights(self.model, tokens, sizes) if sizes else None
        return self._packed

    def feed(self, store: RowStore, feeds: Sequence[Feed], wanted: Sequence[int] | None = None) -> Tensor:
        """Feeds tokens; the store's rows grow by them.

        Args:
            store: Where the rows' own keys and values lie; it must have room.
            feeds: The new tokens, at most one entry for each row.
            wanted: Indices into all new tokens, in order, whose logits are needed; None for the last of each row.

        Returns:
            (wanted, vocab) logits.
        """
        work = Pass(store, feeds, self.device, self._filled)
        if wanted is None:
            wanted = work.last_tokens
        filling = [0] * (self._filled(max(1, len(wanted))) - len(wanted))
        logits = self.run(self.model, work, on_device([*wanted, *filling], self.device))
        for feed in feeds:
            store.lengths[feed.slot] += len(feed.tokens)
        return logits[: len(wanted)]

    def run(self, forward: Callable[..., Any], work: Pass, wanted: Tensor) -> Tensor:
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


def _as_it_is(tokens: int) -> int:
    return tokens


def _keep_freed_memory() -> None:
    """Has the C library keep freed blocks of up to 32 MB for the next layer instead of giving them back each time.

    glibc adapts its threshold to the largest such block that was ever freed; this one is never written to.
    """
    torch.empty(32_000_000, dtype=torch.uint8)


_running: Pass | None = None


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
