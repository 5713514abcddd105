r"""Which number a response to a word problem settles on.

A ladder of rules as in `choices`, from the plainest statement to the faintest hint: the first rung that finds a number
decides. Two rules of the field are the yardstick. The paper (arXiv 2507.08799) takes the last number of the response,
stripped of "$", "," and "."; the harness's `gsm8k` takes the first match of `#### (\-?[0-9\.\,]+)` as `strict-match`
and the last of `(-?[$0-9.,]{2,})|(-?[0-9]+)` as `flexible-extract`. Both read a number from any response that holds
one: from a restated question, from a list number, from a computation that was cut off. Here those have no answer.

A response is read once: into numbers, the numbers into terms ("3 * 4 = 12 eggs" is one term of value 12, "3 + 4" one
without a value), the text into sentences. A sentence asserts one term at most, and the rungs choose among sentences.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from .extraction import CONFLICT, NO_ANSWER, Extraction
from .text import BOXED, CORRECTION, DENIED_BEFORE, single_spaces, straight_quotes, strength, strongest

# --- Plain text: one way to write every sign ---------------------------------------------------------------------

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
    # LaTeX
    (r"\{,\}|,\\!", ","),
    (r"(?<=\d)\\,(?=\d)", "\u2009"),
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
    # multiplication, then markdown, then currency
    (r"(?<=\d) ?[xX] ?(?=[$€£(]?\d)", f" {_TIMES} "),
    (r"(?<=[\w)%])( ?)\*(?!\*)\1(?=[-$€£(\w])|(?<=[\d)]) ?\*(?!\*) ?(?=[$€£(]?\d)", f" {_TIMES} "),
    (r"(?m)^[ \t]{0,3}(?:[#>]+|[*•])[ \t]+", ""),
    (r"[*_`\"]+", ""),
    (_TIMES, "*"),
    (r"-[$€£](?=[\d.])|[$€£] ?-(?=[\d.])", "-"),
    (r"\b(?:US|USD|EUR|GBP|INR|Rs\.?) ?(?=[$€£\d])|[$€£¥₹]", " "),
)
_COMPILED_REWRITES = tuple((re.compile(pattern), replacement) for pattern, replacement in _REWRITES)


def _plain(text: str) -> str:
    r"""The text without LaTeX, markdown and currency: "\frac{3}{4}" is "3/4", "1{,}200" "1,200", "3x4" "3 * 4"."""
    text = straight_quotes(text).translate(_SIGNS)
    for pattern, replacement in _COMPILED_REWRITES:
        text = pattern.sub(replacement, text)
    return single_spaces(text)


# --- Numbers: what is one, and its value -------------------------------------------------------------------------

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_ONES + _TEENS, 1)} | {w: 10 * i for i, w in enumerate(_TENS, 2)}
_SCALES = {"k": 10**3, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4)}
_AND_A_PART = r"\ and\ (?:a|one)\ (?P<part>half|third|quarter)\b"
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
      (?:/(?P<over>\d{{1,12}})(?![\d.]*\d)|\ (?:and\ )?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})(?![\d/])|{_AND_A_PART})?
      (?:\ ?(?P<scale>hundred|thousand|million|billion|k)\b)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UP_TO_99 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_WORDS)})"
_UP_TO_999 = rf"(?:(?:{'|'.join(_WORDS)}|a) hundred(?:(?: and)? {_UP_TO_99})?|{_UP_TO_99})"
_SPELLED = re.compile(
    rf"\b(?P<words>zero|a dozen|(?:{_UP_TO_999}|a) thousand(?:,?(?: and)? {_UP_TO_999})?|{_UP_TO_999})\b"
    rf"(?:{_AND_A_PART})?(?! (?:of|another|by|that|who|which)\b)(?![ -](?:half|halves|thirds?|fourths?|quarters?)\b)",
    re.IGNORECASE,
)
_BEFORE_ONE = re.compile(r"(?:^|[:=]|\bis|\bonly|\bjust|\bexactly) ?$", re.IGNORECASE)


class _Number(NamedTuple):
    start: int
    end: int
    value: Fraction


def _numbers(text: str) -> Iterator[_Number]:
    """The numbers in digits, without list numbers and step names, dates, times and ratios, versions and ordinals."""
    labels = _list_labels(text)
    for match in _TOKEN.finditer(text):
        value = _value(match.groupdict())
        if value is not None and match.start() not in labels:
            yield _Number(match.start(), match.end(), value)


def _list_labels(text: str) -> set[int]:
    """Where an enumeration has its numbers: "1." before text, then each that follows on, the last one even cut off."""
    labels, previous = set[int](), 0
    for match in re.finditer(r"^(?:[-•] ?)?\(?(\d{1,2})[.):](?P<text> \S)?", text, re.MULTILINE):
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
    value = Fraction(digits)
    if over:
        value /= over
    if top:
        value += Fraction(top, bottom)
    if parts["part"]:
        value += _PARTS[parts["part"].lower()]
    if parts["scale"]:
        value *= _SCALES[parts["scale"].lower()]
    return -value if parts["sign"] == "-" else value


def _spelled(text: str, start: int, end: int) -> Iterator[_Number]:
    """The numbers in words; "one" only where it is one: "the answer is one"."""
    for match in _SPELLED.finditer(text, start, end):
        part = _PARTS[match["part"].lower()] if match["part"] else 0
        value = _spelled_value(match["words"].lower()) + part
        if value != 1 or _BEFORE_ONE.search(text[max(start, match.start() - 10) : match.start()]):
            yield _Number(match.start(), match.end(), value)


def _spelled_value(words: str) -> Fraction:
    if words == "a dozen":
        return Fraction(12)
    thousands = value = 0
    for word in re.findall("[a-z]+", words):
        if word == "thousand":
            thousands, value = value * 1000, 0
        elif word == "hundred":
            value *= 100
        else:
            value += 1 if word == "a" else _WORDS.get(word, 0)
    return Fraction(thousands + value)


def _written(value: Fraction) -> str:
    """The canonical form: "1234", "0.75", or "1/3" where no decimal ends."""
    digits, power = 0, value.denominator
    while power % 2 == 0 or power % 5 == 0:
        digits, power = digits + 1, power // (10 if power % 10 == 0 else 2 if power % 2 == 0 else 5)
    if power != 1:
        return f"{value.numerator}/{value.denominator}"
    whole, decimals = divmod(abs(value.numerator) * 10**digits // value.denominator, 10**digits)
    return ("-" if value < 0 else "") + (f"{whole}.{decimals:0{digits}}" if digits else f"{whole}")


# --- Reading: terms and sentences --------------------------------------------------------------------------------

_WORD = r"[A-Za-z(][A-Za-z²³'/)-]*"
_UNIT = rf"(?: ?[%°¢])?(?:[ -]?{_WORD})?(?: {_WORD}){{0,5}}"
_ADVERBS = (
    r"(?:(?:an?|the|total|of|only|just|exactly|about|approximately|around|roughly|now|still|also|therefore|thus|then|"
    r"equal|to|at|least|most|up|with|back|it|them|him|her|me|us|you|profit|amount|average|change|final|overall|grand|"
    r"combined|indeed|simply|clearly|precisely|nearly|almost|another|extra|additional)\b[ ,:]*)*"
)
_HEDGE = rf"{_ADVERBS}(?:an? (?:\w+ ){{1,3}}of )?{_ADVERBS}"
_OPERATOR = re.compile(
    rf"{_UNIT} ?\)* ?(?:[-+*÷/·]|\b(?:plus|minus|times|(?:multiplied|divided) by|(?:more|less|fewer) than)\b) ?\(* ?"
)
_PART_OF = re.compile(r".*(?:/\d+|%| percent) of (?:the |all |her |his |their )?")
_EQUALITY = re.compile(rf"{_UNIT} ?\)*,? ?\n? ?[=≈→]>? ?{_HEDGE}")
_SPOKEN_EQUALITY = re.compile(
    rf"{_UNIT} ?\)*,? (?:which |that |this )?(?:is|are|was|were|would be|equals?|makes?|gives?|leaves?|yields?|"
    rf"comes? to|to get)\b ?{_HEDGE}"
)
_UNFINISHED = re.compile(rf"{_UNIT} ?\)* ?(?:[+*÷≈]|=(?! ?[A-Za-z]\b)|[-/] ?$)", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)[.!?]+[)']*(?=\s|$)(?! +(?:[a-z]{2}|[/*÷=]))"
    r"|\n(?! ?=)"
)
_UNIT_ALONE = re.compile(rf"(?! (?:or|and|to)\b){_UNIT}(?:\^[23])?[ .!)\]']*")
_NEAR, _LONG = 80, 200  # characters: how far the words beside a number, and those around a statement, are read
_LATEST = 40  # how many of a sentence's or a response's last numbers are read
_WORKING = re.compile(r"[+*÷/]|\d ?- ?\d|\d[a-z]\b", re.IGNORECASE)


class _Term(NamedTuple):
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


class _Sentence(NamedTuple):
    start: int
    end: int


@dataclass(frozen=True)
class _Reading:
    """A response, read.

    Attributes:
        text: Its plain text.
        terms: Its terms, in order.
        sentences: Its sentences, in order; a line is one at least.
        numbers: Its numbers, in order.
        works: Whether it calculates: holds an operator between numbers, or a multiple of a variable.
    """

    text: str
    terms: tuple[_Term, ...]
    sentences: tuple[_Sentence, ...]
    numbers: tuple[_Number, ...]
    works: bool

    @classmethod
    def of(cls, text: str) -> "_Reading":
        """Reads a plain text. Numbers in words count only in sentences without digits."""
        ends = [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]
        sentences = tuple(
            _Sentence(start, end) for start, end in zip([0, *ends], ends, strict=False) if text[start:end].strip()
        )
        numbers = list(_numbers(text))
        starts = [number.start for number in numbers]
        for start, end in sentences:
            if bisect_left(starts, start) == bisect_left(starts, end):
                numbers += _spelled(text, start, end)
        numbers.sort()
        return cls(text, tuple(_terms(text, numbers)), sentences, tuple(numbers), _WORKING.search(text) is not None)

    def words(self, sentence: _Sentence) -> str:
        """The text of a sentence."""
        return self.text[sentence.start : sentence.end].strip()

    def terms_in(self, start: int, end: int) -> tuple[_Term, ...]:
        """The terms that begin in a part of the text."""
        return self.terms[_first(self.terms, start) : _first(self.terms, end)]

    def numbers_in(self, start: int, end: int) -> tuple[_Number, ...]:
        """The numbers that begin in a part of the text."""
        return self.numbers[_first(self.numbers, start) : _first(self.numbers, end)]

    def before(self, term: _Term, start: int) -> str:
        """The words right before a term, from a position on."""
        return self.text[max(start, term.start - _NEAR) : term.start]

    def sentence_at(self, position: int) -> _Sentence:
        """The sentence at a position, or the one before it."""
        return self.sentences[max(0, bisect_right(self.sentences, (position, len(self.text))) - 1)]


def _first(items: tuple[_Term, ...] | tuple[_Number, ...], position: int) -> int:
    """The index of the first item that begins at or after a position."""
    return bisect_left(items, position, key=lambda item: item.start)


def _terms(text: str, numbers: list[_Number]) -> Iterator[_Term]:
    """Joins numbers to terms."""
    chain: list[_Number] = []
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


def _link(text: str, left: _Number, right: _Number, *, worked: bool) -> str | None:
    """What joins two numbers: "+" for an operator, "=" for an equality, None for nothing.

    Words such as "is" and "makes" are equalities only after an operator (`worked`): "6 times 7 makes 42".
    """
    gap = text[left.end : right.start]
    if len(gap) > _NEAR:
        return None
    if _EQUALITY.fullmatch(gap) or (worked and _SPOKEN_EQUALITY.fullmatch(gap)):
        return "="
    if _OPERATOR.fullmatch(gap) or _PART_OF.fullmatch(text[left.start : right.start]):
        return "+"
    return None


def _term(text: str, chain: list[_Number], links: list[str]) -> _Term:
    end = chain[-1].end
    open_ended = (links and links[-1] == "+") or _UNFINISHED.match(text, end)
    return _Term(chain[0].start, end, None if open_ended else chain[-1].value, "=" in links)


# --- Sentences: what one asserts ---------------------------------------------------------------------------------

_VERBS = (
    r"is|are|was|were|be|been|has|have|had|gets?|got|costs?|needs?|needed|takes?|took|makes?|made|making|earns?|earned|"
    r"earning|spends?|spent|pays?|paid|receives?|received|saves?|saved|sells?|sold|owes?|buys?|bought|uses?|used|eats?|"
    r"ate|drinks?|reads?|walks?|walked|drives?|drove|runs?|ran|travels?|travell?ed|collects?|collected|produces?|weighs?|"
    r"contains?|holds?|includes?|becomes?|became|remains?|left with|number|reach(?:es)?|wins?|won|scores?|scored"
)
_RESULT_VERBS = (
    r"equals?|equal to|leaves?|leaving|results? in|resulting in|totals?|totall?ing|to get|yields?|"
    r"(?:\d|this|that|which|it|calculation|division) gives?|gives? (?:us|me|a total of)|giving(?: us| me)?|"
    r"(?:comes?|came|amounts?|adds? up|sums? up|works? out|rounds?|rounded|increased?|decreased?|reduced|drops?|"
    r"dropped|falls?|fell|rises?|rose|grows?|grew)(?: up| down| out)? to|(?:brings?|bringing)(?: \w+){1,6} to"
)
_ASSERTS = re.compile(
    rf"(?:[=≈→:]|'s|\b(?:{_VERBS}|{_RESULT_VERBS}|total of)) ?(?:that )?(?<!\w){_HEDGE}$", re.IGNORECASE
)
_RESULTS = re.compile(rf"(?:[=≈→]|\b(?:{_RESULT_VERBS})) ?(?<!\w){_HEDGE}$", re.IGNORECASE)
# "needs to pay 12" asserts 12, but "takes 3 hours to read 12 pages" does not.
_PURPOSE = re.compile(
    r"(?<!need)(?<!needs)(?<!needed)(?<!has)(?<!have)(?<!had)(?<!going)(?<!able)(?<!left)(?<!want)(?<!wants)(?<!is)"
    rf"(?<!required)(?<!are) to (?!get\b)(?:{_VERBS}) ?(?<!\w){_HEDGE}$"
    rf"|\b(?:needs?|takes?|requires?)\b.* to get ?(?<!\w){_HEDGE}$",
    re.IGNORECASE,
)
# Before a number that is no more than a circumstance or an operand.
_CIRCUMSTANCE = re.compile(
    r"\b(?:in|for|after|per|by|of|from|to|at|on|with|among|than|every|within|over|between|under|into|during|each|these|"
    r"those|all|first|last|next|another|his|her|their|its|the|multiply|multiplying|divide|dividing|add|adding|subtract|"
    r"subtracting|times|when|if|since|to \w+) ?$",
    re.IGNORECASE,
)
# Between two numbers that share one place: "42 or 43", "2, 3", "5 feet 6"; then "36 marbles and Jerry has 12".
_ALTERNATIVE = re.compile(
    rf"(?: ?[%°¢])?(?:[ -]?{_WORD})?(?: {_WORD})?,? ?(?:\b(?:or|and|to|through)\b|&|/|-) ?"
    rf"(?:maybe |perhaps |even |{_HEDGE})"
    r"|, (?:and |or )?"
    r"| ?(?:hours?|hrs?|feet|foot|ft|pounds?|lbs?|minutes?|years?|weeks?|days?|dollars),? "
)
_PARALLEL = re.compile(
    rf".{{0,30}}(?:,|,? and|,? but|,? while)(?! (?:which|that|this|it|so|then|therefore|thus)\b)"
    rf"(?: [\w']+){{1,2}} (?:=|has|have|is|are|was|were|gets?|costs?) ?{_HEDGE}",
    re.IGNORECASE,
)
_OR = re.compile(r".{0,20}\bor\b.{0,10}")
_DENIED = re.compile(
    r"(?:\b(?:not|cannot|never|nor|neither|rather than|instead of|except|unlike)|n't) "
    r"(?:be |equal |have |get |make |cost |to |the |an? |about |exactly |just )*$",
    re.IGNORECASE,
)
_RELATIVE = re.compile(
    r" ?times (?:as|more|the|that|what|her|his)\b|-(?:digit|sided|fold|step|part|day|week|hour|minute)"
)
_CONCLUDES = re.compile(
    r"\b(?:so(?! (?:that|far|many|much|long)\b)|therefore|thus|hence|consequently|finally|altogether|in all|overall|"
    r"total|totals|in conclusion|in summary|as a result|(?:that|which|this) means|meaning|left|remain(?:s|ing)?)\b|∴",
    re.IGNORECASE,
)
_REASON = re.compile(r"(?<!\band)(?<!\bbut),? (?:because|since) ", re.IGNORECASE)
_HYPOTHETICAL = re.compile(
    r"\W*(?:suppose|assum(?:e|ing)|imagine|let(?:'s| us) (?:say|assume|suppose)|let (?:[a-z]\b|the )|for example|e\.g)",
    re.IGNORECASE,
)
_UNSURE = re.compile(r"\b(?:if|whether|don't think|doubt|not sure)\b[^.]{0,40}\banswer\b", re.IGNORECASE)
_CHECKS = re.compile(
    r"\W*(?:(?:to|let's|let us|we can|i will|i should|i can|i'll|now)\W+){0,2}(?:double[- ]?)?(?:check|verify|confirm)"
    r"|\W*(?:note|verification)\b",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    r"\W*(?:explanation|reason|this is because|note|here|check|verif|i hope|let me know)", re.IGNORECASE
)
# How a sentence begins that has no result but goes on to a next step: "Step 4:", "4."; "Next, we need to add".
_BREAKS_OFF = re.compile(
    r"\W*(?:step \d+\b|\(?\d{1,2}[.)]$|(?:next|now|then|after that|finally|first|second)\W*$)", re.IGNORECASE
)
_PLANS = re.compile(
    r"\W*(?:(?:so|therefore|next|now|then|after that|finally|first|second|third|lastly|step \d+),?:? )?"
    r"(?:we |i |you |one )?(?:now |then |also )?(?:(?:need|have|want) to|must|should|will|can|let's|let us|to)? ?"
    r"(?:now |then |also )?(?:find|calculate|determine|add|subtract|multiply|divide|compute|figure|convert|solve)\b",
    re.IGNORECASE,
)
_WRAPS_UP = re.compile(r"\b(?:answer|check|verif|conclu|summar)", re.IGNORECASE)
_DANGLES = re.compile(
    r"(?:[=+*÷,:(]| -|\b(?:the|an?|of|is|are|was|were|and|or|to|by|with|for|from|which|that|so|then|has|have|he|she|"
    r"they|we|will|can|as|if|his|her|their|need|find|multiply|divide|add|subtract))$",
    re.IGNORECASE,
)


def _asserted(reading: _Reading, start: int, end: int, *, weakly: bool = True) -> _Term | None:
    """The term a part of the text asserts: the last that is worked out, or that follows "=", "is", "has", "costs".

    Weakly, also the last that no preposition makes a circumstance ("in 3 days", "each of the 5"). A term that is
    denied or left open is returned without its value.
    """
    fallback = None
    for term in reversed(reading.terms_in(start, end)[-_LATEST:]):
        before = reading.before(term, start)
        purpose = _PURPOSE.search(before)
        if term.computed or (_ASSERTS.search(before) and not purpose):
            return _certain(reading, term, start, end)
        if fallback is None and weakly and not purpose and not _CIRCUMSTANCE.search(before):
            fallback = term
    return _certain(reading, fallback, start, end) if fallback else None


def _asserted_by(reading: _Reading, sentence: _Sentence) -> _Term | None:
    """The term a sentence asserts, outside its reason if it can: "He needs 5 bags because 48 / 10 = 4.8"."""
    reason = _REASON.search(reading.text, sentence.start, sentence.end)
    main_clause = _asserted(reading, sentence.start, reason.start()) if reason else None
    return main_clause or _asserted(reading, sentence.start, sentence.end)


def _certain(reading: _Reading, term: _Term, start: int, end: int) -> _Term:
    """The term, without its value if it is denied, one of several alternatives, or merely a factor ("3 times as")."""
    qualified = _DENIED.search(reading.before(term, start)) or _RELATIVE.match(reading.text, term.end)
    if (qualified and not term.computed) or _has_alternative(reading, term, start, end):
        return term._replace(value=None)
    return term


def _has_alternative(reading: _Reading, term: _Term, start: int, end: int) -> bool:
    """Whether a term stands beside another: "42 or 43", "2 hours and 5 minutes", "Tom has 36 and Jerry has 12"."""
    text = reading.text
    join = _OR if term.computed else _ALTERNATIVE
    for other in reading.terms_in(start, term.start)[-1:]:
        gap = text[other.end : term.start][:_NEAR]
        parallel = not term.computed and _PARALLEL.fullmatch(gap) and _ASSERTS.search(reading.before(other, start))
        if _differs(other, term) and (parallel or join.fullmatch(gap)):
            return True
    return any(
        _differs(other, term) and join.fullmatch(text[term.end : other.start][:_NEAR])
        for other in reading.terms_in(term.end, end)[:1]
    )


def _differs(other: _Term, term: _Term) -> bool:
    return other.value != term.value and other.computed == term.computed


def _is_aside(reading: _Reading, sentence: _Sentence) -> bool:
    """Whether a sentence asserts nothing: a question, a supposition, or a plan that is not carried out in it."""
    words = reading.words(sentence)
    if words.endswith("?") or _HYPOTHETICAL.match(words) or _UNSURE.search(words[:_LONG]):
        return True
    return _PLANS.match(words) is not None and not _computes(reading, sentence)


def _computes(reading: _Reading, sentence: _Sentence) -> bool:
    """Whether a sentence works a number out: by an equality, or by a verb such as "leaves" or "adds up to"."""
    return any(_is_worked_out(reading, term, sentence.start) for term in reading.terms_in(*sentence)[-_LATEST:])


def _is_worked_out(reading: _Reading, term: _Term, start: int) -> bool:
    """Whether a term is a result. A bare "red = 12" is one only in a response that calculates."""
    result = _RESULTS.search(reading.before(term, start))
    return term.computed or (result is not None and (reading.works or result[0][0] not in "=≈→"))


def _bare_value(reading: _Reading, sentence: _Sentence) -> Fraction | None:
    """The number that is all there is of a sentence, its unit aside."""
    words = reading.words(sentence)
    return _sole_value(words, named=False) if reading.terms_in(*sentence) and len(words) < _NEAR else None


def _closes(words: str) -> bool:
    """Whether a sentence only talks about the answer: a check, an explanation, a courtesy."""
    return (_WRAPS_UP.search(words) or _EXPLAINS.match(words)) is not None


def _is_cut_off(reading: _Reading) -> bool:
    """Whether the response breaks off in mid-sentence.

    Its last sentence has no full stop although an earlier one has, and it is neither a line by itself nor does it end
    in a computation or a conclusion: "Total: 12 eggs", "3 * 4 = 12 eggs", "So the total is 12".
    """
    *before, last = map(reading.words, reading.sentences)
    if _DANGLES.search(last):
        return True
    if last.endswith((".", "!", "?", ")", ":", "]")) or not any(words.endswith((".", "!", "?")) for words in before):
        return False
    start, end = reading.sentences[-1]
    line = reading.text[:start].endswith("\n")
    if line and (_computes(reading, reading.sentences[-1]) or len(last.split()) < 8):
        return False
    terms = reading.terms_in(start, end)
    if not terms or not _UNIT_ALONE.fullmatch(reading.text, terms[-1].end, end):
        return True
    computed = terms[-1].computed or reading.before(terms[-1], start).rstrip().endswith("=")
    return not (computed or (_IN_CONCLUSION.match(last) and last[-1] in "0123456789%"))


def _is_settled(reading: _Reading, index: int, value: Fraction, end: int | None = None) -> bool:
    """Whether what follows a sentence, up to sentence `end`, lets its value stand.

    It does not where a further step begins or the response breaks off, and where another value is asserted or a new
    number comes up.
    """
    last = len(reading.sentences) - 1
    if _is_cut_off(reading) and (index == last or not _closes(reading.words(reading.sentences[last]))):
        return False
    known = {number.value for number in reading.numbers_in(0, reading.sentences[index].end)}
    for later in reading.sentences[index + 1 : end]:
        words = reading.words(later)
        if _closes(words):
            continue
        if _BREAKS_OFF.match(words) or _PLANS.match(words):
            return False
        if _is_aside(reading, later):
            continue
        values = {number.value for number in reading.numbers_in(later.start, later.end)}
        asserted = _asserted(reading, later.start, later.end, weakly=False)
        if (asserted.value != value) if asserted else not values <= known:
            return False
    return True


# --- The ladder --------------------------------------------------------------------------------------------------

_MARKED = re.compile(r"####[ \t]*([^\n]+)|<answer>\s*([^<]*?)\s*(?:</answer>|$)", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"\n[ \t>#*]*(?:question|q|problem|human|user|instruction|input)[ \t*]*:", re.IGNORECASE)
# "The answer (in cm) to the question is:", "Result =", "A:", a line "Final answer" above the number.
_INTRODUCES = re.compile(
    r"(?:\b(?:answer|solution|result)\b(?: ?\([^()\n]{0,40}\))?(?:,? (?:to|for|of|here)\b[^.:=?\n]{0,80}?)?,? ?"
    r"(?:(?P<verb>(?:is|was|would be|must be|should be|will be|comes? (?:out )?to|equals)\b(?: that\b)? ?:?)|[:=→—]|- )"
    r"|^(?:a|ans) ?:|\bfinal answer(?= -?\d)|^(?:the )?(?:final )?answer[ .]*\n)\s*",
    re.IGNORECASE | re.MULTILINE,
)
_IS_THE_ANSWER = re.compile(
    r"\b(?:is|are|must be|would be) (?:therefore |thus |indeed )?(?:the|our|my) (?:final |correct |right )?"
    r"(?:answer|solution)\b",
    re.IGNORECASE,
)
_DIRECTLY = re.compile(
    r"[ ('\[]*(?:[A-Za-z]\w{0,15} ?= ?)?(?:(?:an?|the|a total of|equal to|just|only|exactly|precisely|about|"
    r"approximately|around|roughly|nearly|almost|at least|at most|probably|likely|actually|really|indeed|simply|"
    r"clearly|therefore|thus|then|now|still)\b[ ,:]*)*[ ('\[]*",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    rf"(?: ?[%°¢])?(?:[ -]?{_WORD})?(?: {_WORD}){{0,2}}(?:[)\].!']* *(?:$|\n)|[.;,!(]\s| \(| (?:because|since|as)\b)"
)
_SUPPOSED = re.compile(
    r"\b(?:if|suppose|assum\w+|whether|unless|until)\b|\b(?:wrong|incorrect|previous|first|initial) $", re.IGNORECASE
)
_PARTIAL = re.compile(r"\b(?:first|second|third|step|part)\b", re.IGNORECASE)
_WITHDRAWN = re.compile(
    r"\b(?:that|this|it|which)(?:'s| is| was) (?:wrong|incorrect|not (?:right|correct))|\bmade an? (?:mistake|error)",
    re.IGNORECASE,
)
_IN_CONCLUSION = re.compile(
    r"\b(?:so|therefore|thus|hence|consequently|finally|in total|overall|in conclusion|final)\b", re.IGNORECASE
)
_TOTAL_IS = re.compile(
    r"\b(?:total|sum|number|amount|difference|cost|price|profit|average|count|length|size|share)\b[^.\n]{0,80}?"
    r"(?:\b(?:is|are|was|were|be|equals?|comes to)\b|[=:])",
    re.IGNORECASE,
)
_HALVES = re.compile(r"\b(?:half|halves|halv|twice|doubl)", re.IGNORECASE)


class _Result(NamedTuple):
    """What a sentence concludes or computes."""

    rule: str
    value: Fraction
    words: str

    @property
    def is_statement(self) -> bool:
        """Whether it concludes on a total: "So the total is 42"."""
        concludes = self.rule == "concluding" and _IN_CONCLUSION.search(self.words)
        return bool(concludes and _TOTAL_IS.search(self.words))


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
    value = _sole_value(_plain(text), named=False)
    return None if value is None else _written(value)


def extract_number(response: str, *, strict: bool = False) -> Extraction:
    r"""Finds the number a response settles on, in the form of `canonical_number`.

    The rungs, in order: "boxed" (the last `\boxed{}`), "marked" ("#### 42" as in GSM8K, or `<answer>`), "statement"
    ("the answer is 42", "Answer: 42", "so the total is 42"), then, unless `strict`, "concluding" (what the last
    sentence with "so", "therefore", "in total", "left" and such asserts), "equation" (what the last computation comes
    to), "opening" (the response begins with a number alone), "only_number" (it asserts no other number) and
    "last_number" (the number it ends with is a sentence of its own, or follows from two numbers before it).

    Below "statement" nothing counts that is only on the way: after it no further step may begin, no new number come
    up, and the response not break off. A response that makes up another question is read up to there.

    Args:
        response: The response.
        strict: Only explicit statements count.

    Returns:
        The number and the rung that decided.
    """
    for part in dict.fromkeys((_own_part(response), response.strip())):
        found = _extract(part, strict)
        if found.rule != NO_ANSWER:
            return found
    return Extraction(None, NO_ANSWER)


def _own_part(response: str) -> str:
    """The response without the thoughts before `</think>`, and without the exchanges it makes up after its own."""
    return _FOLLOW_UP.split(response.rpartition("</think>")[2].strip(), maxsplit=1)[0]


def _extract(response: str, strict: bool) -> Extraction:
    boxed = [_sole_value(_plain(content)) for content in BOXED.findall(response)]
    if boxed and boxed[-1] is not None:
        return Extraction(_written(boxed[-1]), "boxed")
    marked = [_sole_value(_plain(match[1] or match[2] or "")) for match in _MARKED.finditer(response)]
    if any(value is not None for value in marked):
        return _agreed("marked", *marked)
    reading = _Reading.of(_plain(response))
    statements = _statements(reading)
    if statements:
        return _after_corrections(reading, statements, strict)
    result = _last_result(reading)
    if result and result.is_statement:
        return Extraction(_written(result.value), "statement")
    return Extraction(None, NO_ANSWER) if strict else _hinted(reading, result)


def _hinted(reading: _Reading, result: _Result | None) -> Extraction:
    """The answer by the rungs below statements. An opening that the computations after it contradict is a conflict."""
    opening, last = _opening(reading), _last_number(reading)
    if result and (result.rule == "concluding" or opening is None):
        return Extraction(_written(result.value), result.rule)
    if opening is not None:
        return _agreed("opening", opening, result.value if result else None, last)
    only = _only_number(reading)
    return _agreed("last_number", last) if only is None else _agreed("only_number", only)


def _agreed(rule: str, *values: Fraction | None) -> Extraction:
    """The one value there is; none, or a conflict."""
    found = {value for value in values if value is not None}
    if len(found) == 1:
        return Extraction(_written(found.pop()), rule)
    return Extraction(None, CONFLICT if found else NO_ANSWER)


def _sole_value(text: str, *, named: bool = True) -> Fraction | None:
    """The value of a plain text that is one term and its unit, and with `named`, "x = " or "about" before it."""
    reading = _Reading.of(text)
    if len(reading.terms) != 1 or not (named or len(reading.numbers) == 1):
        return None
    term = reading.terms[0]
    before, after = text[: term.start], text[term.end :]
    if not (_DIRECTLY.fullmatch(before) if named else not before.strip("( ")):
        return None
    return term.value if _UNIT_ALONE.fullmatch(after) else None


def _statements(reading: _Reading) -> list[tuple[int, int, str]]:
    """The numbers stated as the answer: where, how strongly, and their canonical form."""
    stated = [(match.start(), _introduced(reading, match)) for match in _INTRODUCES.finditer(reading.text)]
    stated += [(match.start(), _called_the_answer(reading, match)) for match in _IS_THE_ANSWER.finditer(reading.text)]
    found = []
    for position, term in stated:
        if term and term.value is not None:
            sentence = reading.text[reading.sentence_at(position).start : term.end]
            found.append((position, strength(sentence[-_LONG:]), _written(term.value)))
    return found


def _introduced(reading: _Reading, match: "re.Match[str]") -> _Term | None:
    """The term that "the answer is" or "Answer:" introduces.

    After "is", a term that follows at once, or that the sentence asserts outright. A colon may also open a whole
    solution: there the term must be all that stands in its sentence, or no other number may follow.
    """
    sentence = reading.sentence_at(match.start())
    before = reading.text[sentence.start : match.start()][-_LONG:]
    if _SUPPOSED.search(before) or DENIED_BEFORE.search(before[-60:]) or _PARTIAL.search(match[0]):
        return None
    start, end = match.end(), reading.sentence_at(match.end()).end
    within = reading.terms_in(match.start(), start)
    if within and within[-1].end > start:  # "the answer to 6 * 7 is 42" is a computation of its own
        return within[-1]
    terms = reading.terms_in(start, end)
    if not terms or _is_aside(reading, sentence):
        return None
    closed = match["verb"] or (not terms[0].computed and _CLOSED.match(reading.text, terms[0].end))
    if closed and _DIRECTLY.fullmatch(reading.text, start, terms[0].start):
        return _certain(reading, terms[0], start, end)
    if match["verb"]:
        return _asserted(reading, start, end, weakly=False)
    is_last = not reading.terms_in(end, len(reading.text)) or _EXPLAINS.match(reading.text, end)
    return _asserted(reading, start, end) if is_last else None


def _called_the_answer(reading: _Reading, match: "re.Match[str]") -> _Term | None:
    """The term before "is the answer"."""
    sentence = reading.sentence_at(match.start())
    terms = reading.terms_in(sentence.start, match.start())
    if not terms or not _UNIT_ALONE.fullmatch(reading.text, terms[-1].end, match.start()):
        return None
    return None if _is_aside(reading, sentence) else _certain(reading, terms[-1], *sentence)


def _after_corrections(reading: _Reading, statements: list[tuple[int, int, str]], strict: bool) -> Extraction:
    """The strongest statement, unless what comes after all of them takes it back."""
    values = set(strongest(reading.text, statements))
    values -= {value for value in values if _is_broken_off(reading.text, value, values)}
    found = Extraction(values.pop(), "statement") if len(values) == 1 else Extraction(None, CONFLICT)
    end = reading.sentence_at(max(position for position, _, _ in statements)).end
    withdrawn = _WITHDRAWN.search(reading.text, end)
    correction = CORRECTION.search(reading.text, end) or withdrawn
    result = _last_result(_Reading.of(reading.text[correction.start() :])) if correction else None
    if result and _written(result.value) != found.answer:
        return Extraction(None, NO_ANSWER) if strict else Extraction(_written(result.value), result.rule)
    return Extraction(None, NO_ANSWER) if withdrawn and not result else found


def _is_broken_off(text: str, value: str, values: set[str]) -> bool:
    """Whether a value that ends the text is the beginning of another: "The answer is 15. The answer is 1"."""
    return text.endswith(value) and any(other.startswith(value) for other in values - {value})


def _last_result(reading: _Reading) -> _Result | None:
    """What the last sentence with a conclusion or a computation comes to; None if that is not settled.

    A check of the result ("To verify, ...") is not read, unless there is no result before it.
    """
    checks = next((i for i, s in enumerate(reading.sentences) if i and _CHECKS.match(reading.words(s))), None)
    for end in (checks, len(reading.sentences)):
        for index in reversed(range(end or 0)):
            sentence = reading.sentences[index]
            words = reading.words(sentence)
            concludes = _CONCLUDES.search(words) is not None or _TOTAL_IS.search(words) is not None
            term = None if _is_aside(reading, sentence) else _asserted_by(reading, sentence)
            if term and (concludes or _computes(reading, sentence)):
                if term.value is None or not _is_settled(reading, index, term.value, end):
                    return None
                return _Result("concluding" if concludes else "equation", term.value, words)
    return None


def _opening(reading: _Reading) -> Fraction | None:
    """The number that is the whole first sentence of several."""
    return _bare_value(reading, reading.sentences[0]) if len(reading.sentences) > 1 else None


def _only_number(reading: _Reading) -> Fraction | None:
    """The only number of a response, if the last sentence that holds it asserts it."""
    sentences = [s for s in reading.sentences if reading.numbers_in(*s) and not _is_aside(reading, s)]
    if len({number.value for sentence in sentences for number in reading.numbers_in(*sentence)}) != 1:
        return None
    last = sentences[-1]
    term = _asserted_by(reading, last) if len(reading.numbers_in(*last)) < 3 else None
    return _if_settled(reading, last, term)


def _last_number(reading: _Reading) -> Fraction | None:
    """The last number of a response, if it is a sentence of its own, or new and follows from two numbers before it."""
    if not reading.terms:
        return None
    term = reading.terms[-1]
    sentence = reading.sentence_at(term.start)
    if _is_aside(reading, sentence):
        return None
    if _bare_value(reading, sentence) is not None:
        return _if_settled(reading, sentence, term)
    term = _asserted(reading, *sentence, weakly=False) or _certain(reading, term, *sentence)
    earlier = {number.value for number in reading.numbers if number.end <= term.start}
    value = None if term.value in earlier else _if_settled(reading, sentence, term)
    operands = [*list(earlier)[-_LATEST:], *([Fraction(2)] if _HALVES.search(reading.text) else [])]
    return value if value is not None and _follows(value, operands) else None


def _if_settled(reading: _Reading, sentence: _Sentence, term: _Term | None) -> Fraction | None:
    """The value of a term of a sentence, if nothing after it goes on."""
    settled = term and term.value is not None and _is_settled(reading, reading.sentences.index(sentence), term.value)
    return term.value if term and settled else None


def _follows(value: Fraction, earlier: list[Fraction]) -> bool:
    """Whether a value is the sum, difference, product or quotient of two different ones."""
    pairs = [(a, b) for a in earlier for b in earlier if a != b]
    return any(value in (a + b, a - b, a * b) or (b and value == a / b) for a, b in pairs)
