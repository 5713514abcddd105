"""How a response words and weighs its statements: what the extraction of options and of numbers share."""

import re

BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
TEXT_MACRO = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_FINAL = re.compile(r"\bfinal\b|\bin conclusion\b|\bto conclude\b|\boverall\b|\bin summary\b", re.I)
_CONCLUDING = re.compile(r"\b(?:so|therefore|thus|hence|consequently|then|which means|this means|finally)\b", re.I)
_QUOTES = str.maketrans("\u2019\u2018\u201c\u201d", "''\"\"")


def strength(sentence: str) -> int:
    """How strongly a sentence states its answer: 2 as final, 1 as a conclusion, 0 plainly."""
    return 2 if _FINAL.search(sentence) else 1 if _CONCLUDING.search(sentence) else 0


def straight_quotes(text: str) -> str:
    """The text with ASCII quotes for typographic ones."""
    return text.translate(_QUOTES)


def single_spaces(text: str) -> str:
    """The text with single spaces inside its lines, and none at their ends."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))
