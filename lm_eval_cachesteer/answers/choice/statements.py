"""Where a response states that an option is the answer: "the answer is B", "I choose B", "B is correct"."""

import re
from dataclasses import dataclass
from enum import IntEnum

from .mention import Kind, Mention
from .text import Sentences
from .weighing import DENIED_BEFORE

_HEDGE = (
    r"(?:(?:clearly|definitely|probably|most likely|likely|therefore|thus|also|simply|just|in fact|indeed|obviously"
    r"|surely|certainly|actually|really|still|then|undoubtedly|of course|only|that|it is|it's|it must be|given by"
    r"|none other than)\b\s*|[,:→-]\s*)*"
)
_QUALITY = (
    r"(?:final|correct|right|true|best|proper|only|single|likely|accurate|appropriate|suitable|plausible|logical|probable"
    r"|reasonable|sensible|closest|intended|expected|my|our|most)"
)
_IS = r"(?:is|was|'s|must be|should be|would be|has to be|will be|seems to be|appears to be|remains|ought to be)\b"
_ABOUT = r"(?:\s+(?:to|for|of|here|in|that|which|choice|option|letter|key)\b[^.:\n?]{0,60}?)?(?:,[^,.\n]{1,20},)?"
_ANSWER = r"(?:answers?|ans|conclusion|choice|option|solution|selection|verdict)"
_SHOWN = r"(?:response|pick|guess|letter|label|prediction|result)"
_MORE = (
    rf"(?:{_SHOWN}|explanation|reason|one|statement|ending|description|possibility|alternative|outcome|method|way"
    r"|candidate|match|fit|interpretation|reading|thing)"
)
_VERBS = (
    r"(?:choose|chose|pick|picked|select|selected|go with|go for|went with|opt for|vote for|settle on|stick with|bet on"
    r"|mark|circle|lean towards?|choosing|picking|selecting|going with|going for|opting for|sticking with)"
)
_SAYING = r"(?:answer|say|guess|conclude|believe|think|mean|meant|suspect|take it)"
_SUBJECT = (
    r"\b(?:I|we)(?:'d|'ll|'m|'re|'ve)?\s+(?:(?:would|will|must|should|can|am|are|have to|had to|have|do|also|still|then"
    r"|now|therefore|thus|definitely|going to)\s+){0,4}"
)
_SO = r"(?:so|therefore|thus|hence|consequently|∴)"


class Force(IntEnum):
    """How plainly a statement is one."""

    VERDICT = 0  # "B is correct", "so it's B"
    ANSWER = 1  # "the answer is B", "I choose B"
    FINAL = 2  # "the final answer is B"


@dataclass(frozen=True)
class _LeadPattern:
    """What may stand before a stated option.

    Attributes:
        pattern: Its words.
        force: How plainly it states.
        words: Whether the option's words may follow, or only its letter.
        ends: Whether the statement has to end after the option.
    """

    pattern: "re.Pattern[str]"
    force: Force
    words: bool = True
    ends: bool = False


def _lead(pattern: str, force: Force, words: bool = True, ends: bool = False) -> _LeadPattern:
    return _LeadPattern(re.compile(pattern + r"\s*" + _HEDGE, re.IGNORECASE | re.MULTILINE), force, words, ends)


_THE_ANSWER = _lead(
    rf"\b(?:{_ANSWER}|(?:{_QUALITY}\s+){{1,4}}{_MORE}){_ABOUT}\s*(?:{_IS}\s*:?|[:→=]|-(?=\s))", Force.ANSWER
)
_LEADS = (
    _THE_ANSWER,
    _lead(rf"\b(?:{_SHOWN}\s*[:→=]|{_MORE}\s*{_IS}\s*:?)", Force.VERDICT, words=False),
    _lead(r"^(?:(?:the|my)\s+)?(?:final\s+|correct\s+)?answer\s*(?:\n|$)", Force.ANSWER),
    _lead(rf"{_SUBJECT}{_VERBS}\b", Force.ANSWER),
    _lead(rf"{_SUBJECT}(?:{_SAYING}|(?:confident|sure|certain)(?:\s+(?:in|of|about|on))?)\b", Force.ANSWER, ends=True),
    _lead(
        rf"(?:^|[.:;,]\s|\b(?:{_SO},?|and|let's|let me|(?:decide|want|have|need|going|safest|best)\s+to)\s){_VERBS}\b",
        Force.ANSWER,
    ),
    _lead(
        r"\b(?:chang|switch|revis|correct)\w*\s+(?:(?:my|the)\s+)?(?:answer\s+)?(?:from\s+\w+\s+)?to\b",
        Force.ANSWER,
        words=False,
    ),
    _lead(r"\b(?:make (?:that|it)|correction)\b", Force.ANSWER, words=False, ends=True),
    _lead(rf"\b(?:it|this|that|which)(?:'s|\s+{_IS})", Force.VERDICT, words=False),
    _lead(rf"\b(?:statement|claim|assertion|sentence|proposition)\s+{_IS}", Force.VERDICT, ends=True),
    _lead(rf"\b{_SO}\b", Force.VERDICT, words=False, ends=True),
)
_OTHER_ANSWER = re.compile(
    r"\b(?:possible|plausible|wrong|incorrect|tempting|common|obvious|popular|first|initial|previous|false|other|another|an?"
    r"|usual|typical|one|third|no|every|each|any|this|which|what|second|next)\s+$",
    re.IGNORECASE,
)
_IS_THE_ANSWER = re.compile(
    r"[\s),]*(?:,[^.,\n]{1,60},\s*)?(?:is|must be|has to be|would be|seems to be|seems|looks|should be|remains)\s+"
    rf"(?:(?:therefore|thus|clearly|indeed|definitely|then|also|probably|obviously|certainly|most likely)\s+)*"
    rf"(?P<noun>(?:the|our|my)\s+(?:(?:only|single|one)\s+)?(?:(?:(?:{_QUALITY}|good)\s+){{0,4}}"
    rf"(?:{_ANSWER}|one|winner)|(?:(?:{_QUALITY}|good)\s+){{1,4}}{_MORE})\b)?"
    r"(?P<quality>(?:the\s+)?(?:(?:only|most)\s+)?(?:correct|right|true|best|better|accurate|likely)\b"
    r"(?=\s*(?:[.,;:!)]|$|because|since|as\b|here|for|and|\n)))?"
    r"|\s+(?P<it>it is)\b(?=\s*(?:[.,!;]|$))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+\s")
