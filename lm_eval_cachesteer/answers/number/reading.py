"""A response, read: into numbers, the numbers into terms, the text into sentences."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from .numerals import Number, in_digits, in_words

_WORD = r"[A-Za-z(][A-Za-z²³'/)-]*"
UNIT = rf"(?: ?[%°¢])?(?:[ -]?{_WORD})?(?: {_WORD}){{0,5}}"
SHORT_UNIT = rf"(?: ?[%°¢])?(?:[ -]?{_WORD})?(?: {_WORD}){{0,2}}"
_ADVERBS = (
    r"(?:(?:an?|the|total|of|only|just|exactly|about|approximately|around|roughly|now|still|also|therefore|thus|then|"
    r"equal|to|at|least|most|up|with|back|it|them|him|her|me|us|you|profit|amount|average|change|final|overall|grand|"
    r"combined|indeed|simply|clearly|precisely|nearly|almost|another|extra|additional)\b[ ,:]*)*"
)
HEDGE = rf"{_ADVERBS}(?:an? (?:\w+ ){{1,3}}of )?{_ADVERBS}"
_OPERATOR = re.compile(
    rf"{UNIT} ?\)* ?(?:[-+*÷/·]|\b(?:plus|minus|times|(?:multiplied|divided) by|(?:more|less|fewer) than)\b) ?\(* ?"
)
_PART_OF = re.compile(r".*(?:/\d+|%| percent) of (?:the |all |her |his |their )?")
_EQUALITY = re.compile(rf"{UNIT} ?\)*,? ?\n? ?[=≈→]>? ?{HEDGE}")
_SPOKEN_EQUALITY = re.compile(
    rf"(?!.*\band\b){UNIT} ?\)*,? (?:which |that |this )?(?:is|are|was|were|would be|equals?|makes?|gives?|leaves?|"
    rf"yields?|comes? to|to get)\b ?{HEDGE}"
)
_UNFINISHED = re.compile(rf"{UNIT} ?\)* ?(?:[+*÷≈]|=(?! ?[A-Za-z]\b)|[-/] ?$)", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)[.!?]+[)']*(?=\s|$)(?! +(?:[a-z]{2}|[/*÷=]))"
    r"|\n(?! ?=)"
)
UNIT_ALONE = re.compile(rf"(?! (?:or|and|to)\b){UNIT}(?:\^[23])?[ .!)\]']*")
DIRECTLY = re.compile(
    r"[ ('\[]*(?:[A-Za-z]\w{0,15} ?= ?)?(?:(?:an?|the|a total of|equal to|just|only|exactly|precisely|about|"
    r"approximately|around|roughly|nearly|almost|at least|at most|probably|likely|actually|really|indeed|simply|"
    r"clearly|therefore|thus|then|now|still)\b[ ,:]*)*[ ('\[]*",
    re.IGNORECASE,
)
_WORKING = re.compile(r"[+*÷/]|\d ?- ?\d|\d[a-z]\b", re.IGNORECASE)
NEAR, LONG = 80, 200  # characters: how far the words beside a number, and those around a statement, are read


class Term(NamedTuple):
    """A number, or a computation: numbers joined by operators and equalities.

    Attributes:
        start: Where its first number begins.
        end: Where its last number ends.
        value: Its value, right of the last equality; None for one not worked out.
        computed: Whether it holds an equality.
    """

    start: int
    end: int
    value: Fraction | None
    computed: bool


class Sentence(NamedTuple):
    """Where a sentence begins and ends. A line is one at least."""

    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """A response, read.

    Attributes:
        text: Its plain text.
        terms: Its terms, in order.
        sentences: Its sentences, in order.
        numbers: Its numbers, in order.
        works: Whether it calculates: holds an operator between numbers, or a multiple of a variable.
    """

    text: str
    terms: tuple[Term, ...]
    sentences: tuple[Sentence, ...]
    numbers: tuple[Number, ...]
    works: bool

    @classmethod
    def of(cls, text: str) -> "Reading":
        """Reads a plain text. Numbers in words count only in sentences without digits."""
        sentences = _sentences(text)
        numbers = list(in_digits(text))
        starts = [number.start for number in numbers]
        for start, end in sentences:
            if bisect_left(starts, start) == bisect_left(starts, end):
                numbers += in_words(text, start, end)
        numbers.sort()
        return cls(text, tuple(_terms(text, numbers)), sentences, tuple(numbers), _WORKING.search(text) is not None)

    def words(self, sentence: Sentence) -> str:
        """The text of a sentence."""
        return self.text[sentence.start : sentence.end].strip()

    def terms_in(self, start: int, end: int) -> tuple[Term, ...]:
        """The terms that begin in a part of the text."""
        return self.terms[_first(self.terms, start) : _first(self.terms, end)]

    def numbers_in(self, start: int, end: int) -> tuple[Number, ...]:
        """The numbers that begin in a part of the text."""
        return self.numbers[_first(self.numbers, start) : _first(self.numbers, end)]

    def before(self, term: Term, start: int) -> str:
        """The words right before a term, from a position on."""
        return self.text[max(start, term.start - NEAR) : term.start]

    def sentence_at(self, position: int) -> Sentence:
        """The sentence at a position, or the one before it."""
        return self.sentences[max(0, bisect_right(self.sentences, (position, len(self.text))) - 1)]


def _first(items: tuple[Term, ...] | tuple[Number, ...], position: int) -> int:
    """The index of the first item that begins at or after a position."""
    return bisect_left(items, position, key=lambda item: item.start)


def _sentences(text: str) -> tuple[Sentence, ...]:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    spans = zip([0, *ends], ends, strict=False)
    return tuple(Sentence(start, end) for start, end in spans if text[start:end].strip())


def without_cut_repetition(text: str) -> str:
    """The text without a last sentence that only begins to repeat the one before: "... is 15. The answer is 1"."""
    sentences = _sentences(text)
    if len(sentences) < 2:
        return text
    before, last = (text[start:end].strip() for start, end in sentences[-2:])
    repeats = last.count(" ") > 1 and before.startswith(last) and before != last
    return text[: sentences[-1].start] if repeats else text


def _terms(text: str, numbers: list[Number]) -> Iterator[Term]:
    """Joins numbers to terms."""
    chain: list[Number] = []
    links: list[str] = []
    for number in numbers:
        link = _link(text, chain[-1], number, worked="+" in links) if chain else None
        if chain and not link:
            yield _term(text, chain, links)
            chain, links = [], []
        chain.append(number)
        links += [link] if link else []
    if chain:
        yield _term(text, chain, links)


def _link(text: str, left: Number, right: Number, *, worked: bool) -> str | None:
    """What joins two numbers: "+" for an operator, "=" for an equality, None for nothing.

    Words such as "is" and "makes" are equalities only after an operator (`worked`): "6 times 7 makes 42".
    """
    gap = text[left.end : right.start]
    if len(gap) > NEAR:
        return None
    if _EQUALITY.fullmatch(gap) or (worked and _SPOKEN_EQUALITY.fullmatch(gap)):
        return "="
    if _OPERATOR.fullmatch(gap) or _PART_OF.fullmatch(text[left.start : right.start]):
        return "+"
    return None


def _term(text: str, chain: list[Number], links: list[str]) -> Term:
    end = chain[-1].end
    open_ended = (links and links[-1] == "+") or _UNFINISHED.match(text, end)
    return Term(chain[0].start, end, None if open_ended else chain[-1].value, "=" in links)


def sole_value(text: str, *, named: bool = True) -> Fraction | None:
    """The value of a plain text that is one term and its unit, and with `named`, "x = " or "about" before it."""
    reading = Reading.of(text)
    if len(reading.terms) != 1 or not (named or len(reading.numbers) == 1):
        return None
    term = reading.terms[0]
    before, after = text[: term.start], text[term.end :]
    if not (DIRECTLY.fullmatch(before) if named else not before.strip("( ")):
        return None
    return term.value if UNIT_ALONE.fullmatch(after) else None
