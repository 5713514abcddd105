"""The model arguments of `hf-cachesteer` beside those of HFLM, checked before anything is loaded."""

import inspect
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel

from ..core.checks import is_number, is_whole
from ..core.selection import HEADS_HELP, LAYERS_HELP
from ..core.tokens import unescape
from ..errors import ArgumentError
from ..sources.resolve import VECTORS_HELP

ANSWER_STAGES = ("fresh", "steered")
ENGINES = ("auto", "generate")

ALLOWED = {
    "vectors": VECTORS_HELP,
    "c_keys": "a finite number, such as 0.3",
    "c_values": "a finite number, such as 6",
    "layers": LAYERS_HELP,
    "heads": HEADS_HELP,
    "offset_token": "auto, none, or a string that is one token (\\n for a newline)",
    "position": "a whole number; -1 is the last cached prompt token",
    "answer_prompt": "a text, such as '\\nSo the correct choice is'",
    "answer_tokens": "a whole number of at least 1",
    "answer_stage": "fresh (a new unsteered prefill, as in the paper) or steered (goes on from the steered cache)",
    "steer_loglikelihood": "true or false",
    "engine": "auto (the fast path wherever the model and the request allow) or generate (never)",
    "kv_memory": "GiB for cached keys and values, a number above 0, such as 4",
    "share_prefixes": "true or false",
    "compile": "true or false",
    "draft_tokens": "auto (4 for greedy responses, 0 for sampled ones) or a whole number of at least 0",
}

_DRAFTED = 4

# Documented arguments of from_pretrained that it takes through **kwargs.
_LOADING = {
    "attn_implementation", "cache_dir", "code_revision", "device_map", "force_download", "ignore_mismatched_sizes",
    "key_mapping", "load_in_4bit", "load_in_8bit", "local_files_only", "low_cpu_mem_usage", "max_memory",
    "offload_buffers", "offload_folder", "offload_state_dict", "output_loading_info", "proxies",
    "quantization_config", "tp_plan", "tp_size", "token", "use_kernels", "use_safetensors", "variant",
}  # fmt: skip


@dataclass(frozen=True)
class SteeringArguments:
    """How a run is steered; the fields are the model arguments.

    Attributes:
        vectors: Vector expression, see `resolve_vectors`; None for an unsteered run.
        c_keys: Coefficient of the keys; None for what the vectors recommend.
        c_values: Coefficient of the values; None for what the vectors recommend.
        layers: Layers to steer.
        heads: KV heads to steer.
        offset_token: "auto", "none" or a string.
        position: The edited token among the cached prompt tokens.
        answer_prompt: Appended after each response, then decoded greedily; None for no second stage.
        answer_tokens: Tokens decoded in the second stage.
        answer_stage: "fresh" or "steered".
        steer_loglikelihood: Whether loglikelihood requests are steered too.
    """

    vectors: str | None = None
    c_keys: float | None = None
    c_values: float | None = None
    layers: str | int | list[int] = "1-"
    heads: str | int = "all"
    offset_token: str | None = "auto"
    position: int = -1
    answer_prompt: str | None = None
    answer_tokens: int = 10
    answer_stage: str = "fresh"
    steer_loglikelihood: bool = True

    def __post_init__(self) -> None:
        checks = {
            "vectors": self.vectors is None or (isinstance(self.vectors, str) and bool(self.vectors.strip())),
            "c_keys": self.c_keys is None or is_number(self.c_keys),
            "c_values": self.c_values is None or is_number(self.c_values),
            "layers": _is_layers(self.layers),
            "heads": isinstance(self.heads, str) or is_whole(self.heads),
            "offset_token": self.offset_token is None
            or (isinstance(self.offset_token, str) and self.offset_token != ""),
            "position": is_whole(self.position),
            "answer_prompt": self.answer_prompt is None or isinstance(self.answer_prompt, str),
            "answer_tokens": is_whole(self.answer_tokens) and self.answer_tokens >= 1,
            "answer_stage": self.answer_stage in ANSWER_STAGES,
            "steer_loglikelihood": isinstance(self.steer_loglikelihood, bool),
        }
        _refuse(self, checks)
        if self.vectors is None:
            idle = [n for n in ("c_keys", "c_values") if getattr(self, n)]
            if idle:
                raise ArgumentError(
                    f"{' and '.join(idle)} given without vectors: nothing would be steered. Add vectors=, such as "
                    f"vectors=stepwise. Allowed: {VECTORS_HELP}."
                )

    @classmethod
    def take_from(cls, arguments: dict[str, Any]) -> "SteeringArguments":
        """Removes the steering arguments from `arguments` and checks them.

        Raises:
            ArgumentError: A value is not allowed; the message lists what is.
        """
        ours = _take(cls, arguments)
        for name in ("offset_token", "answer_prompt"):
            if isinstance(ours.get(name), str):
                ours[name] = unescape(ours[name])
        for name in ("vectors", "answer_prompt"):
            if ours.get(name) in ("none", "None", ""):
                ours[name] = None
        for name in ("position", "heads", "answer_tokens", "layers"):
            value = ours.get(name)
            if isinstance(value, float) and value.is_integer():  # lm_eval reads "-2" as -2.0
                ours[name] = int(value)
        return cls(**ours)


