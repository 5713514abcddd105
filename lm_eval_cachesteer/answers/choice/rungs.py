"""The rungs of the ladder: each finds the options that one kind of sign speaks for, or none."""

import re
from collections.abc import Callable
from itertools import groupby

from .mention import Kind, Mention
from .reading import Reading
from .statements import Force
from .vocabulary import FUNCTION_WORDS

Rung = Callable[[Reading], list[str]]

_BY_LETTER = (Kind.NAMED, Kind.LETTER)
_AROUND = " \t\n.!:;,()[]-→✓"
_REASON = re.compile(r"[\s)]*(?:[.:;!,]|-\s|$|\n|(?:because|since|as|for|rather|not|over)\b)")
_YES_NO = re.compile(r"[,.;:!]|\s-|\s*$|\s+because\b")
_TICK = re.compile(
    r"[^.!?\n✓✗]{0,80}✓|[ .)]*[-:(=→][ ]*(?:this is\s+|that's\s+)?(?:the\s+)?(?:correct|right|true|yes)\b"
    r"|[^.!?\n]{0,80}[-:(][ ]?(?:correct|right|true|yes)[^\w\n]*(?:$|\n)"
    r"|[^.!?\n]{0,80}[.:]\s+(?:this|that|it) is (?:the )?(?:correct|right|best) (?:answer|option|choice|one)\b",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"\b(?:(?P<strong>therefore|thus|hence|consequently|accordingly|conclu\w+|in short|overall|in summary|ultimately"
    r"|points? to|leaves?(?: us)?(?: with)?|leaving|must be|has to be|have to be|answer|∴)"
    r"|so|finally|remain\w*|(?:which|this|that) means|it follows|the only|most likely"
    r"|in total|in all|altogether|i'd say|sensible|best)\b|→",
    re.IGNORECASE,
)
_IDENTIFIED = re.compile(r"^(?:the|it|this|that)\b.*\b(?:is|are|was|were|be)\s+(?:(?:the|an?)\s+)?$", re.IGNORECASE)
_VAGUE = (FUNCTION_WORDS | {"clear", "obvious", "simple", "easy", "unclear", "known", "given", "found"}) - {
    "the",
    "a",
    "an",
}
_POSSIBLE = re.compile(r"\ba (?:possible|potential|plausible|good|common|likely)\b", re.IGNORECASE)
_REASON_CLAUSE = re.compile(r",\s*(?:as|which|while|whereas|unlike|for)\b|\b(?:because|since|whereas)\b", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)")
_RESULT_BEFORE = re.compile(
    r"(?:[=:→]|\b(?:is|are|was|be|equals?|gives?|makes?|gets?|total|leaves?|exactly|only))\s*$", re.IGNORECASE
)


def statement(reading: Reading) -> list[str]:
    """What is stated as the answer: by the final statements, else by the plain ones, else by the verdicts.

    A last statement that settles on no option takes back those before it; so does one that concludes a run through all
    options. A first line that is nothing but an option contradicts plain ones.
    """
    if not reading.statements:
        return []
    force = max(one.force for one in reading.statements)
    *before, last = (one for one in reading.statements if one.force is force)
    stated = [one.letter for one in (*before, last)]
    if not last.letter:
        return _distinct(stated)
    run_through = _distinct(stated[:-1]) == list(reading.options.letters)
    if run_through and last.concludes and not any(one.concludes for one in before):
        return [last.letter]
    if force < Force.FINAL:
        stated += [mention.letter for mention in reading.mentions[:1] if _is_first_line(reading, mention)]
    return _distinct([letter for letter in stated if letter])


def opening(reading: Reading) -> list[str]:
    """The option that a response begins with."""
    for mention in reading.mentions[:1]:
        begins = mention.start < 9 and not reading.text[: mention.start].strip(_AROUND)
        if begins and mention.asserted and (_stands_alone(reading, mention) or _opens(reading, mention)):
            return [mention.letter]
    return []


def marked(reading: Reading) -> list[str]:
    """The options with a tick, or with the word "correct" where others have "incorrect"."""
    found = []
    for mention in reading.mentions:
        line = reading.text[reading.text.rfind("\n", 0, mention.start) + 1 : mention.start]
        start = mention.end - (reading.text[mention.end - 1] == ":")
        end = next((other.start for other in reading.mentioned(mention.end, mention.end + 160)), mention.end + 160)
        if line.lstrip(" -").startswith("✓") or _TICK.match(reading.text[start:end]):
            found.append(mention.letter)
    return _distinct(found)


def closing(reading: Reading) -> list[str]:
    """The last option that stands alone, as a sentence or line of its own, if no other is asserted after it."""
    alone = [mention for mention in reading.mentions if mention.asserted and _stands_alone(reading, mention)]
    if not alone:
        return []
    words = {mention.letter for mention in alone if mention.kind is alone[-1].kind}
    if alone[-1].kind in (Kind.TEXT, Kind.COMMON) and len(words) > 1:
        return []
    later = [mention for mention in reading.mentioned(alone[-1].end, len(reading.text)) if mention.asserted]
    others = {mention.letter for mention in later if mention.kind in (*_BY_LETTER, Kind.LABEL)}
    return [alone[-1].letter] if others <= {alone[-1].letter} else []


