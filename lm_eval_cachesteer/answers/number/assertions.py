"""Which term a sentence asserts, and whether it asserts any."""

import re
from fractions import Fraction

from .reading import HEDGE, LONG, NEAR, SHORT_UNIT, Reading, Sentence, Term, sole_value

_LATEST = 40  # how many of a sentence's last terms are read
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
    rf"(?:[=≈→:]|'s|\b(?:{_VERBS}|{_RESULT_VERBS}|total of)) ?(?:that )?(?<!\w){HEDGE}$", re.IGNORECASE
)
_RESULTS = re.compile(rf"(?:[=≈→]|\b(?:{_RESULT_VERBS})) ?(?<!\w){HEDGE}$", re.IGNORECASE)
# "needs to pay 12" asserts 12, but "takes 3 hours to read 12 pages" does not.
_PURPOSE = re.compile(
    r"(?<!need)(?<!needs)(?<!needed)(?<!has)(?<!have)(?<!had)(?<!going)(?<!able)(?<!left)(?<!want)(?<!wants)(?<!is)"
    rf"(?<!required)(?<!are) to (?!get\b)(?:{_VERBS}) ?(?<!\w){HEDGE}$"
    rf"|\b(?:needs?|takes?|requires?)\b.* to get ?(?<!\w){HEDGE}$",
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
    rf"{SHORT_UNIT},? ?(?:\b(?:or|and|to|through)\b|&|/|-) ?(?:maybe |perhaps |even |{HEDGE})"
    r"|(?: for \w+)?, (?:and |or )?"
    r"| ?(?:hours?|hrs?|feet|foot|ft|pounds?|lbs?|minutes?|years?|weeks?|days?|dollars),? "
)
_PARALLEL = re.compile(
    rf".{{0,30}}(?:,|,? and|,? but|,? while)(?! (?:which|that|this|it|so|then|therefore|thus)\b)"
    rf"(?: [\w']+){{1,2}} (?:=|has|have|is|are|was|were|gets?|costs?) ?{HEDGE}",
    re.IGNORECASE,
)
_TWO_UNKNOWNS = re.compile(r"\b[a-z] = -?[\d.,]+(?: or|,? and|,) [a-z] =", re.IGNORECASE)
_QUALIFIED_BEFORE = re.compile(
    r"(?:\b(?:not|cannot|never|nor|neither|rather than|instead of|except|unlike)|n't) "
    r"(?:be |equal |have |get |make |cost |to |the |an? |about |exactly |just )*$"
    r"|\b(?:twice|double|triple|half|(?:more|less|fewer|greater) than|(?:half|quarter|third|root|sum|product) of) $",
    re.IGNORECASE,
)
_FACTOR = re.compile(
    r" ?times (?:as|more|the|that|what|her|his)\b|-(?:digit|sided|fold|step|part|day|week|hour|minute)"
)
_REASON = re.compile(r"(?<!\band)(?<!\bbut),? (?:because|since) ", re.IGNORECASE)
_HENCE = re.compile(
    r"[,;] (?:and )?(?:so|therefore|thus|hence)\b(?! (?:that|far|many|much|long)\b)|\bif\b[^,.\n]{3,80},", re.IGNORECASE
)
_HYPOTHETICAL = re.compile(
    r"\W*(?:suppose|assum(?:e|ing)|imagine|let(?:'s| us) (?:say|assume|suppose)|let (?:[a-z]\b|the )|for example|e\.g)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:if|whether|don't think|doubt|not sure)\b[^.,]{0,40}\banswer\b"
    r"|\b(?:can't|cannot|could not|unable to) (?:\w+ )?(?:determine|solve|answer|find|say|tell|know)\b"
    r"|\b(?:whether|i doubt|(?:not|n't) (?:sure|know|think|certain))\b[^.,]{0,40}\d",
    re.IGNORECASE,
)
PLANS = re.compile(
    r"\W*(?:(?:so|therefore|next|now|then|after that|finally|first|second|third|lastly|step \d+),?:? )?"
    r"(?:we |i |you |one )?(?:now |then |also )?(?:(?:need|have|want) to|must|should|will|can|let's|let us|to)? ?"
    r"(?:now |then |also )?"
    r"(?:find|calculat|determin|add|subtract|multiply|divid|comput|figur|convert|solv)(?:e|ing)?\b",
    re.IGNORECASE,
)


