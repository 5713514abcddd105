"""Responses of models, as answers are extracted from them and as their style is measured."""

import math
from fractions import Fraction
from pathlib import Path

from hypothesis import strategies as st

from lm_eval_cachesteer.answers import canonical_number, extract_choice, extract_expression, extract_number
from lm_eval_cachesteer.metrics import MEASURES, measure_response

from ..cases import texts_of
from ..property import in_time

_WORDS = (
    *(
        "the answer is ",
        "The final answer: ",
        "Answer",
        "is",
        ":",
        "B",
        "(C)",
        "option ",
        "A.",
        "copper",
        "Copper wire",
    ),
    *("\\boxed{", "}", "{", "$", "\\(", "\\)", "\\frac{1}{2}", "\\text{", "**", "#### ", "<answer>", "</think>", "---"),
    *("<think>", "12", "3.5", "1,000", "-4", "1/2", "0", "%", "=", "+", "-", " * ", "/", " times ", "half", "a dozen"),
    *(
        "twenty-one",
        "so ",
        "therefore ",
        "wait, ",
        "actually ",
        "no, ",
        "not ",
        "because ",
        "if ",
        " then ",
        "or ",
        "(",
    ),
    *("and ", "minus ", "Step 1: ", "Step 2: ", "Strategy: ", "Solution: ", "[Premise] ", " -> ", "[Inference] ", "a "),
    *(
        "Just like ",
        "- ",
        "1. ",
        ". ",
        ", ",
        "? ",
        "!",
        "\n",
        "\n\n",
        " ",
        "\t",
        "'s",
        "n't ",
        "\u00a0",
        "\u2019",
        "el ",
    ),
    *("la ", "que ", "una ", "Question: ", "Let me ", "Mr. ", "e.g. ", "km", " dollars", "$5", "9" * 30, "9" * 5000),
    *(
        "1e999",
        "\u0661",
        "\u00bd",
        "x",
        "~~",
        "<<",
        ">>",
        "|",
        "#",
        "is not ",
        "the first ",
        "the second one",
        "what is ",
    ),
)
_MOST = 8000
_REPEATED = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4).map("".join)

TEXTS = st.tuples(texts_of(_WORDS, 25), _REPEATED, st.sampled_from((0, 0, 1, 30, 400))).map(
    lambda parts: (parts[0] + parts[1] * parts[2])[:_MOST]
)
OPTIONS = st.lists(
    st.sampled_from(("copper", "Copper wire", "B", "the second one", "12", "", " ", "all of the above", "A and B"))
    | st.text(max_size=6),
    min_size=1,
    max_size=6,
)


def check_answers(case: tuple[str, list[str]], _: Path) -> None:
    """Answers are one of the options, a number in canonical form, or an expression; without one, the rule says so."""
    text, options = case
    letters = "ABCDEFGHIJ"[: len(options)]
    for strict in (False, True):
        choice = in_time(text, lambda strict=strict: extract_choice(text, options, strict=strict))
        assert choice.answer is None or choice.answer in letters
        number = in_time(text, lambda strict=strict: extract_number(text, strict=strict))
        if number.answer is not None:
            assert canonical_number(number.answer) == number.answer
            Fraction(number.answer)
        expression = in_time(text, lambda strict=strict: extract_expression(text, strict=strict))
        for found in (choice, number, expression):
            assert (found.answer is None) == (found.rule in ("none", "conflict")), found
            assert found.answer != ""


def check_measures(text: str, _: Path) -> None:
    """Measures are finite, and shares lie between 0 and 1."""
    measures = in_time(text, lambda: measure_response(text))
    assert measures.keys() == MEASURES.keys()
    assert all(math.isfinite(figure) and figure >= 0 for figure in measures.values())
    assert all(measures[name] <= 1 for name in measures.keys() - {"words", "compression"})
