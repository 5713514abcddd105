"""What vLLM must offer, and what an engine must not use, for edits to be exact."""

from collections.abc import Iterator
from typing import Any

from ..errors import ArgumentError, CacheLayoutError
from .launch import SCHEDULER

_CACHE_TYPES = ("auto", "float32", "bfloat16", "float16", "half", "float")
_GROUPS = ("FullAttentionSpec", "SlidingWindowSpec")


def check_interfaces() -> None:
    """Checks that vLLM has the methods we override.

    Raises:
        ArgumentError: It lacks one.
    """
    from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorBase_V1
    from vllm.v1.core.sched.scheduler import Scheduler

    needed = {
        Scheduler: ("_reserve_prefill_lookahead", "_preempt_request", "_free_request", "update_from_output"),
        KVConnectorBase_V1: ("bind_kv_cache_manager", "build_connector_worker_meta", "update_connector_output"),
    }
    missing = [f"{kind.__name__}.{name}" for kind, names in needed.items() for name in names if not hasattr(kind, name)]
    if missing:
        raise ArgumentError(f"This vLLM lacks {', '.join(missing)}. Install a supported version, see docs/vllm.md.")


def check_engine(vllm_config: Any, kv_cache_config: Any) -> None:
    """Refuses engines whose cache cannot be edited exactly.

    Args:
        vllm_config: The engine's configuration.
        kv_cache_config: The layout of its cache.

    Raises:
        CacheLayoutError: Names what must not be used.
    """
    reasons = [*_of_configuration(vllm_config), *_of_cache(kv_cache_config)]
    if reasons:
        raise CacheLayoutError(f"Cache steering in vLLM does not go with {'; '.join(reasons)}. Start without.")


def _of_configuration(vllm_config: Any) -> Iterator[str]:
    if vllm_config.scheduler_config.scheduler_cls != SCHEDULER:
        yield f"a scheduler other than {SCHEDULER} (--scheduler-cls): edits would come too late"
    model, cache, parallel = vllm_config.model_config, vllm_config.cache_config, vllm_config.parallel_config
    if model.is_encoder_decoder:
        yield "encoder-decoder models: there is no prompt in their decoder's cache"
    if model.use_mla:
        yield "multi-head latent attention: its cache holds no keys and values"
    if str(cache.cache_dtype) not in _CACHE_TYPES:
        yield f"kv_cache_dtype={cache.cache_dtype}: a quantized cache cannot be edited exactly"
    for name in ("decode_context_parallel_size", "prefill_context_parallel_size"):
        if getattr(parallel, name, 1) > 1:
            yield f"{name}={getattr(parallel, name)}: tokens lie on several devices"
    if vllm_config.speculative_config is not None:
        yield "speculative decoding: the draft model's cache would stay unedited"


def _of_cache(kv_cache_config: Any) -> Iterator[str]:
    kinds = {type(group.kv_cache_spec).__name__ for group in kv_cache_config.kv_cache_groups}
    other = sorted(kinds - set(_GROUPS))
    if other or not kinds:
        yield f"layers that cache {' and '.join(other) or 'nothing'}: only attention with keys and values was tested"
