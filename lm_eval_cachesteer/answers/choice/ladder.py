"""Which option of a multiple-choice question a response settles on."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..extraction import CONFLICT, NO_ANSWER, Extraction
from .options import Options
from .reading import Reading
from .rungs import LADDER, Rung
from .text import before_invented_questions, final_part, plain

_RETRACTION = re.compile(
    r"(?:^|[.!?,;:…\n(-]\s*|\b(?:but|no|hmm|oh|and)\s+)"
    r"(?:wait\b(?=\s*[,.!:;…-]|\s+(?:no|i|that|let|a (?:second|minute|moment))\b)|actually\b|hold on\b|sorry\b|oops\b"
    r"|correction\b|on second thoughts?\b|on reflection\b|scratch that\b|strike that\b|never ?mind\b|my mistake\b"
    r"|my bad\b|i misread\b|i was wrong\b|i take (?:that|it) back\b|i stand corrected\b|i meant\b|make that\b"
    r"|let me (?:reconsider|rethink|recount|recalculate|redo|correct|revise|fix|change)\b"
    r"|i (?:made|see|have made) (?:a|an|my|the) (?:mistake|error|slip)\b"
    r"|(?:i(?:'ll| will| must| should)? )?chang\w+ my (?:answer|mind)\b"
    r"|i (?:have to|must|should|need to) (?:correct|revise|change)\b"
    r"|that(?:'s| is| was) (?:not right|wrong|incorrect|a mistake)\b)",
    re.IGNORECASE,
)
_STANDS = re.compile(
    r"\b(?:yes|yep|confirmed|confirms|still|holds|indeed|checks out|stands|was right|is right|is fine)\b", re.I
)
_NOTHING = Extraction(None, NO_ANSWER)
_STATED = ("statement", "marked", "opening", "closing")


def extract_choice(response: str, choices: Sequence[str], *, strict: bool = False) -> Extraction:
    r"""Finds the option a response settles on.

    What counts, and what does not: options merely discussed, listed, denied, asked about or left open are no answers. A
    list of options is one even where their words are altered or doubled.
    After an explicit retraction ("wait", "actually") only what follows counts. A letter with another option's words is
    no answer. Thoughts before `</think>` are not read, nor are further questions that the model asks itself after its
    answer.

    The rungs, in order; the first that finds an answer decides:

    - "statement": the response says so: "the answer is B", "I choose (b)", "option B is correct", `\boxed{B}`,
      `{"answer": "B"}`; the option's words, or its place ("the second one"), may stand for the letter. Final statements
      count before others. Different ones are a conflict, unless the last one concludes a run through all options.
    - "marked": one option has a tick, or is called correct in a list of all.
    - "opening": the response begins with an option ("B. Copper", "Yes, because"): models answer first, then explain.
    - "closing": an option stands alone, and none is asserted after it: what remains after thinking aloud.
    - "paraphrase": "the answer is" is followed by most of one option's words, in another order or cut off, or by words
      that one option has ("the toothbrush"; also "the toothbrush it is"). Followed by a list of all, it is no answer.
    - "concluding": the last conclusion ("so", "therefore", "that leaves") asserts one option.
    - "last_sentence": the last sentence says that something is an option: "The organ is the liver."
    - "elimination": all options but one are denied.
    - "only_option": one option is asserted by its letter or place, and no other.
    - "only_text": one option is asserted by its words, and no other in any way.

    Args:
        response: The response.
        choices: The options' texts, in order; at most 26.
        strict: Only the first rung counts.

    Returns:
        The letter and the rung that decided; without an answer, the rule is "conflict" or "none".
    """
    options = Options.of(choices)
    part, finished = final_part(response)
    for text in before_invented_questions(plain(part)):
        found = _settled(text, options)
        if found.by_any != _NOTHING if finished else found.by_statement != _NOTHING:
            return found.by_statement if strict or not finished else found.by_any
    return _NOTHING


class _Found(NamedTuple):
    """What the explicit statements of a text say, and what any of the rungs finds."""

    by_statement: Extraction
    by_any: Extraction

    @classmethod
    def of(cls, reading: Reading) -> "_Found":
        """Climbs the ladder."""
        return cls(_climb(reading, LADDER[:1]), _climb(reading, LADDER))


def _settled(text: str, options: Options) -> _Found:
    """What a text settles on; if it retracts an answer, what it says after that."""
    retractions = list(_RETRACTION.finditer(text))
    if retractions:
        last = retractions[-1]
        before = _Found.of(Reading.of(text[: last.start()], options))
        if before.by_any.rule in (*_STATED, CONFLICT):
            with_it = _Found.of(Reading.of(text[last.start() :], options))
            after = with_it if with_it.by_any != _NOTHING else _Found.of(Reading.of(text[last.end() :], options))
            return before if after.by_any == _NOTHING and _STANDS.search(text, last.start()) else after
    return _Found.of(Reading.of(text, options))


def _climb(reading: Reading, ladder: tuple[tuple[str, Rung], ...]) -> Extraction:
    """What the first rung that finds something finds. From a rung that states, several options are a conflict."""
    for rule, find in ladder:
        found = find(reading)
        if len(found) == 1 and found[0]:
            return Extraction(found[0], rule)
        if found == [""]:
            return _NOTHING
        if found and rule in _STATED:
            return Extraction(None, CONFLICT)
    return _NOTHING
