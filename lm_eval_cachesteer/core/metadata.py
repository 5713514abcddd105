"""What a vector file says about its vectors."""

import json
import math
import re
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from ..errors import VectorFileError
from ..printable import one_line
from ..strict_json import parse_json
from .architecture import Architecture

_OPTIONAL_NUMBERS = ("recommended_c_keys", "recommended_c_values")
_INTEGERS = ("pair_count", "fewshot_count", "token_position")
_PARTS = frozenset(field.name for field in fields(Architecture))
_LONGEST = 10_000
# Names of sets are looked up in folders, and files of strangers must not choose which.
_SETS = ("contrast_set", "against_set")
_SELECTION = re.compile(r"none|similar|random:-?[0-9]{1,20}")


@dataclass(frozen=True)
class VectorMetadata:
    """Where vectors come from and how they are meant to be used.

    Attributes:
        kind: What they induce, such as "stepwise".
        model_id: Hub id, or folder name, of the model they were extracted from.
        architecture: What the model must share to be steered by them; None if unknown.
        chat_template_sha256: Hash of the chat template of the extraction prompts; "" for plain-text prompts.
        contrast_set: Name of the contrast set.
        contrast_sha256: SHA-256 of the contrast set's file.
        contrast_items: Pattern of the ids of the items used; "*" for all.
        against_set: Name of the contrast set whose reasonings the negative prompts show; "" for the answer alone.
        against_sha256: SHA-256 of that set's file.
        pair_count: Number of contrast pairs averaged.
        fewshot_count: Few-shot examples in each prompt.
        fewshot_selection: "random:SEED", "similar", or "none" for ready-made prompts.
        token_position: Captured prompt token, -1 is the last.
        offset_token: Token appended to prompts when these vectors are applied; None for none.
        offset_token_id: Its id in the model's vocabulary; None for none.
        key_space: "post_rope": keys as the model caches them, after rotary embedding (the paper's).
        recommended_c_keys: Recommended coefficient of the keys; None if unknown.
        recommended_c_values: Recommended coefficient of the values; None if unknown.
        tool_version: Version of lm_eval_cachesteer that extracted them.
        license: Licence note.

    Raises:
        VectorFileError: A text is no printable line, a set is named by a path, or a count is below 0.
    """

    kind: str
    model_id: str
    architecture: Architecture | None = None
    chat_template_sha256: str = ""
    contrast_set: str = ""
    contrast_sha256: str = ""
    contrast_items: str = "*"
    against_set: str = ""
    against_sha256: str = ""
    pair_count: int = 0
    fewshot_count: int = 0
    fewshot_selection: str = "none"
    token_position: int = -1
    offset_token: str | None = None
    offset_token_id: int | None = None
    key_space: str = "post_rope"
    recommended_c_keys: float | None = None
    recommended_c_values: float | None = None
    tool_version: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and field.name != "offset_token":
                if len(value) > _LONGEST or value != one_line(value):
                    raise VectorFileError(
                        f"{field.name} must be one printable line of at most {_LONGEST} characters, got {value[:60]!r}."
                    )
                if field.name in _SETS and ("/" in value or "\\" in value):
                    raise VectorFileError(
                        f"{field.name} must be the name of a contrast set, not a path, got {value!r}."
                    )
        if _SELECTION.fullmatch(self.fewshot_selection) is None:
            raise VectorFileError(
                f"fewshot_selection must be none, similar or random:SEED, got {self.fewshot_selection!r}."
            )
        for name in ("pair_count", "fewshot_count"):
            if getattr(self, name) < 0:
                raise VectorFileError(f"{name} must be at least 0, got {getattr(self, name)}.")

    def summary(self) -> dict[str, object]:
        """All fields by name, the architecture as a plain dictionary."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "architecture": asdict(self.architecture) if self.architecture else None
        }

    def to_strings(self) -> dict[str, str]:
        """The metadata as safetensors stores it: strings only (docs/vector-format.md says which are JSON)."""
        strings = {}
        for name, value in self.summary().items():
            if name == "architecture":
                strings[name] = self.architecture.to_json() if self.architecture else "null"
            elif isinstance(value, str) and name != "offset_token":
                strings[name] = value
            else:
                strings[name] = json.dumps(value, ensure_ascii=False)
        return strings

    @classmethod
    def from_strings(cls, strings: dict[str, str]) -> "VectorMetadata":
        """Reads what `to_strings` wrote.

        Raises:
            KeyError, ValueError: A string is missing or malformed.
        """
        given = (field.name for field in fields(cls) if field.name in strings or field.default is MISSING)
        values: dict[str, Any] = {name: strings[name] for name in given}
        values["architecture"] = _architecture(strings["architecture"])
        for name, kind in (("offset_token", str), ("offset_token_id", int)):
            values[name] = parse_json(strings[name], strict=True)
            if values[name] is not None and type(values[name]) is not kind:
                raise ValueError(f"{name} must be a JSON {kind.__name__} or null, got {strings[name]}")
        for name in _INTEGERS:
            values[name] = parse_json(strings[name])
            if type(values[name]) is not int:
                raise ValueError(f"{name} must be a JSON integer, got {strings[name]}")
        for name in _OPTIONAL_NUMBERS:
            number = parse_json(strings[name])
            if number is not None and not _is_finite(number):
                raise ValueError(f"{name} must be a finite JSON number or null, got {strings[name]}")
            values[name] = None if number is None else float(number)
        return cls(**values)


def _architecture(text: str) -> Architecture | None:
    found = parse_json(text, strict=True)
    if found is None:
        return None
    if not isinstance(found, dict) or found.keys() != _PARTS:
        raise ValueError(f"architecture must be null or an object of {', '.join(sorted(_PARTS))}, got {text}")
    bases = found["rope_base"]
    sound = {name: type(found[name]) is int and found[name] >= 0 for name in _PARTS - {"model_type", "rope_base"}} | {
        "model_type": isinstance(found["model_type"], str) and found["model_type"] == one_line(found["model_type"]),
        "rope_base": isinstance(bases, dict) and all(_is_finite(base) for base in bases.values()),
    }
    for name in sorted(_PARTS):
        if not sound[name]:
            raise ValueError(f"{name} of the architecture is {found[name]!r}")
    return Architecture(**found)


def _is_finite(number: Any) -> bool:
    return type(number) in (int, float) and math.isfinite(number)
