import time

import pytest

from lm_eval_cachesteer.answers import Extraction, extract_choice

METALS = ["Wood", "Copper", "Rubber bands", "A glass rod"]

STATED = [
    ("The answer is B.", "B"),
    ("The answer is (B)", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("The correct answer is **B**.", "B"),
    ("The correct answer is:\nB. Copper", "B"),
    ("the correct option is b)", "B"),
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


FRUIT = ["apple", "banana", "cherry", "plum"]
ORGANS = ["the heart", "the lungs", "the liver", "the stomach"]
ANIMALS = ["wolf", "bear", "lynx", "fox", "hare"]
PENS = ["write the label with a pencil in the rain", "write the label with a marker in the rain"]
CARE = ["Wipe the lens with a soft cloth.", "Wipe the lens with sandpaper."]
COUNTS = ["12", "24", "36", "48"]
SAND = [
    "The tide pulls the sand away from the shore",
    "The wind blows the dry sand into the dunes",
    "The rain washes the sand down into the sea",
    "The birds carry the sand inland in their feathers",
]
SAND_LISTED = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", SAND, strict=True))

# What each phenomenon comes to in flexible reading. Strict reading may find nothing, but nothing else.
PHENOMENA = {
    "bare letters": (FRUIT, [("C)", "C"), ("[B]", "B"), ("***D***", "D"), ("d", "D"), ("d) plum", "D"), ("D!", "D")]),
    "statements": (
        FRUIT,
        [
            ("ans: C", "C"),
            ("Answer - C", "C"),
            ("The answer would be C", "C"),
            ("Answer choice C", "C"),
            ("My final answer is C.", "C"),
            ("I'm going with D.", "D"),
            ("Let's go with B.", "B"),
            ("I vote for B", "B"),
            ("B is my final answer.", "B"),
            ("B would be my answer.", "B"),
            ("B is the one.", "B"),
            ("Yes, I'm confident in B, not C.", "B"),
            ("the correct option is c)", "C"),
            ("answer is b", "B"),
        ],
    ),
    "hedged, but settled": (
        FRUIT,
        [
            ("Hard to tell. If I had to guess, I'd say D.", "D"),
            ("Probably B.", "B"),
            ("I'm not sure, but I think it's B.", "B"),
            ("C seems right, but I'm not certain.", "C"),
            ("It's either A or C, most likely C.", "C"),
            ("Maybe C? Yes, C.", "C"),
        ],
    ),
    "not settled": (
        FRUIT,
        [
            ("Not sure. B?", None),
            ("Possibly D.", None),
            ("It could be A, B, or C.", None),
            ("Maybe A, maybe C.", None),
            ("I can't decide between B and C.", None),
            ("B, D", None),
            ("Answer: B, C", None),
            ("The answers are B and D.", None),
            ("A/B", None),
            ("I don't know which is right.", None),
            ("I'm sorry, I can't help with that.", None),
            ("The answer is", None),
            ("A or B? A or B? A or B? A or", None),
        ],
    ),
    "denials": (
        FRUIT,
        [
            ("Not A but B.", "B"),
            ("B rather than C.", "B"),
            ("The answer isn't C, it's D.", "D"),
            ("I'd rule out C and go with B.", "B"),
            ("Correct option is B, not C.", "B"),
            ("The answer is D, since A, B and C are red.", "D"),
            ("Is it A? No. Is it B? Yes, it is yellow.", "B"),
            ("It is not a plum.", None),
            ("Not B. Not C. Hmm.", None),
        ],
    ),
    "elimination": (
        FRUIT,
        [
            ("A is wrong, B is wrong, and D is wrong.", "C"),
            ("We can rule out A, B and C.", "D"),
            ("It can't be A or B. D is too sour.", "C"),
            ("Apple is out. Plum is out. Banana cannot be right.", "C"),
            ("A and B are out, and D fails. This leaves C.", "C"),
            ("Eliminate A and B.", None),
            ("A is incorrect. B is incorrect. C is incorrect. D is incorrect.", None),
        ],
    ),
    "what others think": (
        FRUIT,
        [
            ("Most people think the answer is A.", None),
            ("At first glance it looks like A, but it's really D.", "D"),
            ("C is tempting, but the answer is B.", "B"),
            ("You might pick C. But B is right.", "B"),
            ("If the answer is B, then the question is odd.", None),
        ],
    ),
    "retractions": (
        FRUIT,
        [
            ("The answer is A. Oops, I meant B.", "B"),
            ("Answer: A\nWait, that's wrong. Answer: C", "C"),
            ("B. Actually, no: D.", "D"),
            ("The answer is C. Scratch that, it's D.", "D"),
            ("I'd say B. On second thought, A is better. The answer is A.", "A"),
            ("I said B earlier, but I was wrong; it is C.", "C"),
            ("The answer is A. Wait, no, the answer is B. Wait, actually the answer is C.", "C"),
            ("The answer is B. Wait, that is not right.", None),
            ("The answer is A. Let me reconsider whether", None),
            ("Answer: B. Let me double-check. Yes, B is right.", "B"),
            ("The answer is actually B.", "B"),
            ("Hmm, wait. Bananas are yellow. The answer is B.", "B"),
        ],
    ),
    "several finals": (
        FRUIT,
        [
            ("Answer: B\n\nThe correct answer is C.", None),
            ("B\n\nThe answer is D.", None),
            ("Final answer: A\n\nFinal answer: C", None),
            ("A is correct. B is correct. C is correct.", None),
            ("b\n\nc", None),
            ("The answer is A. The answer is B. The answer is C. The answer is D. So the correct answer is C.", "C"),
            ("So the answer is A. So the answer is B. So the answer is C. So the answer is D. So it's D.", None),
            ("The answer is A. The answer is B. So the correct answer is B.", None),
            ("The answer is B. The answer is B because bananas are yellow. A is red.", "B"),
        ],
    ),
    "letter and text disagree": (
        FRUIT,
        [
            ("The answer is B. cherry", None),
            ("Answer: (B) plum", None),
            ("banana (C)", None),
            ("banana (B)", "B"),
            ("The answer is cherry (C).", "C"),
            ("I'd go with C. A banana is yellow, and an apple is green.", "C"),
        ],
    ),
    "no option": (
        FRUIT,
        [
            ("The answer is F.", None),
            ("Answer: E", None),
            ("Bananas are yellow. The answer is pear.", None),
            ("None of the given options is right.", None),
            ("The answer is all of the above.", None),
            ("Both A and B are fruits.", None),
            ("The answer is lemon, not plum.", None),
        ],
    ),
    "lists and echoes": (
        FRUIT,
        [
            ("Which is red? A) apple B) banana C) cherry D) plum", None),
            ("Options: A) apple B) banana C) cherry D) plum", None),
            ("The options are apple, banana, cherry and plum.", None),
            ("Please answer with A, B, C or D.", None),
            ("Which fruit is yellow?\nA. apple\nB. banana\nC. cherry\nD. plum\n\nAnswer: B", "B"),
            ("The options are A) apple, B) banana, C) cherry, D) plum. Yellow is the banana, so B.", "B"),
            ("A.\nB.\nC.\nD.", None),
            ("A. apple\nB. plum\nC. banana\nD. plum", None),
            ("A. apple\nB. banana\nC. cherry\nD. banana bread", None),
            ("A. plum\nB. plum\nC. cherry\nD. apple\n\nThe answer is C.", "C"),
            ("The banana is yellow.\nSo the answer is:\nA. apple\nB. banana\nC. cherry\nD. plum", None),
            ("The correct option is:\nA. apple\nB. banana\nC. cherry\nD. plum\n\nI pick the plum.", "D"),
        ],
    ),
    "lists of long options": (
        SAND,
        [
            (SAND_LISTED, None),
            (f"The best answer is:\n\n{SAND_LISTED}", None),
            (f"{SAND_LISTED}\n\nThe answer is:\nB. {SAND[1]}", "B"),
            (f"{SAND_LISTED}\n\nB. {SAND[1]}", "B"),
            (f"{SAND_LISTED}\n\nThe answer is D. {SAND[3]}.\n\nThe answer is D. The bi", "D"),
            (f"Let us see.\n- {SAND[0]} is possible.\n- {SAND[1]} is possible.", None),
            (f"The answer is A. {SAND[1]}.", None),
        ],
    ),
    "verdicts on each option": (
        FRUIT,
        [
            ("A \u274c B \u2705 C \u274c D \u274c", "B"),
            ("- [ ] A\n- [x] B\n- [ ] C\n- [ ] D", "B"),
            ("| A | \u274c |\n| B | \u2705 |\n| C | \u274c |\n| D | \u274c |", "B"),
            ("A. apple: red. Incorrect.\nB. banana: yellow. Correct.\nC. cherry: red. Incorrect.\nD. plum: no.", "B"),
            ("A: no, red.\nB: yes, it fits.\nC: no.\nD: no.", "B"),
            ("Answer: C. cherry\n\nExplanation: A. apple is red and B. banana is yellow.", "C"),
            ("A. apple. Red. So, A is the correct answer.\n\nB. banana. So, B is the correct answer.", None),
        ],
    ),
    "markup": (
        FRUIT,
        [
            ("## Answer\n\n**B**", "B"),
            ("**Final Answer:**\n\nC. cherry", "C"),
            (r"The answer is $\boxed{\text{(D) plum}}$.", "D"),
            (r"\boxed{\textbf{(B)}\ banana}", "B"),
            ('{"answer": "banana"}', "B"),
            ('```json\n{"reason": "A or C look red", "final_answer": "C"}\n```', "C"),
            ('{"answer": null}', None),
            ("<answer>\nB. banana\n</answer>", "B"),
            ("[[C]]", "C"),
            ("#### B", "B"),
            ("~~A~~ B", "B"),
        ],
    ),
    "thoughts": (
        FRUIT,
        [
            ("<think>\nI think the answer is C.\n</think>\n\nThe answer is D.", "D"),
            ("<think></think>C", "C"),
            ("<think>\nThe cherry is red, so B? But plums would make it D. Let me see", None),
        ],
    ),
    "invented questions": (
        FRUIT,
        [
            ("C\n\nQuestion: What is red?\nA. sky\nB. blood\nAnswer: B", "C"),
            ("The answer is C.\n\nQ: What is 2+2?\nA: 4", "C"),
            ("D. plum\n\nWhich animal barks?\nA. dog\nB. cat\n\nThe answer is A.", "D"),
            ("The answer is B.\n\nUser: And which is red?\n\nAssistant: The answer is A.", "B"),
            ("Question: Which is yellow?\nA. apple\nB. banana\nC. cherry\nD. plum\nAnswer: B", "B"),
        ],
    ),
    "letters that are something else": (
        ANIMALS,
        [
            ("A lack of vitamin C is bad for it.", None),
            ("E. coli lives in its gut.", None),
            ("In E = mc^2 the E is energy.", None),
            ("Hepatitis B harms the liver. Plan B is to run. Section D says so.", None),
            ("It runs from B to C at 25 \u00b0C.", None),
            ("C++ and C# are languages, B minor is a key.", None),
            ("At point C the road turns. The answer is A.", "A"),
            ("Mr. B. Smith saw it.", None),
            ("A good guess is hard to make.", None),
            ("A: The answer is C.", "C"),
            ("A: bear", "B"),
            ("E) hare", "E"),
        ],
    ),
    "the pronoun I": (
        ["red", "blue", "green", "black", "white", "pink", "grey", "brown", "gold"],
        [("I think the answer is G.", "G"), ("I am not sure.", None), ("The answer is I.", "I"), ("I pick I.", "I")],
    ),
    "the option's words": (
        ORGANS,
        [
            ("the lungs", "B"),
            ("Lung", "B"),
            ("The organ that does this is the liver.", "C"),
            ("The heart pumps blood, the lungs take in air. So it has to be the liver.", "C"),
            ("The organ must be the stomach, as the liver makes bile.", "D"),
            ("It's a tough call between the heart and the lungs, but I'll say the lungs.", "B"),
            ("Blood is pumped by the heart. The heart has four chambers.", "A"),
            ("Either the heart or the lungs.", None),
            ("Students often confuse the liver with the stomach.", None),
            ("Let me think about the heart.", None),
            ("Bile comes from the liver, which is option C. (D, the stomach, makes acid.)", "C"),
            ("(The stomach churns.)", "D"),
        ],
    ),
    "parts of the option's words": (
        SAND,
        [
            ("The answer is the wind blows the dry s", "B"),
            ("The correct explanation is that dry sand is blown into the dunes by the wind.", "B"),
            ("Here the wind blows the dry sand.", "B"),
            ("The sand is moved.", None),
            ("The wind blows here.", None),
        ],
    ),
    "words that one option has": (
        PENS,
        [
            ("A is dry, and B runs when it gets wet. The pencil it is.", "A"),
            ("Ink runs. So the best option is the pencil.", "A"),
            ("The answer is a marker.", "B"),
            ("The answer is not the marker.", None),
            ("The answer is the label.", None),
            ("A crayon it is.", None),
        ],
    ),
    "words that options of numbers have": (["3 red and 4 blue", "3 red and 6 blue"], [("The answer is 6.", None)]),
    "options within options": (
        ["oxygen", "oxygen and hydrogen", "hydrogen", "helium"],
        [
            ("Water is made of oxygen and hydrogen.", "B"),
            ("Hydrogen burns with oxygen. The gas in the balloon is hydrogen.", "C"),
            ("The answer is hydrogen, not helium.", "C"),
        ],
    ),
    "options that refer to others": (
        ["rain", "snow", "Both A and B", "None of the above"],
        [
            ("Both A and B fall from clouds.", "C"),
            ("None of these.", "D"),
            ("The answer is none of the above.", "D"),
            ("It does not rain, and it is not snow. So none of the above.", "D"),
        ],
    ),
    "all of the above": (
        ["It is red", "It is round", "It is sweet", "All of the above"],
        [("A, B and C are all true, so the answer is D.", "D"), ("All of these are true.", "D")],
    ),
    "places": (
        CARE,
        [
            ("Option 2", "B"),
            ("Solution 1 is better.", "A"),
            ("The second option.", "B"),
            ("It's the last one.", "B"),
            ("The correct solution is therefore the first.", "A"),
            ("Answer: 2", "B"),
            ("Sandpaper scratches, so it's not solution 2.", "A"),
            ("Between A and B, the former is better.", "A"),
            ("The latter is the better choice.", "B"),
            ("Solution 3", None),
            ("Both solutions are fine.", None),
        ],
    ),
    "roman numbers": (
        ["I only", "II only", "I and II", "Neither I nor II"],
        [
            ("Only II is correct.", "B"),
            ("Both hold, so I and II.", "C"),
            ("Statement I holds. The answer is I only.", "A"),
        ],
    ),
    "roman labels": (FRUIT, [("The answer is (iii).", "C"), ("option ii", "B")]),
    "yes and no": (
        ["yes", "no"],
        [
            ("Yes, because fish have gills.", "A"),
            ("There is no doubt about it: the answer is yes.", "A"),
            ("There is no reason to think so.", None),
            ("Is it? No.", "B"),
            ("Yes and no.", None),
            ("So no.", "B"),
        ],
    ),
    "true and false": (
        ["True", "False"],
        [
            ("The statement is false.", "B"),
            ("That's true.", "A"),
            ("The claim is not true.", "B"),
            ("It is true that some are red. But the statement is false.", "B"),
            ("It would be false to say so.", None),
        ],
    ),
    "numbers": (
        COUNTS,
        [
            ("36", "C"),
            ("$36$", "C"),
            ("12 * 3 = 36", "C"),
            ("The total is 12 + 24 = 36.", "C"),
            ("We have 12 and need 24 more, which makes 36 in total.", "C"),
            ("B) 36", None),
            ("The answer is 40.", None),
            ("First there are 12. Then there are 24.", None),
            ("1. First we count.\n2. Then we add.\nSo there are 48.", "D"),
        ],
    ),
    "numbers in words": (["2", "3", "4", "6"], [("So the answer is three.", "B"), ("Step 4: add 6 to 2.", None)]),
    "units": (
        ["5 km", "10 km", "15 km", "20 km"],
        [("The answer is 15.", "C"), ("So he walks 10 kilometres.", "B"), ("It takes 15 minutes.", None)],
    ),
    "currency": (["$5", "$10", "$15"], [("It costs $15.", "C"), ("The total is 10 dollars.", "B")]),
    "what the options share": (
        ["The card with 2 and 5", "The card with 1 and 6", "The card with 3 and 4"],
        [("- 2 and 5\n- 1 and 6\n\nThe only card that fits is 1 and 6.", "B"), ("It is 2 or 5.", None)],
    ),
    "inflected options": (
        ["go", "goes", "going", "gone"],
        [("So the correct form is goes.", "B"), ("going", "C"), ("The answer is gone.", "D")],
    ),
}


@pytest.mark.parametrize(
    ("choices", "response", "letter"),
    [
        pytest.param(choices, response, letter, id=f"{phenomenon}: {response[:40]!r}")
        for phenomenon, (choices, cases) in PHENOMENA.items()
        for response, letter in cases
    ],
)
def test_responses_are_read_as_a_careful_reader_reads_them(choices, response, letter):
    assert extract_choice(response, choices).answer == letter
    assert extract_choice(response, choices, strict=True).answer in (letter, None)


@pytest.mark.parametrize(
    ("response", "rule"),
    [
        ("A \u274c B \u2705 C \u274c D \u274c", "marked"),
        ("The answer is that dry sand is blown to the dunes by wind.", "paraphrase"),
        ("Clearly, the wind does it, so it is the wind blows the dry sand that counts.", "concluding"),
        ("Not A, not C, not D.", "elimination"),
    ],
)
def test_the_rung_that_decides_is_named(response, rule):
    assert extract_choice(response, SAND) == Extraction("B", rule)


def test_a_last_sentence_names_its_option():
    found = extract_choice("The heart pumps and the lungs breathe. The organ in question is the liver.", ORGANS)
    assert found == Extraction("C", "last_sentence")


@pytest.mark.parametrize("count", [0, 1, 26])
def test_any_number_of_options_is_read(count):
    choices = [f"thing {number}" for number in range(count)]
    assert extract_choice("The answer is Z.", choices).answer == ("Z" if count == 26 else None)


@pytest.mark.parametrize(
    "loop",
    [
        "The answer is A. ",
        "A or B ",
        "(B) ",
        "most likely ",
        "the correct answer to the question of the ",
        "Wait, ",
        "\n",
        ".",
        "12 ",
        "not ",
        "Is it B? ",
        "A. apple\n",
        "B:",
        "the answer is: ",
        "A pear it is. ",
        "(",
        "<think>",
        r"\boxed{",
        "cherry, ",
        "Question: x?\nA. y\n",
        "rule out ",
    ],
)
def test_loops_are_read_in_reasonable_time(loop):
    response = (loop * 20_000)[:20_000]
    start = time.process_time()
    extract_choice(response, [*FRUIT, "12"])
    assert time.process_time() - start < 5
