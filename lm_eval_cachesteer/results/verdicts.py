"""What tests say, in words."""

from typing import Literal

from ..stats import SIGNIFICANCE

Verdict = Literal["better", "worse", "no significant difference", "different"]


def verdict_of(p_value: float, difference: float, higher_is_better: bool | None) -> Verdict:
    """What a test says, in words.

    Args:
        p_value: Its p-value, corrected where several are made.
        difference: What was found.
        higher_is_better: Whether larger figures are better; None if unknown.
    """
    if p_value >= SIGNIFICANCE:
        return "no significant difference"
    if higher_is_better is None:
        return "different"
    return "better" if (difference > 0) == higher_is_better else "worse"
