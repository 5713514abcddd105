r"""Which number a response to a word problem settles on.

A ladder of rungs as for options, from the plainest statement to the faintest hint: the first that finds a number
decides. Two rules of the field are the yardstick. The paper (arXiv 2507.08799) takes the last number of the response,
stripped of "$", "," and "."; the harness's `gsm8k` takes the first match of `#### (\-?[0-9\.\,]+)` as `strict-match`
and the last of `(-?[$0-9.,]{2,})|(-?[0-9]+)` as `flexible-extract`. Both read a number from any response that holds
one: from a restated question, from a list number, from a computation that was cut off. Here those have no answer.
"""

import re
from fractions import Fraction

from ..extraction import CONFLICT, NO_ANSWER, Extraction
from . import rungs
from .numerals import canonical
from .plain import plain
from .reading import Reading, sole_value, without_cut_repetition

_NONE = Extraction(None, NO_ANSWER)
_MOST = 3  # how many follow-ups and how many retractions are tried
_FOLLOW_UP = re.compile(
    r"\n[ \t>#*]*(?:(?:next |follow-up |new |another )?(?:question|q|problem|exercise|human|user|instruction|input)"
    r"(?: ?\d+)?[ \t*]*(?::|\n|\*\*)|(?:now,? )?let's (?:try|do|solve) (?:another|the next|a new)\b)"
    r"|<\|(?:im_start|im_end|endoftext|eot_id|end|user)\|>",
    re.IGNORECASE,
)
_FURTHER_QUESTION = re.compile(r"(?:(?<=[.!]) |\n)(?:how|what) [^.?\n]{5,200}\?", re.IGNORECASE)
_RETRACTION = re.compile(
    r"(?:^|[.!?,;:…\n(-]\s*|\b(?:but|no|hmm|oh|and|or)[ ,]+)"
    r"(?:(?:(?:wait|actually|hold on|sorry|oops|correction|edit(?=:)|on second thoughts?|(?:scratch|strike) that|"
    r"my mistake|my bad|i misread|i forgot|i was wrong|or rather)\b|(?:rather|instead),|no[,:] |"
    r"let me (?:re(?!ad)|correct)|(?:that|this|it|which)(?:'s| is| was) (?:wrong|incorrect|not (?:right|correct))|"
    r"i (?:have )?made an? (?:mistake|error))[ ,.:!]*)+",
    re.IGNORECASE,
)
_ANEW = re.compile(
    r"(?:^|[.!] )(?:(?:it|that|this|the \w+)(?:'s| is| was| (?:sh|w)ould be| must be))?\W*\d", re.IGNORECASE
)
_WITHDRAWS = re.compile(r"wrong|incorrect|not (?:right|correct)|scratch|strike|mistake|error", re.IGNORECASE)


def canonical_number(text: str) -> str | None:
    r"""The canonical form of a written number, so that equal numbers are equal strings.

    "1,234" and "$1{,}234.00" are "1234", "\frac{6}{8}" and "3/4" are "0.75", "2/6" is "1/3", "2 1/2" is "2.5", "1.2
    million" is "1200000", "twenty-four apples" is "24". A unit after the number, the percent sign too, is dropped.

    Args:
        text: The number, as a gold target or a response writes it.

    Returns:
        The number exactly: an integer, a decimal, or a reduced fraction where no decimal ends. None if the text is not
        one number and nothing else.
    """
    value = sole_value(plain(text), named=False)
    return None if value is None else canonical(value)


def extract_number(response: str, *, strict: bool = False) -> Extraction:
    r"""Finds the number a response settles on, in the form of `canonical_number`.

    The rungs, in order: "boxed" (the last `\boxed{}`), "marked" ("#### 42" as in GSM8K, or `<answer>`), "statement"
    ("the answer is 42", "Answer: 42", "so the total is 42"), then, unless `strict`, "concluding" (what the last
    sentence with "so", "therefore", "in total", "left" and such asserts), "equation" (what the last computation comes
    to), "opening" (the response begins with a number alone), "only_number" (it asserts no other number) and
    "last_number" (the number it ends with is a sentence of its own, or follows from numbers before it).

    Below "statement" nothing counts that is only on the way: after it no further step may begin, no new number come
    up, and the response not break off. A response that retracts an answer is read from there on, and one that makes
    up another question up to there.

    Args:
        response: The response.
        strict: Only explicit statements count.

    Returns:
        The number and the rung that decided.
    """
    response = response.rpartition("</think>")[2].strip()
    ends = [(match.start(), False) for match in _FOLLOW_UP.finditer(response)]
    ends += [(match.start(), True) for match in _FURTHER_QUESTION.finditer(response)]
    for end, stated_only in [*sorted(ends)[:_MOST], (len(response), False)]:
        part = response[:end].strip()
        found = _settled(part, stated_only)
        if found.rule != NO_ANSWER:
            return _settled(part, strict) if strict else found
    return _NONE


def _settled(response: str, strict: bool) -> Extraction:
    """The answer, after the last retraction of one if it gives one again."""
    for retraction in list(_RETRACTION.finditer(response))[: -_MOST - 1 : -1]:
        rest = response[retraction.end() :]
        after = _climb(rest, strict=False)
        if after.rule != NO_ANSWER and (after.rule != "only_number" or _ANEW.search(rest)):
            return _climb(rest, strict) if strict else after
        if _WITHDRAWS.search(retraction[0]):
            return _NONE
    return _climb(response, strict)


def _climb(response: str, strict: bool) -> Extraction:
    """What the first rung that finds something finds."""
    boxed = rungs.boxed(response)
    if boxed is not None:
        return Extraction(canonical(boxed), "boxed")
    reading = Reading.of(without_cut_repetition(plain(response)))
    marked, stated = rungs.marked(response), rungs.stated(reading)
    if marked or stated:
        return _agreed("marked" if marked else "statement", _canonical(*marked, *stated))
    result = rungs.last_result(reading)
    if result and result.is_statement:
        return _agreed("statement", _canonical(result.value))
    return _NONE if strict else _hinted(reading, result)


def _hinted(reading: Reading, result: rungs.Result | None) -> Extraction:
    """The answer by the rungs below statements. An opening that the computations after it contradict is a conflict."""
    opening, value = rungs.opening(reading), result.value if result else None
    if result and value is not None and (result.rule == "concluding" or opening is None):
        return Extraction(canonical(value), result.rule)
    if opening is not None:
        return _agreed("opening", _canonical(opening, value))
    only = rungs.only_number(reading)
    if only is not None:
        return Extraction(canonical(only), "only_number")
    last = None if result and result.rule == "concluding" else rungs.last_number(reading)
    return _agreed("last_number", _canonical(last))


def _canonical(*values: Fraction | None) -> set[str]:
    return {canonical(value) for value in values if value is not None}


def _agreed(rule: str, values: set[str]) -> Extraction:
    """The one value there is; none, or a conflict."""
    if len(values) == 1:
        return Extraction(next(iter(values)), rule)
    return Extraction(None, CONFLICT if values else NO_ANSWER)
