"""Which mathematical expression a response settles on, and whether two expressions are equal."""

import re

from ..errors import ArgumentError
from .extraction import NO_ANSWER, Extraction

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = re.compile("[{}]")
_STATEMENT = re.compile(
    r"\banswer(?:\s+to\s+[^.:\n]{0,60})?\s*(?:is|:)\s*:?\s*(?P<answer>\$[^$\n]+\$|\\\([^\n]{1,500}?\\\)|[^\n]+)",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"\$([^$\n]+)\$|\\\(([^\n]{1,500}?)\\\)|\\\[(.{1,2000}?)\\\]", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")


def extract_expression(response: str, *, strict: bool = False) -> Extraction:
    r"""Finds the expression a response settles on, as LaTeX.

    The rungs, in order: "boxed" (the last `\boxed{}`), "statement" (what follows the last "answer is"), then, unless
    `strict`, "formula" (the right-hand side of the last formula between dollars or brackets) and "last_number".

    Args:
        response: The response.
        strict: Only boxes and explicit statements count.

    Returns:
        The expression without its delimiters, and the rung that decided.
    """
    response = response.replace("**", "")
    found = {"boxed": _last_boxed(response), "statement": _last_statement(response)}
    if not strict:
        found |= {"formula": _last_formula(response), "last_number": _last_number(response)}
    return next((Extraction(answer, rule) for rule, answer in found.items() if answer), Extraction(None, NO_ANSWER))


def same_expression(answer: str, target: str) -> bool:
    """Whether two expressions in LaTeX are equal, judged by math-verify.

    Raises:
        ArgumentError: math-verify is not installed.
    """
    try:
        from math_verify import parse, verify
    except ImportError:
        raise ArgumentError(
            "Comparing mathematical expressions needs math-verify. Install it with: "
            'pip install "lm-eval-cachesteer[math]"'
        ) from None
    return bool(verify(parse(f"${target}$"), parse(f"${answer}$")))


def _last_boxed(text: str) -> str | None:
    starts = [match.end() for match in _BOXED.finditer(text)]
    ends = _closing_braces(text) if starts else {}
    closed = [start for start in starts if start in ends]
    return text[closed[-1] : ends[closed[-1]]].strip() or None if closed else None


def _closing_braces(text: str) -> dict[int, int]:
    """For each pair of braces, where its inside starts and ends."""
    open_, ends = list[int](), dict[int, int]()
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            open_.append(brace.end())
        elif open_:
            ends[open_.pop()] = brace.start()
    return ends


def _last_statement(text: str) -> str | None:
    statements = list(_STATEMENT.finditer(text))
    return _bare(statements[-1]["answer"]) or None if statements else None


def _last_formula(text: str) -> str | None:
    formulas = [next(filter(None, match.groups())) for match in _FORMULA.finditer(text)]
    return formulas[-1].rsplit("=", 1)[-1].strip(" .,\n") or None if formulas else None


def _last_number(text: str) -> str | None:
    numbers = _NUMBER.findall(text)
    return str(numbers[-1]) if numbers else None


def _bare(expression: str) -> str:
    return re.sub(r"^\$|\$$|^\\\(|\\\)$", "", expression.strip().rstrip(".")).strip()
