"""Which settings of `generate` can go on from an edited prompt, and the empty cache they want it in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache, GenerationConfig, PreTrainedModel, StaticCache
from transformers.generation import GenerationMode

from ..errors import ArgumentError
from .behaviour import why_not_static

CACHES = ("dynamic", "static", "offloaded", "offloaded_static")

# Names of earlier versions of transformers. It reads "hybrid" as "dynamic" and the others as static caches.
_EARLIER = {
    "hybrid": "dynamic",
    "sliding_window": "static",
    "hybrid_chunked": "static",
    "offloaded_hybrid": "offloaded_static",
    "offloaded_hybrid_chunked": "offloaded_static",
}
# The other modes of transformers feed the whole prompt again, whatever the cache holds.
_MODES = (
    GenerationMode.GREEDY_SEARCH,
    GenerationMode.SAMPLE,
    GenerationMode.BEAM_SEARCH,
    GenerationMode.BEAM_SAMPLE,
)


@dataclass(frozen=True)
class GenerateSettings:
    """Arguments of `generate` over a model's own defaults, checked.

    Attributes:
        config: The settings, combined as `generate` combines them.
        cache: One of `CACHES`.
        branches: Continuations of each prompt that are followed at once, as in beam search.
    """

    config: GenerationConfig
    cache: str
    branches: int

    @classmethod
    def of(
        cls, model: PreTrainedModel, arguments: Mapping[str, Any], cache_implementation: str | None = None
    ) -> "GenerateSettings":
        """Reads arguments of `generate`.

        Args:
            model: The model, whose generation defaults apply.
            arguments: What `generate` will be given.
            cache_implementation: Overrides the one that arguments or defaults name.

        Raises:
            ArgumentError: An edited prompt cannot be continued in this way, or not in such a cache.
        """
        given = dict(arguments)
        assistant = given.pop("assistant_model", None)
        config = model._prepare_generation_config(given.pop("generation_config", None), **given)[0]
        mode = config.get_generation_mode(assistant)
        if mode not in _MODES or given.get("custom_generate"):
            asked = "custom_generate" if given.get("custom_generate") else mode.value.replace("_", " ")
            raise ArgumentError(
                f"generate would use {asked}, which does not go on from the edited cache of a prompt. Allowed: greedy "
                "decoding, sampling and beam search, without an assistant or a lookup of the prompt's n-grams."
            )
        cache = _cache_of(cache_implementation or config.cache_implementation)
        branches = max(config.num_beams or 1, config.num_return_sequences or 1)
        if branches > 1 and "static" in cache:
            raise ArgumentError(
                f"cache_implementation={cache!r} cannot follow {branches} continuations of a steered prompt at once. "
                "Use cache_implementation=dynamic, or one beam and one returned sequence."
            )
        return cls(config, cache, branches)

    def empty_cache(self, model: PreTrainedModel, columns: int) -> Cache | None:
        """Makes the cache that a prompt is prefilled into.

        Args:
            model: The model it is for.
            columns: Tokens it must be able to hold, if it is static.

        Returns:
            The cache; None for "dynamic", of which models make their own.

        Raises:
            ArgumentError: The model cannot fill a static cache.
        """
        if self.cache == "dynamic":
            return None
        config, offloading = model.config.get_text_config(decoder=True), self.cache.startswith("offloaded")
        if "static" in self.cache:
            reason = why_not_static(model)
            if reason:
                raise ArgumentError(
                    f"cache_implementation={self.cache!r} does not fit {type(model).__name__}: {reason}. Use "
                    "cache_implementation=dynamic."
                )
            return StaticCache(config=config, max_cache_len=columns, offloading=offloading)
        return DynamicCache(config=config, offloading=offloading)

    def branch(self, cache: Cache) -> Cache:
        """Repeats a filled cache's rows for searches that follow several continuations of a prompt at once."""
        if self.branches > 1:
            cache.batch_repeat_interleave(self.branches)
        return cache


def _cache_of(name: str | None) -> str:
    cache = _EARLIER.get(name or "dynamic", name or "dynamic")
    if cache not in CACHES:
        raise ArgumentError(
            f"cache_implementation={name!r} is not supported: one cached token must be edited exactly, and a quantized "
            "cache keeps no token by itself, while paged generation fills a cache of its own. Allowed: "
            f"{', '.join(CACHES)}."
        )
    if cache.startswith("offloaded") and not torch.accelerator.is_available():
        raise ArgumentError(
            f"cache_implementation={name!r} moves keys and values off the accelerator, so it needs an accelerator. Use "
            f"cache_implementation={'static' if 'static' in cache else 'dynamic'} on a CPU."
        )
    return cache
