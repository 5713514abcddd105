"""Whether what a sentence asserts is the end of the matter, or only on the way."""

import re
from fractions import Fraction

from .assertions import PLANS, asserted, computes, is_aside
from .reading import Reading

IN_CONCLUSION = re.compile(
    r"\b(?:so|therefore|thus|hence|consequently|finally|in total|overall|in conclusion|final)\b", re.IGNORECASE
)
_CHECKS = re.compile(
    r"\W*(?:(?:to|let's|let us|we can|i will|i should|i can|i'll|now)\W+){0,2}(?:double[- ]?)?(?:check|verify|confirm)"
    r"|\W*(?:note|verification|proof|indeed|plugging|substituting)\b"
    r"|.*\b(?:which (?:indeed|confirms|matches|checks|agrees)|checks out|as (?:required|given|expected))\b",
    re.IGNORECASE,
)
# A sentence that only talks about the answer.
_WRAPS_UP = re.compile(r"\b(?:answer|check|verif|conclu|summar|i hope|let me know)", re.IGNORECASE)
# How a sentence begins that has no result but goes on to a next step: "Step 4:", "4."; "How many are left?"
_BREAKS_OFF = re.compile(
    r"\W*(?:step \d+\b|\(?\d{1,2}[.)]$|(?:next|now|then|after that|finally|first|second)\W*$)", re.IGNORECASE
)
_ASKS = re.compile(
    r"(?:^|[,:] )\W*(?:so |then |but |now )?(?:how (?:many|much|long|far|old|tall)|what (?:is|are|was|were))\b",
    re.IGNORECASE,
)
_PROSE_TO_DIGIT = re.compile(r"[a-z]{2} (?=[-\d(]).*\d$")
_HANGS = re.compile(r"\b(?:that|the|an?|of|to|and|or|is|are|by|we|so|for|in|with|which|if|can|need)$", re.IGNORECASE)
_STOPS = (".", "!", "?")


def is_check(words: str) -> bool:
    """Whether a sentence verifies a result."""
    return _CHECKS.match(words) is not None


def is_settled(reading: Reading, index: int, value: Fraction, end: int | None = None) -> bool:
    """Whether what follows a sentence, up to sentence `end`, lets its value stand.

    It does not where a further step or question begins or the response breaks off, and where another value is asserted
    or a new number comes up.
    """
    last = len(reading.sentences) - 1
    if _is_cut_off(reading) and (index == last or not _WRAPS_UP.search(reading.words(reading.sentences[last]))):
        return False
    known = {number.value for number in reading.numbers_in(0, reading.sentences[index].end)}
    concluded = IN_CONCLUSION.search(reading.words(reading.sentences[index]))
    for later in reading.sentences[index + 1 : end]:
        words = reading.words(later)
        if _WRAPS_UP.search(words):
            continue
        if _BREAKS_OFF.match(words) or (words.endswith("?") and _ASKS.search(words) and not concluded):
            return False
        if is_aside(reading, later):
            if PLANS.match(words):
                return False
            continue
        values = {number.value for number in reading.numbers_in(later.start, later.end)}
        term = asserted(reading, later.start, later.end, weakly=False)
        if (term.value != value) if term else not values <= known:
            return False
    return True


def _is_cut_off(reading: Reading) -> bool:
    """Whether the response breaks off in mid-sentence.

    Its last sentence has no full stop although an earlier one has, and it is neither a line by itself nor does it end
    in a computation or a conclusion: "Total: 12 eggs", "3 * 4 = 12 eggs", "So the total is 12". After lines of prose, a
    line of prose that ends in a digit is cut off too.
    """
    *before, last = map(reading.words, reading.sentences)
    if last.endswith((*_STOPS, ")", "]")) or not any(words.endswith(_STOPS) for words in before):
        return False
    if _HANGS.search(last):
        return True
    start, end = reading.sentences[-1]
    in_prose = len(before) > 1 and all(words.endswith(_STOPS) for words in before[-3:])
    if in_prose and _PROSE_TO_DIGIT.search(last) and not IN_CONCLUSION.search(last):
        return True
    if reading.text[:start].endswith("\n") and (computes(reading, reading.sentences[-1]) or len(last.split()) < 8):
        return last.endswith(":") or (last.startswith("So, ") and asserted(reading, start, end, weakly=False) is None)
    terms = reading.terms_in(start, end)
    return not terms or not (terms[-1].computed or (IN_CONCLUSION.match(last) and last[-1].isdigit()))
