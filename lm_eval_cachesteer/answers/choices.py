"""Which option of a multiple-choice question a response settles on.

A ladder of rules, from the plainest statement to the faintest hint. The first rung that finds an answer decides; each
rung has a name, kept with the answer. Options that are merely discussed, denied ("not B", "neither A nor C") or left
open ("A or B") are no answers, and several different final answers are none.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NO_ANSWER = "none"
CONFLICT = "conflict"


@dataclass(frozen=True)
class Extraction:
    """What was found.

    Attributes:
        answer: The option's letter; None if the response settles on none.
        rule: The rung that decided, or why there is no answer: "none" or "conflict".
    """

    answer: str | None
    rule: str


@dataclass(frozen=True)
class _Options:
    """The options of one question: their letters, and their texts reduced to lower-case words."""

    letters: str
    texts: tuple[str, ...]

    @property
    def reference(self) -> str:
        """A regular expression for a mention of an option: its letter, marked or capital, or its text."""
        letter = f"[{self.letters}{self.letters.lower()}]"
        marked = rf"(?:option|choice|answer|letter)\s+[(\[]?(?P<named>{letter})[)\]]?(?![\w'])"
        bracketed = rf"[(\[](?P<bracketed>{letter})[)\]]"
        bare = rf"(?P<bare>[{self.letters}])(?:[)\]])?(?![\w'])"
        texts = "|".join(rf"(?P<text{i}>{_flexible(text)})(?!\w)" for i, text in enumerate(self.texts) if text)
        return "(?:" + "|".join(part for part in (marked, bracketed, texts, bare) if part) + ")"

    def letter_of(self, match: "re.Match[str]") -> str:
        """The option a match of `reference` mentions."""
        found = match.groupdict()
        letter = found.get("named") or found.get("bracketed") or found.get("bare")
        if letter:
            return letter.upper()
        return next(self.letters[i] for i in range(len(self.texts)) if found.get(f"text{i}"))


_HEDGE = r"(?:\s*(?:the|clearly|definitely|probably|most likely|likely|therefore|thus|also|simply|just|in fact|,))*"
_NOUN = r"(?:answer|choice|option|solution|response|conclusion|explanation|reason)"
_QUALITY = r"(?:final|correct|right|best|most likely|most accurate|most appropriate|appropriate|closest)"
_IS = r"(?:is|was|would be|must be|should be|has to be|seems to be)"
_STATEMENTS = (
    # "the correct answer (to this question) is B", "Answer: (b)"
    rf"(?:{_QUALITY}\s+)*\b{_NOUN}(?:\s+(?:to|for|of|here|in)\b[^.:\n]{{0,40}}?)?"
    rf"(?:\s*{_IS}\s*:?|\s*(?::|=|->|→))\s*(?:indeed\s+)?{_HEDGE}\s*REFERENCE",
    # "I would go with option C"
    rf"\b(?:I|we)(?:'d|'ll|\s+(?:would|will|must|should))?\s+"
    rf"(?:choose|pick|select|go with|go for|answer|say)\s+{_HEDGE}\s*REFERENCE",
    # "option B, copper, is therefore the right choice"
    rf"REFERENCE\s*(?:,\s*[^.,\n]{{0,60}},\s*)?(?:is|must be|seems|looks|would be)\s+"
    rf"(?:therefore\s+|thus\s+|clearly\s+)?(?:the\s+)?(?:only\s+)?(?:{_QUALITY})(?:\s+{_NOUN})?",
    # "B is the answer"
    rf"REFERENCE\s+(?:is|must be|would be)\s+the\s+{_NOUN}\b",
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|isn't|wasn't|cannot be|can't be|rather than|instead of|except|unlike)|n't)"
    r"\s+(?:\w+\s+){0,2}\W*$",
    re.IGNORECASE,
)
_DENIED_WITHIN = re.compile(r"\bnot\b|n't\b|\bnever\b|\bneither\b|\bincorrect\b|\bwrong\b", re.IGNORECASE)
_OPEN_AFTER = re.compile(
    r"\s*(?:/|,?\s*(?:or|and|nor|vs\.?|versus)\s+(?:option\s+|choice\s+)?)\s*[(\[]?[A-Za-z][)\]]?(?!\w)", re.IGNORECASE
)
_OPEN_BEFORE = re.compile(r"(?<!\w)[A-Z]\)?\s*(?:or|and|nor|/)\s*[(\[]?$")
_ARTICLE_AFTER = re.compile(
    r"\s+(?!(?:because|since|as|for|which|and|but|so|due|is|in|with|by|if|then|that|the)\b)[a-z]"
)
_CORRECTION = re.compile(
    r"\b(?:actually|wait|correction|on second thought|let me (?:re|correct)|no,|i was wrong|rather,|instead,)",
    re.IGNORECASE,
)
_FINAL = re.compile(r"\bfinal\b|\bin conclusion\b|\bto conclude\b|\boverall\b|\bin summary\b", re.I)
_CONCLUDING = re.compile(r"\b(?:so|therefore|thus|hence|consequently|then|which means|this means|finally)\b", re.I)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_QUESTIONED = re.compile(r"[^.!\n]*\?")


def extract_choice(response: str, choices: Sequence[str], *, strict: bool = False) -> Extraction:
    """Finds the option a response settles on.

    The rungs, in order: "boxed" (LaTeX), "statement" ("the answer is B", "I choose (b)", "option B is correct", the
    option's text in place of its letter), then, unless `strict`, "opening" (the response begins with one option),
    "closing" (its last line is one option and nothing else), "only_option" (one option is named and no other) and
    "only_text" (one option's text occurs and no other).

    Args:
        response: The response.
        choices: The options' texts, in order; at most 26.
        strict: Only explicit statements count.

    Returns:
        The letter and the rung that decided.
    """
    options = _Options("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)], tuple(map(_normal, choices)))
    boxed = [_only_mention(content, options) for content in _BOXED.findall(response)]
    text = _plain(response)
    rungs: list[tuple[str, Callable[[str, _Options], list[str]]]] = [("statement", _statements)]
    if not strict:
        rungs += [("opening", _opening), ("closing", _closing), ("only_option", _named), ("only_text", _texts)]
    if boxed and boxed[-1]:
        return Extraction(boxed[-1], "boxed")
    for rule, find in rungs:
        found = list(dict.fromkeys(find(text, options)))
        if len(found) == 1:
            return Extraction(found[0], rule)
        if len(found) > 1 and rule == "statement":
            return Extraction(None, CONFLICT)
    return Extraction(None, NO_ANSWER)


def _statements(text: str, options: _Options) -> list[str]:
    """Letters stated as the answer, by the strongest kind of statement; after a correction, only what follows it."""
    found: list[tuple[int, int, str]] = []
    for pattern in _STATEMENTS:
        for match in re.finditer(pattern.replace("REFERENCE", options.reference), text, re.IGNORECASE):
            reference = _reference_span(match)
            if _counts(text, match, reference):
                sentence = text[_sentence_start(text, match.start()) : match.end()]
                strength = 2 if _FINAL.search(sentence) else 1 if _CONCLUDING.search(sentence) else 0
                found.append((match.start(), strength, options.letter_of(match)))
    if not found:
        return []
    corrections = [match.start() for match in _CORRECTION.finditer(text) if match.start() < max(f[0] for f in found)]
    if corrections and any(start < corrections[-1] for start, _, _ in found):
        found = [f for f in found if f[0] > corrections[-1]]
    strongest = max(strength for _, strength, _ in found)
    return [letter for _, strength, letter in sorted(found) if strength == strongest]


def _counts(text: str, match: "re.Match[str]", reference: tuple[int, int]) -> bool:
    """Whether a statement is one: not denied, not left open, not a question, and its letter not the word "a"."""
    start, end = reference
    bare = match.groupdict().get("bare")
    if bare and not bare.isupper():
        return False
    if bare in ("A", "I") and text[end - 1] in "AI" and _ARTICLE_AFTER.match(text, end):
        return False
    if _DENIED_WITHIN.search(match[0]) or _DENIED_BEFORE.search(text[_sentence_start(text, start) : match.start()]):
        return False
    if _OPEN_AFTER.match(text, end) or _OPEN_BEFORE.search(text[:start]):
        return False
    return _QUESTIONED.match(text, _sentence_start(text, match.start())) is None


def _opening(text: str, options: _Options) -> list[str]:
    """The option a response begins with, unless it goes on to list others."""
    lines = [line.strip() for line in text.strip().split("\n") if line.strip()]
    heads = [match for line in lines if (match := _head(options).match(line))]
    if not lines or not heads or heads[0].string != lines[0] or len({match[1].upper() for match in heads}) > 1:
        return []
    return [] if _OPEN_AFTER.match(lines[0], heads[0].end(1)) else [heads[0][1].upper()]


def _closing(text: str, options: _Options) -> list[str]:
    """The option that is the whole last line, unless the line before it lists another."""
    *before, last = ["", *(line.strip() for line in text.split("\n") if line.strip())]
    match = re.fullmatch(options.reference + r"[.!]?", last, re.IGNORECASE)
    if not match or not (match.groupdict().get("bare") or "X").isupper():
        return []
    letter = options.letter_of(match)
    listed = _head(options).match(before[-1]) if before else None
    return [] if listed and listed[1].upper() != letter else [letter]


def _named(text: str, options: _Options) -> list[str]:
    """Every option named by its letter ("option B", "(b)") and not denied."""
    letter = f"[{options.letters}{options.letters.lower()}]"
    pattern = rf"(?:\b(?:option|choice|letter)\s+\(?(?P<named>{letter})\)?(?!\w)|\((?P<bracketed>{letter})\))"
    return [
        (match["named"] or match["bracketed"]).upper()
        for match in re.finditer(pattern, text, re.IGNORECASE)
        if not _DENIED_BEFORE.search(text[_sentence_start(text, match.start()) : match.start()])
        and not re.match(r"\s*(?:is|are|was)\s+(?:not|wrong|incorrect|false)", text[match.end() :], re.IGNORECASE)
    ]


def _texts(text: str, options: _Options) -> list[str]:
    """Every option whose text occurs in the response."""
    return [
        letter
        for letter, option in zip(options.letters, options.texts, strict=True)
        if option and re.search(rf"(?<!\w){_flexible(option)}(?!\w)", text, re.IGNORECASE)
    ]


def _head(options: _Options) -> "re.Pattern[str]":
    """A line that begins with an option: "B.", "(B)", "B: ...", "Option B", or the letter alone."""
    return re.compile(rf"(?:option\s+|choice\s+)?\(?([{options.letters}])(?:[).:,]|\s+-|$)", re.IGNORECASE)


def _only_mention(content: str, options: _Options) -> str | None:
    content = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", content).strip()
    match = re.fullmatch(options.reference + r"\.?", _plain(content).strip(), re.IGNORECASE)
    return options.letter_of(match) if match else None


def _reference_span(match: "re.Match[str]") -> tuple[int, int]:
    spans = [match.span(name) for name, value in match.groupdict().items() if value is not None]
    return min(start for start, _ in spans), max(end for _, end in spans)


def _sentence_start(text: str, position: int) -> int:
    before = list(re.finditer(r"[.!?]\s|\n", text[:position]))
    return before[-1].end() if before else 0


def _plain(text: str) -> str:
    """The text without markdown emphasis, with plain quotes and single spaces."""
    text = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"').replace("\u201d", '"')
    text = re.sub(r"[*_`#]+|\\[()\[\]]|\$", "", text).replace('"', "")
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def _normal(choice: str) -> str:
    return _plain(choice).strip().rstrip(".").lower()


def _flexible(text: str) -> str:
    return r"\s+".join(map(re.escape, text.split()))
