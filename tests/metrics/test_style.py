import pytest

from lm_eval_cachesteer.metrics import ADHERENCE, REASONING_FORMS

EXAMPLES = {
    "cot": [
        "Ice is frozen water. The sun warms it through the day. Because warm ice melts, the answer is B.",
        "The train leaves at noon and needs two hours.\nIt stops once on the way.\nSo it arrives at two o'clock.",
    ],
    "stepwise": [
        "Step 1: Ice is frozen water.\nStep 2: Heat melts the ice.\nSo the answer is B.",
        "**Step 1**: Ice is frozen water. **Step 2:** Heat melts the ice.",
        "Let us see. Step 1: ice is cold. step 2: heat melts it all. Step 3: done",
    ],
    "strategy_execution": [
        "Strategy: Compare how well each material carries heat.\nSolution: Metal carries heat best, so it is B.",
        "**Strategy:** find what each animal eats. **Solution:** the owl eats mice.",
    ],
    "causal_chain": [
        "If the lid keeps steam in, then less heat is lost. If less heat is lost, then it boils sooner. "
        "Therefore the answer is A.",
        "If a ball is dropped then it falls down quickly, and if it falls then it therefore hits the ground.\n"
        "If it hits the ground, then it makes a sound.",
    ],
    "annotated_deduction": [
        "[Premise] Metals carry heat well. -> [Inference] The metal spoon gets hot first.",
        "[Premise] All birds have feathers. [Premise] A penguin is a bird. → [Inference] A penguin has feathers.",
    ],
    "analogical_reasoning": [
        "Just like a blanket keeps a sleeper warm at night, snow keeps the ground warm. So the seeds live on.",
        "This is just like a crowd that pushes through one narrow door: the water speeds up. It is faster there.",
    ],
    "spanish": [
        "El hielo se derrite porque el calor del sol lo calienta.",
        "La respuesta es la B: los imanes atraen el hierro.",
    ],
    "concise": ["Ice is lighter than water.", "Because the sun warms the ice until it melts, the answer is B."],
    "formal": ["The elevated temperature impedes the growth of many pathogens and enhances immune activity."],
}

NOTHING_OF_THE_KIND = [
    "",
    "B",
    "B. It melts",
    "The ice melts because the sun warms it. So the answer is B.",
    "First, ice is frozen water. Then heat melts it.",
    "1. Ice is frozen water. 2. Heat melts the ice.",
]

NOT = {
    "cot": [
        "So so so so so so so so so.",
        "Ice is frozen water. The sun warms it. It melts away.",
        "1. Ice is frozen water.\n2. The sun warms it up.\n3. So the ice melts away.",
        "A. Because of the sun it melts.\nB. Because of the wind it dries.\nC. Because of salt it sinks.",
        "Step 1: Ice is frozen water. Step 2: The sun warms it. Step 3: So it melts away.",
    ],
    "stepwise": [
        "Step 1: Ice is frozen water, so the answer is B.",
        "Step 1: Step 2: Step 3: Step 4:",
        "Step 1: the ice melts. Step 1: the ice melts.",
        "Step 1: the ice melts. Step 2: the ice melts.",
        "Step 2: heat melts it all. Step 1: ice is frozen water.",
    ],
    "strategy_execution": [
        "Strategy: Strategy: Strategy: Strategy:",
        "Strategy: compare the two materials. Strategy: compare the two materials. Solution: compare the two again.",
        "Strategy: compare the two materials with each other.",
        "Solution: metal carries heat best. Strategy: compare the two.",
        "Strategy: Solution: Strategy: Solution:",
        "Strategy: the same words. Solution: the same words.",
    ],
    "causal_chain": [
        "If the lid keeps steam in, then less heat is lost, and therefore the answer is A.",
        "If it is hot, then it melts away soon. If it is hot, then it melts away soon. Therefore it melts.",
        "If the lid is on, then steam stays inside. If steam stays, then heat stays too.",
        "If then if then if then therefore",
    ],
    "annotated_deduction": [
        "[Premise] [Premise] [Premise]",
        "[Premise] -> [Inference] -> [Premise] -> [Inference]",
        "[Inference] The spoon is hot. [Premise] Metals carry heat well.",
        "Premise: metals carry heat well. Inference: the spoon gets hot.",
    ],
    "analogical_reasoning": [
        "Just like, just like, just like",
        "The snow keeps the ground warm, and the seeds live on just like they did in the year before that one.",
        "Just like a blanket. B.",
    ],
    "concise": ["", "B", "Ice melts. " * 13],
    "formal": [
        "It is warm.",
        "It's the case that the elevated temperature impedes the growth of many pathogens.",
        "When a fever rises, your body fights many pathogens with more active immune cells.",
        "Gold doesn't corrode, and so the electrical contact remains good for many years.",
    ],
    "spanish": [
        "Sí.",
        "The answer is the letter B, and la is a note.",
        "No, no, no, no.",
        "La la la, la la la, la la la.",
        "La raison est la chaleur du soleil, et c'est la chaleur qui fait fondre la glace.",
        "Il ghiaccio si scioglie perché il calore del sole lo scalda.",
        "O gelo derrete porque o calor do sol o aquece, e a água corre para o rio.",
    ],
}


def cases(texts_by_style):
    return [(style, text) for style, texts in texts_by_style.items() for text in texts]


@pytest.mark.parametrize(("style", "text"), cases(EXAMPLES))
def test_texts_in_the_style_adhere(style, text):
    assert ADHERENCE[style](text)


@pytest.mark.parametrize(("style", "text"), cases(NOT) + [(s, t) for s in REASONING_FORMS for t in NOTHING_OF_THE_KIND])
def test_other_texts_do_not(style, text):
    assert not ADHERENCE[style](text)


@pytest.mark.parametrize(("style", "text"), cases(EXAMPLES))
def test_no_text_adheres_to_another_form(style, text):
    assert [name for name, rule in REASONING_FORMS.items() if rule(text)] in ([style], [])
