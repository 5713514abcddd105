"""The rungs: each finds the number a response settles on in one way."""

import re
from fractions import Fraction
from typing import NamedTuple

from ..text import BOXED, strength
from .assertions import asserted, asserted_by, bare_value, certain, computes, is_aside
from .plain import plain
from .reading import DIRECTLY, LONG, SHORT_UNIT, UNIT_ALONE, Reading, Sentence, Term, sole_value
from .settling import IN_CONCLUSION, is_check, is_settled

_MARKED = re.compile(r"####[ \t]*([^\n]+)|<answer>\s*([^<]*?)\s*(?:</answer>|$)", re.IGNORECASE)
# "The answer (in cm) to the question is:", "Result =", "A:", a line "Final answer" above the number.
_INTRODUCES = re.compile(
    r"(?:\b(?:answer|solution|result)\b(?: ?\([^()\n]{0,40}\))?(?:,? (?:to|for|of|here)\b[^.:=?\n]{0,80}?)?,? ?"
    r"(?:(?P<verb>(?:is|was|would be|must be|should be|will be|comes? (?:out )?to|equals)\b(?: that\b)? ?:?)|[:=→—]|- )"
    r"|^(?:a ?:|ans ?[.:])|\bfinal answer(?= -?\d)|^(?:the )?(?:final )?answer[ .]*\n)\s*",
    re.IGNORECASE | re.MULTILINE,
)
_IS_THE_ANSWER = re.compile(
    r"\b(?:is|are|must be|would be) (?:therefore |thus |indeed )?(?:the|our|my) (?:final |correct |right )?"
    r"(?:answer|solution)\b",
    re.IGNORECASE,
)
_CLOSED = re.compile(rf"{SHORT_UNIT}(?:[)\].!']* *(?:$|\n)|[.;,!(]\s| \(| (?:because|since|as)\b)")
_SUPPOSED = re.compile(
    r"\b(?:if|suppose|assum\w+|whether|unless|until)\b|\b(?:wrong|incorrect|previous|first|initial) $",
    re.IGNORECASE,
)
_PARTIAL = re.compile(r"\b(?:first|second|third|step|part)\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"\b(?:so(?! (?:that|far|many|much|long)\b)|therefore|thus|hence|consequently|finally|altogether|in all|overall|"
    r"total|totals|in conclusion|in summary|as a result|(?:that|which|this) means|meaning|left|remain(?:s|ing)?)\b|∴",
    re.IGNORECASE,
)
_TOTAL_IS = re.compile(
    r"\b(?:total|sum|number|amount|difference|cost|price|profit|average|count|length|size|share)\b[^.\n]{0,80}?"
    r"(?:\b(?:is|are|was|were|be|equals?|comes to)\b|[=:])",
    re.IGNORECASE,
)
_OPENS = re.compile(r"([^\n.]{0,40}?\d[^\n.]{0,20}?) ?(?:— |: |\b(?:because|since) )")
_BOTH = re.compile(r"[\s$,]*(?:\\text\s*\{)?\s*(?:or|and)\s*\}?[\s$]*")
_HALVES = re.compile(r"\b(?:half|halves|halv|twice|doubl)", re.IGNORECASE)
_LATEST = 40  # how many of a response's last numbers a new one may follow from


class Result(NamedTuple):
    """What a sentence concludes or computes; without a value if that is not settled."""

    rule: str
    value: Fraction | None
    words: str

    @property
    def is_statement(self) -> bool:
        """Whether it concludes on a total: "So the total is 42"."""
        return bool(self.value is not None and IN_CONCLUSION.search(self.words) and _TOTAL_IS.search(self.words))


def boxed(response: str) -> Fraction | None:
    r"""What the last `\boxed{}` holds; nothing where two are left open: `\boxed{16} or \boxed{20}`."""
    boxes = list(BOXED.finditer(response))
    if not boxes or (len(boxes) > 1 and _BOTH.fullmatch(response, boxes[-2].end(), boxes[-1].start())):
        return None
    return sole_value(plain(boxes[-1][1]))


def marked(response: str) -> set[Fraction]:
    """The numbers marked "####" or `<answer>`."""
    values = {sole_value(plain(match[1] or match[2] or "")) for match in _MARKED.finditer(response)}
    return {value for value in values if value is not None}


def stated(reading: Reading) -> set[Fraction]:
    """The numbers stated as the answer, of the strongest statements."""
    found = [(match.start(), _introduced(reading, match)) for match in _INTRODUCES.finditer(reading.text)]
    found += [(match.start(), _called_the_answer(reading, match)) for match in _IS_THE_ANSWER.finditer(reading.text)]
    statements = []
    for position, term in found:
        if term and term.value is not None:
            sentence = reading.text[reading.sentence_at(position).start : term.end]
            statements.append((strength(sentence[-LONG:]), term.value))
    top = max((strength for strength, _ in statements), default=0)
    return {value for strength, value in statements if strength == top}


def _introduced(reading: Reading, match: "re.Match[str]") -> Term | None:
    """The term that "the answer is" or "Answer:" introduces.

    After "is", a term that follows at once, or that the sentence asserts outright. A colon may also open a whole
    solution: there the term must be all that stands in its sentence, or no other number may follow.
    """
    sentence = reading.sentence_at(match.start())
    before = reading.text[sentence.start : match.start()][-LONG:]
    if _SUPPOSED.search(before.rpartition(" but ")[2]) or _PARTIAL.search(match[0]):
        return None
    start, end = match.end(), reading.sentence_at(match.end()).end
    within = reading.terms_in(match.start(), start)
    if within and within[-1].end > start:  # "the answer to 6 * 7 is 42" is a computation of its own
        return within[-1]
    terms = reading.terms_in(start, end)
    if not terms or is_aside(reading, sentence):
        return None
    closed = match["verb"] or _CLOSED.match(reading.text, terms[0].end)
    if closed and DIRECTLY.fullmatch(reading.text, start, terms[0].start):
        return certain(reading, terms[0], start, end)
    is_last = match["verb"] or not reading.terms_in(end, len(reading.text))
    return asserted(reading, start, end, weakly=not match["verb"]) if is_last else None


def _called_the_answer(reading: Reading, match: "re.Match[str]") -> Term | None:
    """The term before "is the answer"."""
    sentence = reading.sentence_at(match.start())
    terms = reading.terms_in(sentence.start, match.start())
    if not terms or not UNIT_ALONE.fullmatch(reading.text, terms[-1].end, match.start()):
        return None
    return None if is_aside(reading, sentence) else certain(reading, terms[-1], *sentence)


def last_result(reading: Reading) -> Result | None:
    """What the last sentence with a conclusion or a computation comes to.

    A check of the result ("To verify, ...") is not read, unless there is no result before it.
    """
    checks = next((i for i, s in enumerate(reading.sentences) if i and is_check(reading.words(s))), None)
    for end in (checks, len(reading.sentences)):
        for index in reversed(range(end or 0)):
            sentence = reading.sentences[index]
            words = reading.words(sentence)
            concludes = _CONCLUDES.search(words) is not None or _TOTAL_IS.search(words) is not None
            term = None if is_aside(reading, sentence) else asserted_by(reading, sentence)
            if term and (concludes or computes(reading, sentence)):
                settled = term.value is not None and is_settled(reading, index, term.value, end)
                return Result("concluding" if concludes else "equation", term.value if settled else None, words)
    return None


def opening(reading: Reading) -> Fraction | None:
    """The number that is the whole first sentence of several, or stands before its reason: "42, because ..."."""
    reasoned = _OPENS.match(reading.text)
    if reasoned:
        return sole_value(reasoned[1], named=False)
    return bare_value(reading, reading.sentences[0]) if len(reading.sentences) > 1 else None


def only_number(reading: Reading) -> Fraction | None:
    """The only number of a response, if the last sentence that holds it asserts it, or is the only one."""
    sentences = [s for s in reading.sentences if reading.numbers_in(*s) and not is_aside(reading, s)]
    if len({number.value for sentence in sentences for number in reading.numbers_in(*sentence)}) != 1:
        return None
    last = sentences[-1]
    term = asserted_by(reading, last) if len(reading.numbers_in(*last)) < 3 else None
    if term is None and len(reading.sentences) == len(reading.terms) == 1:
        term = certain(reading, reading.terms[0], *last)
    return _if_settled(reading, last, term)


def last_number(reading: Reading) -> Fraction | None:
    """The last number of a response, if it is a sentence of its own, or new and follows from two numbers before it."""
    if not reading.terms:
        return None
    term = reading.terms[-1]
    sentence = reading.sentence_at(term.start)
    if is_aside(reading, sentence):
        return None
    if bare_value(reading, sentence) is not None:
        return _if_settled(reading, sentence, term)
    term = asserted(reading, *sentence, weakly=False) or certain(reading, term, *sentence)
    earlier = {number.value for number in reading.numbers if number.end <= term.start}
    value = None if term.value in earlier else _if_settled(reading, sentence, term)
    operands = [*list(earlier)[-_LATEST:], *([Fraction(2)] if _HALVES.search(reading.text) else [])]
    return value if value is not None and _follows(value, operands) else None


def _if_settled(reading: Reading, sentence: Sentence, term: Term | None) -> Fraction | None:
    """The value of a term of a sentence, if nothing after it goes on."""
    settled = term and term.value is not None and is_settled(reading, reading.sentences.index(sentence), term.value)
    return term.value if term and settled else None


def _follows(value: Fraction, earlier: list[Fraction]) -> bool:
    """Whether a value is the sum, difference, product or quotient of two different ones, or one of them rounded."""
    pairs = [(a, b) for a in earlier for b in earlier if a != b]
    rounded = value.denominator == 1 and any(abs(value - a) < 1 for a in earlier)
    return rounded or any(value in (a + b, a - b, a * b) or (b and value == a / b) for a, b in pairs)
