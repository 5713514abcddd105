"""How a response words and weighs its statements: what the extraction of options and of numbers share."""

import re

BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
TEXT_MACRO = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|isn't|wasn't|cannot be|can't be|rather than|instead of|except|unlike)|n't)"
    r"\s+(?:\w+\s+){0,2}\W*$",
    re.IGNORECASE,
)
CORRECTION = re.compile(
    r"\b(?:actually|wait|correction|on second thought|let me (?:re|correct)|no,|i was wrong|rather,|instead,)",
    re.IGNORECASE,
)
_FINAL = re.compile(r"\bfinal\b|\bin conclusion\b|\bto conclude\b|\boverall\b|\bin summary\b", re.I)
_CONCLUDING = re.compile(r"\b(?:so|therefore|thus|hence|consequently|then|which means|this means|finally)\b", re.I)
_QUOTES = str.maketrans("\u2019\u2018\u201c\u201d", "''\"\"")


def strength(sentence: str) -> int:
    """How strongly a sentence states its answer: 2 as final, 1 as a conclusion, 0 plainly."""
    return 2 if _FINAL.search(sentence) else 1 if _CONCLUDING.search(sentence) else 0


def strongest(text: str, found: list[tuple[int, int, str]]) -> list[str]:
    """Of (position, strength, answer) the answers of the strongest kind; after a correction, only what follows it."""
    if not found:
        return []
    last = max(position for position, _, _ in found)
    corrections = [match.start() for match in CORRECTION.finditer(text) if match.start() < last]
    if corrections and any(position < corrections[-1] for position, _, _ in found):
        found = [statement for statement in found if statement[0] > corrections[-1]]
    top = max(strength for _, strength, _ in found)
    return [answer for _, strength, answer in sorted(found) if strength == top]


def straight_quotes(text: str) -> str:
    """The text with ASCII quotes for typographic ones."""
    return text.translate(_QUOTES)


def single_spaces(text: str) -> str:
    """The text with single spaces inside its lines, and none at their ends."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))
