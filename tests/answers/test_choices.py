import pytest

from lm_eval_cachesteer.answers import extract_choice

METALS = ["Wood", "Copper", "Rubber bands", "A glass rod"]

STATED = [
    ("The answer is B.", "B"),
    ("The answer is (B)", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("The correct answer is **B**.", "B"),
    ("The correct answer is:\nB. Copper", "B"),
    ("the correct option is b)", None),
    ("the correct option is (b)", "B"),
    ("So the answer is B because copper conducts.", "B"),
    ("Therefore, the right choice is option b.", "B"),
    ("I choose option C.", "C"),
    ("I would go with D.", "D"),
    ("Option B is correct.", "B"),
    ("Option (b) is the best choice.", "B"),
    ("B is the correct answer.", "B"),
    ("Copper is the answer.", "B"),
    ("The answer is copper.", "B"),
    ("The best answer is Rubber bands.", "C"),
    ("The answer is A glass rod.", "D"),
    ("The correct answer is A.", "A"),
    ("The answer to the question is C, since rubber stretches.", "C"),
    (r"So we get \boxed{B}", "B"),
    (r"$\boxed{\text{C}}$", "C"),
    (r"\boxed{Copper}", "B"),
    ("Wood burns, copper conducts, rubber bands stretch. Hence the answer is B.", "B"),
    ("A might look right, but the answer is B.", "B"),
    ("The answer is A. Wait, wood does not conduct. Actually, the answer is B.", "B"),
    ("At first the answer is A. So the final answer is B.", "B"),
    ("The answer isn't A. The answer is D.", "D"),
    ("Final answer: D", "D"),
    ("Step 1: Metals conduct.\nStep 2: Copper is a metal, so the answer is B.", "B"),
    ("The conclusion is B: copper.", "B"),
    ("The best explanation is:\n\nB. Copper is a metal.", "B"),
    ("We must choose B.", "B"),
    ("Option B, copper, is the correct answer.", "B"),
]

HINTED = [
    ("B", "B", "opening"),
    ("B.", "B", "opening"),
    ("B. Copper", "B", "opening"),
    ("(B) Copper", "B", "opening"),
    ("**B**", "B", "opening"),
    ("B) Copper\n\nCopper conducts best of these.", "B", "opening"),
    ("Option C: rubber.", "C", "opening"),
    ("Let me think about metals.\nB", "B", "closing"),
    ("It conducts.\n(b)", "B", "closing"),
    ("Only option B conducts.", "B", "only_option"),
    ("That can only be (c), which stretches.", "C", "only_option"),
    ("Electricity flows well through copper.", "B", "only_text"),
    ("It would be rubber bands, of course.", "C", "only_text"),
]

NONE = [
    "",
    "I do not know.",
    "The answer is not B.",
    "The answer isn't B.",
    "It is neither A nor C.",
    "The answer is A or B.",
    "The answer is either A or B.",
    "The answer is B or C.",
    "The answer is A/B.",
    "A. Wood\nB. Copper\nC. Rubber bands\nD. A glass rod",
    "Step 1: List them.\nA. Wood\nB. Copper\nC",
    "A good conductor is needed.",
    "The answer is a good conductor.",
    "The answer is A good conductor.",
    "Is the answer B?",
    "Option A is wrong and option B is wrong.",
    "The answer is A. The answer is B.",
    "So the answer is A. So the answer is C.",
    "Wood and copper are materials.",
    "Both (a) and (b) are materials.",
]


@pytest.mark.parametrize(("response", "letter"), STATED)
def test_statements_are_answers_in_strict_reading_too(response, letter):
    found = extract_choice(response, METALS, strict=True)
    assert found.answer == letter
    assert found.rule in ("statement", "boxed") if letter else found.rule == "none"


@pytest.mark.parametrize(("response", "letter", "rule"), HINTED)
def test_hints_are_answers_in_flexible_reading_only(response, letter, rule):
    found = extract_choice(response, METALS)
    assert (found.answer, found.rule) == (letter, rule)
    assert extract_choice(response, METALS, strict=True).answer is None


@pytest.mark.parametrize("response", NONE)
def test_what_settles_on_nothing_has_no_answer(response):
    assert extract_choice(response, METALS).answer is None


def test_different_finals_are_named_a_conflict():
    assert extract_choice("The answer is A. The answer is B.", METALS).rule == "conflict"
