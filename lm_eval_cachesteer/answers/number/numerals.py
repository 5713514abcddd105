"""What is a number in a plain text, its value, and its canonical form."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_ONES + _TEENS, 1)} | {w: 10 * i for i, w in enumerate(_TENS, 2)}
_SCALES = {"k": 10**3, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_NAMED = (
    r"step|question|problem|part|option|case|method|example|exercise|chapter|figure|equation|section|scenario|stage"
)
_TOKEN = re.compile(
    rf"""
      \b(?:{_NAMED})\ ?[#(]?\d+\b(?!\ ?[-+*÷=]) | \b(?:{_NAMED})s\ \d+(?:(?:,|\ and|\ to|-)\ ?\d+)+
    | \b\d{{4}}-\d\d-\d\d\b | \b\d{{1,2}}/\d{{1,2}}/\d{{4}}\b
    | \b(?:on\ )?{_MONTH}\ \d{{1,2}}(?:st|nd|rd|th)?,?\ \d{{4}}\b | \b\d{{1,2}}\ {_MONTH}\ \d{{4}}\b
    | \bon\ {_MONTH}\ \d{{1,2}}\b | \bin\ (?:19|20)\d\d(?=,)
    | \b\d+(?::\d+|\ :\ \d+)+                   # times, ratios
    | \b\d+(?:\.\d+){{2,}}                      # versions
    | \b\d+(?:\.\d+)?\^[(]?-?\d+ | \^[(]?-?\d+  # powers
    | (?<!\w)[^\W\d]+-?\d\w*                    # H2O, COVID-19
    | \b\d+(?:\.\d+)?(?:st|nd|rd|th|[xyzn])\b   # ordinals, algebra
    | \b\d{{4}}s\b | \#\d+ | \d{{31,}}
    | (?P<sign>(?<![\w)%.])(?<![\d)%]\ )[-+](?=\.?\d))?
      (?:(?P<whole>\d{{1,3}}(?:,\d{{3}}){{1,8}}(?!\d)|\d{{1,30}}(?!\d))(?P<decimals>\.\d{{1,30}}(?!\d))?
        |(?P<point>(?<![\w.)])\.\d{{1,30}}(?!\d)))
      (?:\ \*\ 10\^\(?(?P<power>-?\d{{1,2}})\b
        |/(?P<over>\d{{1,12}})(?![\d.]*\d)|\ (?:and\ )?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})(?![\d/]))?
      (?:\ ?(?P<scale>hundred|thousand|million|billion|k)\b)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UP_TO_99 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_WORDS)})"
_UP_TO_999 = rf"(?:(?:{'|'.join(_WORDS)}|a) hundred(?:(?: and)? {_UP_TO_99})?|{_UP_TO_99})"
_SPELLED = re.compile(
    rf"\b(?P<sign>(?:(?<=is )|(?<=to )|(?<=: ))minus |negative )?"
    rf"(?:(?P<top>{'|'.join(_ONES)})[ -](?P<over>{'|'.join(_PARTS)})s?\b"
    rf"|(?P<words>zero|a dozen|(?:{_UP_TO_999}|a) thousand(?:,?(?: and)? {_UP_TO_999})?|{_UP_TO_999})\b"
    r"(?: and (?:a|one) (?P<part>half|third|quarter)\b)?(?! (?:of|another|by|that|who|which)\b))",
    re.IGNORECASE,
)
_BEFORE_ONE = re.compile(r"(?:^|[:=]|\bis|\bonly|\bjust|\bexactly) ?$", re.IGNORECASE)
_LIST_LABEL = re.compile(r"^(?:[-•] ?)?\(?(\d{1,2})[.):](?P<text> \S)?", re.MULTILINE)


class Number(NamedTuple):
    """A number and where it stands."""

    start: int
    end: int
    value: Fraction


def in_digits(text: str) -> Iterator[Number]:
    """The numbers in digits, without list numbers and step names, dates, times and ratios, versions and ordinals."""
    labels = _list_labels(text)
    for match in _TOKEN.finditer(text):
        value = _value(match.groupdict())
        if value is not None and match.start() not in labels:
            yield Number(match.start(), match.end(), value)


def _list_labels(text: str) -> set[int]:
    """Where an enumeration has its numbers: "1." before text, then each that follows on, the last one even cut off."""
    labels, previous = set[int](), 0
    for match in _LIST_LABEL.finditer(text):
        number = int(match[1])
        if (number == 1 and match["text"]) or (previous and number == previous + 1):
            labels.add(match.start(1))
            previous = number
    return labels


def _value(parts: dict[str, str | None]) -> Fraction | None:
    """The value of a match of `_TOKEN`, by its groups; None if it is no number."""
    digits = (parts["whole"] or "").replace(",", "") + (parts["decimals"] or parts["point"] or "")
    over, top, bottom = (int(parts[name] or 0) for name in ("over", "top", "bottom"))
    if not digits or (parts["over"] and not over) or (parts["top"] and top >= bottom):
        return None
    value = Fraction(digits) * Fraction(10) ** int(parts["power"] or 0) / (over or 1)
    if top:
        value += Fraction(top, bottom)
    value *= _SCALES[parts["scale"].lower()] if parts["scale"] else 1
    return -value if parts["sign"] == "-" else value


def in_words(text: str, start: int, end: int) -> Iterator[Number]:
    """The numbers in words; "one" only where it is one: "the answer is one"."""
    for match in _SPELLED.finditer(text, start, end):
        value = _spelled_value({name: (part or "").lower() for name, part in match.groupdict().items()})
        if value != 1 or _BEFORE_ONE.search(text[max(start, match.start() - 10) : match.start()]):
            yield Number(match.start(), match.end(), -value if match["sign"] else value)


def _spelled_value(parts: dict[str, str]) -> Fraction:
    """The value of a match of `_SPELLED`, by its groups."""
    if parts["over"]:
        return Fraction(_WORDS[parts["top"]], _PARTS[parts["over"]])
    if parts["words"] == "a dozen":
        return Fraction(12)
    thousands = value = 0
    for word in re.findall("[a-z]+", parts["words"]):
        if word == "thousand":
            thousands, value = value * 1000, 0
        elif word == "hundred":
            value *= 100
        else:
            value += 1 if word == "a" else _WORDS.get(word, 0)
    return thousands + value + (Fraction(1, _PARTS[parts["part"]]) if parts["part"] else Fraction(0))


def canonical(value: Fraction) -> str:
    """The canonical form: "1234", "0.75", or "1/3" where no decimal ends."""
    digits, power = 0, value.denominator
    while power % 2 == 0 or power % 5 == 0:
        digits, power = digits + 1, power // (10 if power % 10 == 0 else 2 if power % 2 == 0 else 5)
    if power != 1:
        return f"{value.numerator}/{value.denominator}"
    whole, decimals = divmod(abs(value.numerator) * 10**digits // value.denominator, 10**digits)
    return ("-" if value < 0 else "") + (f"{whole}.{decimals:0{digits}}" if digits else f"{whole}")
