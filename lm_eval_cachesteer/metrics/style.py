"""Whether a response keeps to a style. Rules and their limits are documented in docs/metrics.md.

Each rule asks for the form of the style and for content in it: "Strategy: Strategy: Strategy:" keeps to nothing.
"""

import re
from collections.abc import Callable, Iterator

_WORD = re.compile(r"\w+")
_MIN_WORDS = 3

_STEP = re.compile(r"\bstep\s+(\d{1,9})\W{0,4}?:", re.IGNORECASE)
_STRATEGY, _SOLUTION = (re.compile(rf"\b{word}\W{{0,3}}?:", re.IGNORECASE) for word in ("strategy", "solution"))
_CONDITIONAL = re.compile(r"\bif\b(?P<cause>[^.?!\n]{1,300}?)\bthen\b(?P<effect>[^.?!\n]+)", re.IGNORECASE)
_PREMISE = re.compile(r"\[premise\]", re.IGNORECASE)
_INFERENCE = re.compile(r"(?:->|→|=>)\s*\[inference\](?P<inference>[^\[\n]+)", re.IGNORECASE)
_ANALOGY = re.compile(r"\A\W*(?:\w+\W+){0,6}?just\s+(?:like|as)\b(?P<analogy>[^.?!]+)[.?!]?(?P<rest>.*)", re.I | re.S)
_LIST_LINE = re.compile(r"^[^\S\n]*(?:\d+[.):]|[-*•]|[A-H][.)])\s", re.MULTILINE)
_CONCLUSION = re.compile(
    r"\b(?:because|since|so|therefore|thus|hence|then|means that|which means|which is why|as a result|answer)\b|=", re.I
)
_SENTENCE_END = re.compile(r"[.?!](?:\s|$)")

_MAX_CONCISE_WORDS = 25
_MIN_FORMAL_WORDS = 10
_INFORMAL = re.compile(
    r"\b\w+['\u2019](?:t|re|ve|ll|d|m)\b|\b(?:it|that|there|what|let|he|she)['\u2019]s\b"
    r"|\b(?:I|you|your|we|us|our|my|me)\b",
    re.IGNORECASE,
)

# Function words, by language; a word may stand in several lists.
_FUNCTION_WORDS = {
    "Spanish": """
        el la los las un una unos unas de del al en y o que es son se por para con como más pero su sus lo le les este
        esta esto estos estas ese esa muy también cuando porque si hay puede pueden está están ser fue era entre sobre
        sin hasta desde donde quien cada otro otra todo toda todos todas mientras así entonces
        """,
    "English": """
        the a an of to in and or that is are was were be it its this these those for with as on at by from but not they
        you your we our he she his her their there which when because if can will would has have had do does more also
        into than then so what how why
        """,
    "French": """
        le la les un une des de du au aux en et ou que qui est sont se par pour avec comme plus mais son sa ses ce cette
        ces il elle ils elles on nous vous je dans sur sans pas ne cela peut être était entre chaque autre tout toute
        quand si très aussi donc à leur leurs
        """,
    "Italian": """
        il lo la i gli le un uno una di del della dei delle al alla in e o che è sono si per con come più ma suo sua
        suoi questo questa questi queste non nel nella può essere era tra fra su senza ogni altro tutto quando se molto
        anche perché così
        """,
    "Portuguese": """
        o a os as um uma de do da dos das ao em no na nos nas e ou que é são se por para com como mais mas seu sua este
        esta isto esse essa não muito também quando porque pode ser foi era entre sobre sem até cada outro todo toda
        """,
}
_FUNCTION_WORDS_OF = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_MIN_DIFFERENT_FUNCTION_WORDS = 3


def is_stepwise(text: str) -> bool:
    """Whether a text reasons in numbered steps: "Step 1: ..." and "Step 2: ...", each saying something.

    The first two steps must come in order and hold at least three words, and the second must not repeat the first;
    "Step 1: Step 2: Step 3:" is not stepwise. Bold or italic markers around the heading are allowed.
    """
    headings = list(_STEP.finditer(text))
    if [int(heading[1]) for heading in headings[:2]] != [1, 2]:
        return False
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return _differ_and_speak(*(text[h.end() : end] for h, end in zip(headings[:2], ends[:2], strict=True)))


