import pytest

from lm_eval_cachesteer.metrics import is_looping, is_stepwise, repeated_ngram_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("one two three", 0.0),
        ("a b c d e f", 0.0),
        ("a b c d a b c d", 1 - 4 / 5),
        ("x x x x x x x x", 1 - 1 / 5),
    ],
)
def test_repeated_ngram_share(text, share):
    assert repeated_ngram_share(text) == pytest.approx(share)


def test_looping_is_more_than_half_repeated():
    assert is_looping("go on and on " * 10)
    assert not is_looping("Step 1: find the sum of both. Step 2: divide the sum by two. So it is four.")


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: Ice is frozen water.\nStep 2: Heat melts the ice.\nSo the answer is B.",
        "**Step 1**: Ice is frozen water. **Step 2:** Heat melts the ice.",
        "Let us see. Step 1: ice is cold. step 2: heat melts it all. Step 3: done",
    ],
)
def test_numbered_steps_are_stepwise(text):
    assert is_stepwise(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B. It melts",
        "First, ice is frozen water. Then heat melts it.",
        "Step 1: Ice is frozen water, so the answer is B.",
        "Step 1: Step 2: Step 3: Step 4:",
        "Step 1: the ice melts. Step 1: the ice melts.",
        "Step 1: the ice melts. Step 2: the ice melts.",
        "Step 2: heat melts it all. Step 1: ice is frozen water.",
        "1. Ice is frozen water. 2. Heat melts the ice.",
    ],
)
def test_other_texts_are_not_stepwise(text):
    assert not is_stepwise(text)
