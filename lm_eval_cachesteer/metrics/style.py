"""Whether a response keeps to a style of reasoning."""

import re

_STEP = re.compile(r"\bstep\s+(\d+)\W{0,4}?:", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_MIN_WORDS = 3


def is_stepwise(text: str) -> bool:
    """Whether a text reasons in numbered steps: "Step 1: ..." and "Step 2: ...", each saying something.

    The first two steps must come in order and hold at least three words, and the second must not repeat the first;
    "Step 1: Step 2: Step 3:" is not stepwise. Bold or italic markers around the heading are allowed.

    Args:
        text: The response.
    """
    headings = list(_STEP.finditer(text))
    if [int(heading[1]) for heading in headings[:2]] != [1, 2]:
        return False
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    first, second = (
        [word.lower() for word in _WORD.findall(text[heading.end() : end])]
        for heading, end in zip(headings[:2], ends[:2], strict=True)
    )
    return min(len(first), len(second)) >= _MIN_WORDS and first != second