_ARTICLE = re.compile(r"(?:the|an?)\s+", re.IGNORECASE)
_FINAL = re.compile(r"\bfinal\b|\bin conclusion\b|\bto conclude\b|\bin summary\b|\bconfirmed\b", re.IGNORECASE)
_CONCLUDES = re.compile(rf"\b(?:{_SO}|correct|right|best)\b", re.IGNORECASE)
_IT_IS = re.compile(
    r"(?:^|[.!?…]\s+|\bso,?\s+)(?:the|an?)\s+(?P<named>(?:[\w'-]+\s+){1,4})it is(?=\s*(?:[.!]|$))", re.I | re.M
)
_ENDS = re.compile(
    r"[)\]]*\s*(?:[.,;:!]|$|\n|-|(?:because|since|as|for|rather|over|not|here|instead|which|with|and)\b)"
)


@dataclass(frozen=True)
class Lead:
    """Words like "the answer is": where they start, where the mention after them does, and how plainly they state."""

    start: int
    mention: int
    force: Force


@dataclass(frozen=True)
class Statement:
    """A statement that an option is the answer.

    Attributes:
        start: Where it starts.
        letter: The option; "" if it settles on none ("A or B", "E" of four).
        force: How plainly it states.
        concludes: Whether it says that it follows from what was said, or that the answer is correct.
    """

    start: int
    letter: str
    force: Force
    concludes: bool


def leads_in(text: str, mentions: list[Mention]) -> list[Lead]:
    """Where something is stated to be the answer and a mention follows, at most an article between."""
    at = {mention.start: mention for mention in mentions}
    found = []
    for pattern in _LEADS:
        for match in pattern.pattern.finditer(text):
            article = _ARTICLE.match(text, match.end())
            mention = at.get(match.end()) or (at.get(article.end()) if article else None)
            if mention and _fits(text, pattern, mention):
                found.append(Lead(match.start(), mention.start, pattern.force))
    return found


def _fits(text: str, lead: _LeadPattern, mention: Mention) -> bool:
    by_words = mention.kind in (Kind.TEXT, Kind.COMMON)
    return (lead.words or not by_words) and (not lead.ends or _ENDS.match(text, mention.end) is not None)


def statements_in(text: str, mentions: list[Mention], sentences: Sentences, leads: list[Lead]) -> list[Statement]:
    """Every statement, in order: a mention after "the answer is", or before "is the answer"."""
    at = {mention.start: mention for mention in mentions}
    found = []
    for lead in leads:
        first = _WORD.match(text, lead.start)
        before = text[sentences.span(lead.start)[0] : lead.start]
        if not _OTHER_ANSWER.search(before) and not DENIED_BEFORE.search(before + (first[0] if first else "")):
            found.append(_statement(text, lead.start, at[lead.mention], sentences, lead.force))
    for mention in mentions:
        match = _IS_THE_ANSWER.match(text, mention.end)
        if match and (match["noun"] or match["quality"] or match["it"]):
            force = Force.ANSWER if match["noun"] else Force.VERDICT
            found.append(_statement(text, mention.start, mention, sentences, force))
    return sorted((one for one in found if one), key=lambda one: one.start)


def _statement(text: str, start: int, mention: Mention, sentences: Sentences, force: Force) -> Statement | None:
    if mention.denied or mention.unsure or mention.listed:
        return None
    before = text[sentences.span(start)[0] : mention.start]
    final = force is Force.ANSWER and _FINAL.search(before) is not None
    concludes = _CONCLUDES.search(before) is not None
    return Statement(start, "" if mention.open else mention.letter, Force.FINAL if final else force, concludes)


def named_in(text: str, mentions: list[Mention], sentences: Sentences) -> list[tuple[int, int]]:
    """What "the answer is" introduces, or "it is" follows, if that is no option itself; in order.

    What is introduced extends to the end of its sentence. The list of all options is not an option.
    """
    starts = {mention.start for mention in mentions if not mention.listed}
    introduced = [match.end() for match in _THE_ANSWER.pattern.finditer(text)]
    spans = [(start, sentences.span(start)[1]) for start in introduced]
    spans += [match.span("named") for match in _IT_IS.finditer(text)]
    return sorted(span for span in spans if span[0] not in starts)