@dataclass(frozen=True)
class EngineArguments:
    """How a run is computed; nothing here changes what is computed.

    Attributes:
        engine: "auto", or "generate" to use `model.generate` and padded batches throughout.
        kv_memory: GiB for cached keys and values; None for half of the free memory.
        share_prefixes: Whether what requests have in common is prefilled once.
        compile: Whether decode steps run through torch.compile.
        draft_tokens: Longest guess of a response's next tokens that is checked in one pass; "auto" guesses where
            responses are greedy, as guesses of sampled ones rarely hold.
    """

    engine: str = "auto"
    kv_memory: float | None = None
    share_prefixes: bool = True
    compile: bool = False
    draft_tokens: int | str = "auto"

    def __post_init__(self) -> None:
        checks = {
            "engine": self.engine in ENGINES,
            "kv_memory": self.kv_memory is None or (is_number(self.kv_memory) and self.kv_memory > 0),
            "share_prefixes": isinstance(self.share_prefixes, bool),
            "compile": isinstance(self.compile, bool),
            "draft_tokens": self.draft_tokens == "auto" or (is_whole(self.draft_tokens) and self.draft_tokens >= 0),
        }
        _refuse(self, checks)

    def most_drafted(self, samples: bool) -> int:
        """Longest draft of a response, sampled or greedy."""
        if isinstance(self.draft_tokens, int):
            return self.draft_tokens
        return 0 if samples else _DRAFTED

    @classmethod
    def take_from(cls, arguments: dict[str, Any]) -> "EngineArguments":
        """Removes these arguments from `arguments` and checks them.

        Raises:
            ArgumentError: A value is not allowed; the message lists what is.
        """
        return cls(**_take(cls, arguments))


def _take(kind: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    return {f.name: arguments.pop(f.name) for f in fields(kind) if f.name in arguments}


def _refuse(given: Any, checks: dict[str, bool]) -> None:
    for name, allowed in checks.items():
        if not allowed:
            raise ArgumentError(f"{name}={getattr(given, name)!r} is not allowed. Allowed: {ALLOWED[name]}.")


def check_unknown_arguments(arguments: dict[str, Any], config: Any) -> None:
    """Refuses arguments that neither we, nor HFLM, nor from_pretrained, nor the model's configuration know.

    Args:
        arguments: What would be handed on to `from_pretrained`.
        config: The model's configuration, whose attributes `from_pretrained` can override; None if not loaded.

    Raises:
        ArgumentError: Names the unknown arguments and lists the allowed ones.
    """
    known = set(ALLOWED) | _LOADING
    for function in (HFLM.__init__, PreTrainedModel.from_pretrained):
        known |= set(inspect.signature(function).parameters) - {"self", "args", "kwargs", "model_args"}
    unknown = [name for name in arguments if name not in known and not hasattr(config, name)]
    refuse_unknown(unknown, list(ALLOWED), known - set(ALLOWED), "hf")


def refuse_unknown(unknown: list[str], ours: list[str], theirs: set[str], model: str) -> None:
    """Refuses arguments that nobody knows.

    Args:
        unknown: Their names.
        ours: Names of the allowed arguments of this package.
        theirs: Names of those of the harness's model.
        model: Name of that model.

    Raises:
        ArgumentError: There are any; names them and lists the allowed ones.
    """
    if unknown:
        guesses = {name: get_close_matches(name, {*ours, *theirs}, n=1) for name in unknown}
        named = ", ".join(f"{name!r}" + (f" (did you mean {g[0]!r}?)" if g else "") for name, g in guesses.items())
        steering = "; ".join(f"{name}: {ALLOWED[name]}" for name in ours)
        raise ArgumentError(
            f"Unknown model argument {named}. Allowed are our own arguments ({steering}) and those of the harness's "
            f"{model} model: {', '.join(sorted(theirs))}."
        )


def _is_layers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(is_whole(layer) and layer >= 0 for layer in value)
    return is_whole(value) or (isinstance(value, str) and value != "")