def is_strategy_execution(text: str) -> bool:
    """Whether a text states a plan and carries it out: "Strategy: ..." and then "Solution: ...", each saying something.

    A second "Strategy:" before the solution does not count: the plan is being repeated.
    """
    start = _STRATEGY.search(text)
    end = _SOLUTION.search(text, start.end()) if start else None
    if start is None or end is None:
        return False
    strategy = text[start.end() : end.start()]
    return _STRATEGY.search(strategy) is None and _differ_and_speak(strategy, text[end.end() :])


def is_causal_chain(text: str) -> bool:
    """Whether a text argues in implications: two different sentences "If ..., then ...", and then a "therefore"."""
    conditionals = list(_CONDITIONAL.finditer(text))
    different = {" ".join(_words(match[0])) for match in conditionals if len(_words(match["effect"])) >= _MIN_WORDS}
    return len(different) >= 2 and re.search(r"\btherefore\b", text[conditionals[0].end("cause") :], re.I) is not None


def is_annotated_deduction(text: str) -> bool:
    """Whether a text marks its deductions: "[Premise] ... -> [Inference] ...", each part saying something."""
    return any(_differ_and_speak(premise, inference) for premise, inference in _deductions(text))


def _deductions(text: str) -> Iterator[tuple[str, str]]:
    """Each premise with the inference that follows it."""
    position = 0
    while (premise := _PREMISE.search(text, position)) is not None:
        inference = _INFERENCE.search(text, premise.end() + 1)
        if inference is None:
            return
        yield text[premise.end() : inference.start()], inference["inference"]
        position = inference.end()


def is_analogical_reasoning(text: str) -> bool:
    """Whether a text opens with an analogy, "Just like ...", and goes on from it.

    The opening sentence must hold at least six words after "just like", and at least three words must follow it.
    """
    match = _ANALOGY.match(text)
    if match is None or not _SENTENCE_END.search(text):
        return False
    return len(_words(match["analogy"])) >= 2 * _MIN_WORDS and len(_words(match["rest"])) >= _MIN_WORDS


def is_spanish(text: str) -> bool:
    """Whether a text is in Spanish.

    At least a fifth of its words are Spanish function words, three different ones at least, and more of its words are
    Spanish than English, French, Italian or Portuguese ones. Tells languages apart, not good Spanish from bad.
    """
    words = _words(text)
    found = {language: [w for w in words if w in known] for language, known in _FUNCTION_WORDS_OF.items()}
    spanish = found.pop("Spanish")
    most_of_another = max(map(len, found.values()))
    different = len(set(spanish))
    return different >= _MIN_DIFFERENT_FUNCTION_WORDS and most_of_another < len(spanish) >= len(words) / 5


def is_cot(text: str) -> bool:
    """Whether a text reasons in plain prose: three sentences of three words or more, and a sign that one concludes.

    A sign is a connective such as "because" or "so", a computation with "=", or the mention of an answer. Numbered or
    bulleted lines and the marks of the other styles do not count as plain prose.
    """
    others = (is_strategy_execution, is_stepwise, is_causal_chain, is_annotated_deduction, is_analogical_reasoning)
    sentences = [s for s in re.split(r"[.?!](?:\s|$)", text) if len(_words(s)) >= _MIN_WORDS]
    prose = len(_LIST_LINE.findall(text)) < 2 and not any(rule(text) for rule in others)
    return prose and len(sentences) >= _MIN_WORDS and _CONCLUSION.search(text) is not None


def is_concise(text: str) -> bool:
    """Whether a text is short: 3 to 25 words."""
    return _MIN_WORDS <= len(_words(text)) <= _MAX_CONCISE_WORDS


def is_formal(text: str) -> bool:
    """Whether a text keeps a formal register: no contractions, no first or second person, at least ten words."""
    return len(_words(text)) >= _MIN_FORMAL_WORDS and _INFORMAL.search(text) is None


REASONING_FORMS: dict[str, Callable[[str], bool]] = {
    "cot": is_cot,
    "strategy_execution": is_strategy_execution,
    "stepwise": is_stepwise,
    "causal_chain": is_causal_chain,
    "annotated_deduction": is_annotated_deduction,
    "analogical_reasoning": is_analogical_reasoning,
}
ADHERENCE: dict[str, Callable[[str], bool]] = REASONING_FORMS | {
    "spanish": is_spanish,
    "concise": is_concise,
    "formal": is_formal,
}


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _differ_and_speak(first: str, second: str) -> bool:
    one, two = _words(first), _words(second)
    return min(len(one), len(two)) >= _MIN_WORDS and one != two