def asserted(reading: Reading, start: int, end: int, *, weakly: bool = True) -> Term | None:
    """The term a part of the text asserts: the last that is worked out, or that follows "=", "is", "has", "costs".

    Weakly, also the last that no preposition makes a circumstance ("in 3 days", "each of the 5"). A term that is
    denied or left open is returned without its value.
    """
    fallback = None
    for term in reversed(reading.terms_in(start, end)[-_LATEST:]):
        before = reading.before(term, start)
        purpose = _PURPOSE.search(before)
        if term.computed or (_ASSERTS.search(before) and not purpose):
            return certain(reading, term, start, end)
        if fallback is None and weakly and not purpose and not _CIRCUMSTANCE.search(before):
            fallback = term
    return certain(reading, fallback, start, end) if fallback else None


def asserted_by(reading: Reading, sentence: Sentence) -> Term | None:
    """The term a sentence asserts: in what it concludes ("..., so 7 cars are needed"), or else outside its reason."""
    start, end = sentence
    hence = list(_HENCE.finditer(reading.text, start, end))
    reason = _REASON.search(reading.text, start, end)
    conclusion = asserted(reading, hence[-1].end(), end) if hence else None
    main_clause = asserted(reading, start, reason.start()) if reason else None
    return conclusion or main_clause or asserted(reading, start, end)


def certain(reading: Reading, term: Term, start: int, end: int) -> Term:
    """The term, without its value if it is denied, one of several alternatives, or merely a factor ("3 times as")."""
    qualified = _QUALIFIED_BEFORE.search(reading.before(term, start)) or _FACTOR.match(reading.text, term.end)
    if (qualified and not term.computed) or _has_alternative(reading, term, start, end):
        return term._replace(value=None)
    return term


def _has_alternative(reading: Reading, term: Term, start: int, end: int) -> bool:
    """Whether a term stands beside another: "42 or 43", "2 hours and 5 minutes", "Tom has 36 and Jerry has 12"."""
    text = reading.text
    for other in reading.terms_in(start, term.start)[-1:]:
        gap = text[other.end : term.start][:NEAR]
        listed = _ALTERNATIVE.fullmatch(gap) and not (term.computed and gap.strip() == ",")  # "3 * 4 = 12, 12 + 5 = 17"
        if _differs(other, term) and (_PARALLEL.fullmatch(gap) or listed):
            return True
    return _TWO_UNKNOWNS.search(text, max(start, term.start - NEAR), min(end, term.end + NEAR)) is not None or any(
        _differs(other, term) and _ALTERNATIVE.fullmatch(text[term.end : other.start][:NEAR])
        for other in reading.terms_in(term.end, end)[:1]
    )


def _differs(other: Term, term: Term) -> bool:
    return other.value != term.value and other.computed == term.computed


def is_aside(reading: Reading, sentence: Sentence) -> bool:
    """Whether a sentence asserts nothing: a question, a supposition, or a plan that is not carried out in it."""
    words = reading.words(sentence)
    if words.endswith("?") or _HYPOTHETICAL.match(words) or _UNSURE.search(words[:LONG]):
        return True
    return PLANS.match(words) is not None and not computes(reading, sentence)


def computes(reading: Reading, sentence: Sentence) -> bool:
    """Whether a sentence works a number out: by an equality, or by a verb such as "leaves" or "adds up to"."""
    return any(_is_worked_out(reading, term, sentence.start) for term in reading.terms_in(*sentence)[-_LATEST:])


def _is_worked_out(reading: Reading, term: Term, start: int) -> bool:
    """Whether a term is a result. A bare "red = 12" is one only in a response that calculates."""
    result = _RESULTS.search(reading.before(term, start))
    return term.computed or (result is not None and (reading.works or result[0][0] not in "=≈→"))


def bare_value(reading: Reading, sentence: Sentence) -> Fraction | None:
    """The number that is all there is of a sentence, its unit aside."""
    words = reading.words(sentence)
    return sole_value(words, named=False) if reading.terms_in(*sentence) and len(words) < NEAR else None
