"""What a request says of its steering, as flat values in `SamplingParams.extra_args` (`vllm_xargs` over HTTP)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from ..core.checks import is_number, is_whole
from ..core.selection import HEADS_HELP, LAYERS_HELP
from ..errors import ArgumentError

KEY = "cachesteer"
_PREFIX = f"{KEY}_"
OFFSETS = ("auto", "none")
# No prompt, layer or head has a larger number.
_LARGEST = 1 << 31
_ALLOWED = {
    "vectors": "the name of vectors the server knows",
    "c_keys": "a finite number, such as 0.3",
    "c_values": "a finite number, such as 6",
    "layers": LAYERS_HELP,
    "heads": HEADS_HELP,
    "position": "a whole number; -1 is the last cached prompt token",
    "offset": "auto (the token the vectors record) or none",
    "cached": "a whole number of at least 1",
}


@dataclass(frozen=True)
class SteeringSettings:
    """How one request is steered. As arguments of a request, all but `vectors` carry the prefix `cachesteer_`.

    Attributes:
        vectors: Name of the vectors, the argument `cachesteer`.
        c_keys: Coefficient of the keys; None for what the vectors recommend.
        c_values: Coefficient of the values; None for what the vectors recommend.
        layers: Layers to steer, see `select_layers`.
        heads: KV heads to steer, see `select_heads`.
        position: The edited token among the cached prompt tokens.
        offset: "auto" appends the offset token that the vectors record to the prompt, "none" does not.
        cached: Prompt tokens in the cache when the edit is made, offset token included; the prompt then holds that
            token already. None for all but the last token of the prompt.
    """

    vectors: str
    c_keys: float | None = None
    c_values: float | None = None
    layers: str | int = "1-"
    heads: str | int = "all"
    position: int = -1
    offset: str = "auto"
    cached: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "vectors": isinstance(self.vectors, str) and bool(self.vectors.strip()),
            "c_keys": self.c_keys is None or is_number(self.c_keys),
            "c_values": self.c_values is None or is_number(self.c_values),
            "layers": _is_index(self.layers) or (isinstance(self.layers, str) and bool(self.layers)),
            "heads": _is_index(self.heads) or isinstance(self.heads, str),
            "position": _is_index(self.position),
            "offset": self.offset in OFFSETS,
            "cached": self.cached is None or (_is_index(self.cached) and self.cached >= 1),
        }
        for name, is_allowed in checks.items():
            if not is_allowed:
                argument = _argument(name)
                raise ArgumentError(f"{argument}={getattr(self, name)!r} is not allowed. Allowed: {_ALLOWED[name]}.")

    @classmethod
    def read(cls, arguments: Mapping[str, Any] | None) -> "SteeringSettings | None":
        """Reads a request's arguments; None for a plain request.

        Raises:
            ArgumentError: An argument is unknown or not allowed, or steering is asked for without vectors.
        """
        ours = {name: value for name, value in (arguments or {}).items() if name == KEY or name.startswith(_PREFIX)}
        if not ours:
            return None
        by_argument = {_argument(field.name): field.name for field in fields(cls)}
        for name in ours:
            if name not in by_argument:
                guess = get_close_matches(name, by_argument, n=1)
                meant = f" (did you mean {guess[0]!r}?)" if guess else ""
                raise ArgumentError(f"Unknown argument {name!r}{meant}. Allowed: {', '.join(by_argument)}.")
        if KEY not in ours:
            raise ArgumentError(f"{', '.join(ours)} given without {KEY}. Name the vectors: {KEY}=NAME.")
        return cls(**{by_argument[name]: value for name, value in ours.items()})

    def to_arguments(self) -> dict[str, str | int | float]:
        """The same as arguments of a request, as `read` takes them; defaults are left out."""
        given = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {_argument(name): value for name, (value, default) in given.items() if value != default}


def _argument(name: str) -> str:
    return KEY if name == "vectors" else f"{_PREFIX}{name}"


def _is_index(value: Any) -> bool:
    return is_whole(value) and abs(value) < _LARGEST