def paraphrase(reading: Reading) -> list[str]:
    """The option that the last "the answer is" puts into other words; none if it names something else, or lists all."""
    for start, end in reading.named[-1:]:
        named = reading.text[start:end].strip(_AROUND)
        if any(mention.start >= start and _means_it(reading, mention) for mention in reading.mentions):
            return []
        if any(mention.listed for mention in reading.mentioned(start, end)):
            return [""]
        words = named.lower().split()
        if _VAGUE.issuperset(words) or words[0] == "not":
            return []
        letter = reading.options.closest(named)
        if letter:
            return [letter]
        if len(words) < 5 and words[0] not in _VAGUE and "\n" not in reading.text[start - 1 : start]:
            return [""]
    return []


def concluding(reading: Reading) -> list[str]:
    """The one option that the last conclusion about options asserts; if that is a weak one, all have to agree."""
    found: list[str] = []
    spans = [reading.sentences.span(mention.start) for mention in reading.mentions if mention.asserted]
    for start, end in reversed([span for span, _ in groupby(spans)]):
        marker = _CONCLUSION.search(reading.text, start, end)
        asserted = [mention for mention in reading.mentioned(start, end) if _means_it(reading, mention)]
        if not marker or not asserted or _POSSIBLE.search(reading.text, start, end):
            continue
        after = [mention for mention in asserted if mention.start >= marker.end()]
        reason = _REASON_CLAUSE.search(reading.text, marker.end(), end)
        main = [mention for mention in after if reason and mention.start < reason.start()]
        found += [mention.letter for mention in main or after or asserted]
        if marker["strong"] or marker.start() == start:
            break
    return _distinct(found)


def last_sentence(reading: Reading) -> list[str]:
    """The option that the last sentence says something is: "The organ is the liver"."""
    start, end = reading.sentences.span(len(reading.text.rstrip()) - 1)
    asserted = [mention for mention in reading.mentioned(start, end) if mention.asserted]
    if len(asserted) != 1 or not _IDENTIFIED.search(reading.text[start : asserted[0].start]):
        return []
    return [asserted[0].letter] if not reading.text[asserted[0].end : end].strip(_AROUND) else []


def elimination(reading: Reading) -> list[str]:
    """The one option that is left when all others are denied."""
    letters = reading.options.letters
    sure = [mention for mention in reading.mentions if mention.kind is not Kind.COMMON or len(letters) == 2]
    left = set(letters) - {mention.letter for mention in sure if mention.denied}
    return list(left) if len(left) == 1 and len(letters) > 1 else []


def only_option(reading: Reading) -> list[str]:
    """The options named by letter or place."""
    named = [mention for mention in reading.mentions if _means_it(reading, mention) and mention.kind in _BY_LETTER]
    return _distinct([mention.letter for mention in named])


def only_text(reading: Reading) -> list[str]:
    """The options asserted by their words, unless another is by its letter."""
    asserted = [mention for mention in reading.mentions if _means_it(reading, mention)]
    if all(mention.kind not in (Kind.TEXT, Kind.COMMON) for mention in asserted):
        return []
    return _distinct([mention.letter for mention in asserted])


LADDER: tuple[tuple[str, Rung], ...] = (
    ("statement", statement),
    ("marked", marked),
    ("opening", opening),
    ("closing", closing),
    ("paraphrase", paraphrase),
    ("concluding", concluding),
    ("last_sentence", last_sentence),
    ("elimination", elimination),
    ("only_option", only_option),
    ("only_text", only_text),
)


def _distinct(letters: list[str]) -> list[str]:
    return list(dict.fromkeys(letters))


def _means_it(reading: Reading, mention: Mention) -> bool:
    """Whether a mention is asserted and not denied afterwards, nor in a sentence in brackets after others.

    A number has to be a result, or to end its sentence.
    """
    start, end = reading.sentences.span(mention.start)
    aside = _ASIDE.fullmatch(reading.text, start, end) is not None and reading.starts[0] < start
    if not mention.asserted or aside or reading.denied.get(mention.letter, -1) >= start:
        return False
    if mention.kind is not Kind.COMMON:
        return True
    before = reading.text[max(0, mention.start - 20) : mention.start]
    short = mention.start == start and len(reading.text[start:end].split()) < 4
    return short or mention.end >= end - 1 or _RESULT_BEFORE.search(before) is not None


def _opens(reading: Reading, mention: Mention) -> bool:
    """Whether an answer may begin like this: "B because", "Option B: it", "Yes, it"."""
    if mention.kind is Kind.TEXT:
        return False
    return (_YES_NO if mention.kind is Kind.COMMON else _REASON).match(reading.text, mention.end) is not None


def _is_first_line(reading: Reading, mention: Mention) -> bool:
    """Whether a mention is asserted by being all of the first line of several."""
    line, _, rest = reading.text.strip().partition("\n")
    return (
        mention.asserted
        and bool(rest)
        and line.strip(_AROUND) == reading.text[mention.start : mention.end].strip(_AROUND)
    )


def _stands_alone(reading: Reading, mention: Mention) -> bool:
    """Whether a mention is a sentence or line of its own, or the label of a line."""
    start, end = reading.sentences.span(mention.start)
    if mention.kind is Kind.LABEL:
        return True
    rest = reading.text[start : mention.start] + reading.text[mention.end : end]
    if rest.strip(_AROUND) not in ("", "the", "a", "an", "The", "A", "An"):
        return False
    line = reading.text[reading.text.rfind("\n", 0, start) + 1 : start]
    return mention.letter not in ("A", "I") or not line.strip() or end > mention.end
