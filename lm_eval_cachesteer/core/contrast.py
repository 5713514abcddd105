"""Contrast sets: questions answered with reasoning, against the same questions answered without."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import ContrastError
from ..paths import is_file
from ..strict_json import parse_json

Message = Mapping[str, str]
Prompt = str | tuple[Message, ...]

LAYOUTS = (
    '{"question", "reasoning", "answer"}, {"positive", "negative"} (text or chat messages), '
    'or {"query" or "question", "steps", "solution" or "answer"}'
)


@dataclass(frozen=True)
class ContrastItem:
    """A question with its answer, and the reasoning that the positive prompt shows and the negative hides."""

    question: str
    reasoning: str
    answer: str
    id: str = ""


@dataclass(frozen=True)
class ReadyPair:
    """A contrast pair whose prompts are given: text, or chat messages."""

    positive: Prompt
    negative: Prompt
    id: str = ""


@dataclass(frozen=True)
class ContrastSet:
    """A contrast set read from a file.

    Attributes:
        name: Name of the set, such as "stepwise".
        items: All items, of one kind: `ContrastItem` (few-shot prompts are built) or `ReadyPair`.
        sha256: SHA-256 of the file.
    """

    name: str
    items: tuple[ContrastItem, ...] | tuple[ReadyPair, ...]
    sha256: str

    @classmethod
    def read(cls, path: str | Path, name: str | None = None) -> "ContrastSet":
        """Reads a JSONL contrast set, one object a line; the layouts are documented in docs/contrast-sets.md.

        Args:
            path: The file, UTF-8.
            name: Name of the set; by default the file's stem.

        Raises:
            ContrastError: The file is missing or empty, a line is malformed (the line is named), or ready pairs
                and question items are mixed.
        """
        path = Path(path)
        if not is_file(path):
            raise ContrastError(f"{path}: no such contrast set. `cachesteer vectors` lists the shipped ones.")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ContrastError(f"{path}: cannot be read ({error.strerror}). Name a file that you may read.") from None
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ContrastError(
                f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
            ) from None
        items = [
            _read_item(line, f"{path}, line {number}")
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
        if not items:
            raise ContrastError(f"{path}: holds no contrast pairs. Each line is one of {LAYOUTS}.")
        if len({type(item) for item in items}) > 1:
            raise ContrastError(f"{path}: mixes question items with ready pairs. Keep them in separate files.")
        return cls(name or path.stem, tuple(items), hashlib.sha256(content).hexdigest())  # type: ignore[arg-type]

    def only(self, pattern: str) -> "ContrastSet":
        """The items whose id matches a pattern such as "open-*" (as in a shell, case matters).

        Raises:
            ContrastError: No id matches.
        """
        items = tuple(item for item in self.items if fnmatchcase(item.id, pattern))
        if not items:
            ids = ", ".join(dict.fromkeys(item.id.rsplit("-", 1)[0] + "-*" for item in self.items if item.id))
            raise ContrastError(f"No item of {self.name!r} has an id like {pattern!r}. Ids there: {ids or 'none'}.")
        return replace(self, items=items)  # type: ignore[arg-type]


def _read_item(line: str, where: str) -> ContrastItem | ReadyPair:
    try:
        record = parse_json(line, strict=True)
    except ValueError as error:
        raise ContrastError(f"{where}: not a JSON object ({error}).") from None
    if not isinstance(record, dict):
        raise ContrastError(f"{where}: expected a JSON object, got {type(record).__name__}.")
    if "positive" in record or "negative" in record:
        return ReadyPair(_prompt(record, "positive", where), _prompt(record, "negative", where), _id(record))
    question = _text(record, ("question", "query"), where)
    reasoning = _text(record, ("reasoning", "steps"), where)
    answer = _text(record, ("answer", "solution"), where)
    return ContrastItem(question, reasoning, answer, _id(record))


def _id(record: dict[str, Any]) -> str:
    return str(record.get("id", ""))


def _text(record: dict[str, Any], names: tuple[str, ...], where: str) -> str:
    for name in names:
        value = record.get(name)
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            value = "\n".join(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if value is not None:
            raise ContrastError(f"{where}: {name!r} must be a non-empty text, got {value!r}. Expected {LAYOUTS}.")
    raise ContrastError(f"{where}: {' or '.join(map(repr, names))} is missing. Expected {LAYOUTS}.")


def _prompt(record: dict[str, Any], name: str, where: str) -> Prompt:
    value = record.get(name)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value and all(_is_message(message) for message in value):
        return tuple({"role": message["role"], "content": message["content"]} for message in value)
    raise ContrastError(f'{where}: {name!r} must be a text or a list of {{"role", "content"}} messages, got {value!r}.')


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str)
