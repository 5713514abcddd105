import sys

import pytest

from lm_eval_cachesteer.answers import extract_expression, same_expression
from lm_eval_cachesteer.errors import ArgumentError

CASES = [
    ("First $x = 2$. So the answer is $\\boxed{\\frac{3}{4}}$.", "\\frac{3}{4}", "boxed"),
    ("\\boxed{1} is wrong, it is \\boxed{\\sqrt{2}}.", "\\sqrt{2}", "boxed"),
    ("\\boxed{\\text{even}}", "\\text{even}", "boxed"),
    ("We have $x = 5$. The answer is $x + 1$.", "x + 1", "statement"),
    ("The **answer is**: (3, 4).", "(3, 4)", "statement"),
    ("The answer to the second part is \\(2\\pi\\).", "2\\pi", "statement"),
    ("Then $a = 3$, and so $a + b = 7$.", "7", "formula"),
    ("Then \\[ y = \\frac{1}{3} \\]", "\\frac{1}{3}", "formula"),
    ("That makes 1,234 in all.", "1,234", "last_number"),
    ("\\boxed{never closed", None, "none"),
    ("I do not know.", None, "none"),
    ("", None, "none"),
]


@pytest.mark.parametrize(("response", "answer", "rule"), CASES)
def test_the_first_rung_that_finds_an_expression_decides(response, answer, rule):
    found = extract_expression(response)
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize(("response", "answer", "rule"), CASES)
def test_strict_takes_boxes_and_statements_only(response, answer, rule):
    explicit = rule in ("boxed", "statement")
    assert extract_expression(response, strict=True).answer == (answer if explicit else None)


@pytest.mark.parametrize(
    ("answer", "target", "same"),
    [
        ("0.5", "\\frac{1}{2}", True),
        ("2\\sqrt{3}", "\\sqrt{12}", True),
        ("(3, \\frac{\\pi}{2})", "\\left( 3, \\frac{\\pi}{2} \\right)", True),
        ("x=5", "5", True),
        ("1,234", "1234", True),
        ("4", "5", False),
        ("\\text{odd}", "\\text{even}", False),
        ("nothing to compare", "3", False),
    ],
)
def test_equality_is_mathematical(answer, target, same):
    assert same_expression(answer, target) is same


def test_without_math_verify_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(ArgumentError, match=r"lm-eval-cachesteer\[math\]"):
        same_expression("1", "1")
