r"""One way to write every sign: the text without LaTeX, markdown and currency."""

import re
import unicodedata
from collections.abc import Callable

from ..text import single_spaces, straight_quotes

_TIMES = "\u00d7"  # stands for "*" until markdown's asterisks are gone
_SIGNS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u2715\u2716\u2219\u22c5", _TIMES)
    | dict.fromkeys("\u2044\u2215", "/")
    | {"⇒": "→"}
)
_NARROW = re.compile("[\u00a0\u2009\u202f]")
_REWRITES: tuple[tuple[str, str | Callable[["re.Match[str]"], str]], ...] = (
    (r"<<[^<>\n]*>>", ""),  # GSM8K's calculator notes: "3*4=<<3*4=12>>12"
    (r"~~[^~\n]{1,80}~~|</?(?:b|i|u|em|strong|span|p|br)\b[^<>\n]{0,40}>", ""),
    # LaTeX
    (r"\{,\}|,\\!", ","),
    (r"(?<=\d)(?:\\,|')(?=\d{3})", "\u2009"),
    (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
    (r"(?<=\d)\s*\\[dtc]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}", r" \1/\2"),
    (r"\\[dtc]?frac\s*\{\s*([\d,.]+)\s*\}\s*\{\s*(\d+)\s*\}", r"\1/\2"),
    (r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}", r" \1 "),
    (r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"(\1)/(\2)"),
    (r"\^ ?\{? ?\\circ", "°"),
    (r"\\(?:times|cdot|ast)(?![a-zA-Z])", _TIMES),
    (r"\\div(?![a-zA-Z])", "÷"),
    (r"\\approx(?![a-zA-Z])", "≈"),
    (r"\\(?:implies|Rightarrow|rightarrow|to)(?![a-zA-Z])", "→"),
    (r"\\([%$#_&*])", r"\1"),
    (r"\\\\", "\n"),
    (r"&\s*=", "="),
    (r"\\[a-zA-Z]+|\\[^a-zA-Z\n]", " "),
    (r"[{}]", ""),
    # numerals
    (r"[½⅓⅔¼¾⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚]", lambda found: " " + unicodedata.normalize("NFKC", found[0]).translate(_SIGNS)),
    (rf"(?<!\d)\d{{1,3}}(?:{_NARROW.pattern}\d{{3}}){{1,8}}(?!\d)", lambda found: _NARROW.sub("", found[0])),
    (
        r"(?<=[$€£])\d{1,3}(?: \d{3}){1,4}(?!\d)|(?<!\d)\d{1,3}(?: \d{3}){0,3} 000(?!\d)",
        lambda found: found[0].replace(" ", ""),
    ),
    # a decimal comma, told from a thousands separator by its two digits and the euro sign
    (r"\b\d{1,3}(?:\.\d{3})+,\d\d(?!\d)", lambda found: found[0].replace(".", "").replace(",", ".")),
    (r"(?<=€)(\d+),(\d\d)(?!\d)|\b(\d+),(\d\d)(?= ?€)", lambda found: found[0].replace(",", ".")),
    (r"(?i)(?:(?<=\bis )|(?<=\bto )|(?<=: ))minus (?=[$€£]?\d)|\bnegative (?=[$€£]?\d)", "-"),
    # multiplication, then markdown, then currency
    (r"(?<=\d) ?[xX] ?(?=[$€£(]?\d)", f" {_TIMES} "),
    (r"(?<=[\w)%])( ?)\*(?!\*)\1(?=[-$€£(\w])|(?<=[\d)]) ?\*(?!\*) ?(?=[$€£(]?\d)", f" {_TIMES} "),
    (r"(?m)^[ \t]{0,3}(?:[#>]+|[*•])[ \t]+", ""),
    (r"[*_`\"]+", ""),
    (_TIMES, "*"),
    (r"-[$€£](?=[\d.])|[$€£] ?-(?=[\d.])", "-"),
    (r"\b(?:US|USD|EUR|GBP|INR|Rs\.?) ?(?=[$€£\d])|[$€£¥₹]", " "),
    # "20 posts, not 24."; "(If it had rained, it would have been 14.)"
    (r"(?<=\w), not [$€£]?\d[\d,]*(?:\.\d+)?(?= ?(?:[.;!\n]|$))", ""),
    (r"\((?:[Ii]f|[Hh]ad|[Ww]ithout|[Oo]therwise)\b[^()\n]{0,200}\)", ""),
    # "not 24 but 42", "I thought it was 24, but it is 42"
    (r"(?i)\bI (?:first |initially |at first )?thought [^.\n]{0,60}?\d[^.\n]{0,20}?,? but (?=\D{0,20}\d)", ""),
    (
        r"(?i)\b(is|are|was|were)(?:n't| not) [^.;,\n]{0,15}\d[^.;,\n]{0,15}"
        r"(?:[;,] (?:but |rather |instead )?(?:it(?:'s| is| was)|they (?:are|were))|,? but) (?=\D{0,10}\d)",
        r"\1 ",
    ),
)
_COMPILED_REWRITES = tuple((re.compile(pattern), replacement) for pattern, replacement in _REWRITES)


def plain(text: str) -> str:
    r"""The text without LaTeX, markdown and currency: "\frac{3}{4}" is "3/4", "1{,}200" "1,200", "3x4" "3 * 4"."""
    text = straight_quotes(text).translate(_SIGNS)
    for pattern, replacement in _COMPILED_REWRITES:
        text = pattern.sub(replacement, text)
    return single_spaces(text)
