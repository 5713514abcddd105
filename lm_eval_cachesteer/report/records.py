"""What one sample says, in the terms of the page: its question, responses, choices and extracted answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..results.figures import number
from ..results.samples import Record

# Where data sets keep what is asked, the most telling first.
_QUESTION_FIELDS = ("question", "query", "problem", "prompt", "goal", "instruction", "sentence", "text", "ctx")
_TITLE_LENGTH = 140


@dataclass(frozen=True)
class Choice:
    """One continuation whose likelihood was asked for.

    Attributes:
        text: The continuation.
        likelihood: Its log-likelihood, in nats; None if it is no finite number.
        greedy: Whether greedy decoding would have produced it.
    """

    text: str
    likelihood: float | None
    greedy: bool


def texts_of(record: Record) -> list[str]:
    """The free-text responses of a record: one for each repeat; none if it was scored by likelihood."""
    return [response for response in _responses(record) if isinstance(response, str)]


def choices_of(record: Record) -> list[Choice]:
    """The continuations of a record that was scored by likelihood; none if it was answered in free text."""
    scored = [
        (_text(request[0]), _text(request[1]), pair)
        for request, responses in zip(record.requests, record.responses, strict=False)
        if len(request) > 1 and isinstance(request[1], str)
        for pair in _listed(responses)[:1]
        if isinstance(pair, list) and len(pair) == 2
    ]
    # Likelihoods without a prompt only norm the others (acc_mutual_info).
    scored = [one for one in scored if one[0]] or scored
    shared = _shared_start([prompt for prompt, _, _ in scored])
    return [
        Choice(prompt[len(shared) :] + continuation, number(likelihood), str(greedy) == "True")
        for prompt, continuation, (likelihood, greedy) in scored
    ]


def prompt_of(record: Record) -> str:
    """What the model was given; of several requests, what they share."""
    return _shared_start([_text(request[0]) for request in record.requests if request and request[0]])


def target_of(record: Record) -> str:
    """The right answer; the text of the choice where the task gives its number."""
    choices = choices_of(record)
    place = number(record.target) if record.target.isdecimal() else None
    return choices[int(place)].text.strip() if place is not None and place < len(choices) else record.target


def title_of(document: Mapping[str, Any], prompt: str) -> str:
    """What is asked, in one line, to know a sample by.

    Args:
        document: The document.
        prompt: The part of its prompt that other documents do not share.
    """
    asked = (document.get(name) for name in _QUESTION_FIELDS)
    found = next((text for text in asked if isinstance(text, str) and text.strip()), prompt)
    line = " ".join(found.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"


def answers_of(record: Record) -> dict[str, list[str]]:
    """What each filter extracted, one answer for each response; filters that leave responses as they are do not count.

    Filters of this package that name their rule give "answer (rule)".
    """
    responses = texts_of(record)
    if not responses:
        return {}
    repeats = len(_listed(record.responses[0]))
    answers = {name: [_answer(one) for one in _flat(found, repeats)] for name, found in record.answers.items()}
    return {name: found for name, found in answers.items() if found and found != responses[: len(found)]}


def shared_start(prompts: list[str]) -> str:
    """What all prompts begin with, up to the end of a line; nothing if there are fewer than two different ones."""
    if len(set(prompts)) < 2:
        return ""
    start = _common_start(prompts)
    return start[: start.rfind("\n") + 1]


def _responses(record: Record) -> Iterator[Any]:
    for responses in record.responses:
        yield from _listed(responses)


def _shared_start(prompts: list[str]) -> str:
    """What the prompts of one document share, up to the end of a word."""
    if len(set(prompts)) < 2:
        return prompts[0] if prompts else ""
    start = _common_start(prompts)
    return start[: max(start.rfind(" "), start.rfind("\n")) + 1]


def _common_start(prompts: list[str]) -> str:
    """What all begin with, letter by letter."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(prompts), max(prompts), strict=False))
    return "".join(letter for letter, _ in same)


def _flat(found: list[Any], repeats: int) -> Iterator[Any]:
    """Answers, which lie one for each request, or in a list of all repeats for each request."""
    for one in found:
        if isinstance(one, list) and (len(one) == repeats or any(isinstance(part, list) for part in one)):
            yield from one
        else:
            yield one


def _answer(found: Any) -> str:
    if isinstance(found, list) and len(found) == 2:
        return f"{found[0]} ({found[1]})"
    return _text(found)


def _text(found: Any) -> str:
    """A text; chat prompts of API models are a list that holds one."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, str) else str(found)


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]
