"""What answer extraction returns."""

from dataclasses import dataclass

NO_ANSWER = "none"
CONFLICT = "conflict"


@dataclass(frozen=True)
class Extraction:
    """What was found.

    Attributes:
        answer: The option's letter, or the number in canonical form; None if the response settles on none.
        rule: The rung that decided, or why there is no answer: "none" or "conflict".
    """

    answer: str | None
    rule: str
