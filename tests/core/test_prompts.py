import pytest

from lm_eval_cachesteer.core.contrast import ContrastItem, ContrastSet, ReadyPair
from lm_eval_cachesteer.core.fewshot import choose_examples
from lm_eval_cachesteer.core.prompts import PromptSettings, build_pairs
from lm_eval_cachesteer.errors import ArgumentError, ContrastError

ITEMS = tuple(ContrastItem(f"Q{i}?", f"because {i}", f"A{i}") for i in range(6))
SET = ContrastSet("s", ITEMS, "")


def texts(pair, tokenizer):
    return tokenizer.decode(pair.positive), tokenizer.decode(pair.negative)


def test_chat_prompts_hold_reasoning_and_answer_against_the_answer_alone(tokenizer):
    for i, pair in enumerate(build_pairs(SET, tokenizer, PromptSettings(fewshot=2))):
        positive, negative = texts(pair, tokenizer)
        question = f"<|user|>Q{i}?<|end|><|assistant|>"
        assert positive.endswith(question)
        assert negative.endswith(question)
        assert positive.count("<|assistant|>because") == 2
        assert f"<|user|>Q{i}?" not in positive[: -len(question)]
        stripped = positive
        for j in range(6):
            stripped = stripped.replace(f"because {j}\n", "")
        assert stripped == negative


def test_one_form_of_reasoning_against_another(tokenizer):
    """The positive prompt's reasonings turn into the other set's, and nothing else changes."""
    others = ContrastSet(
        "plain", tuple(ContrastItem(f"Q{i}?", f"plainly {i}", f"A{i}") for i in reversed(range(6))), ""
    )
    for pair in build_pairs(SET, tokenizer, PromptSettings(fewshot=3), against=others):
        positive, negative = texts(pair, tokenizer)
        assert positive.count("<|assistant|>because") == negative.count("<|assistant|>plainly") == 3
        assert positive.replace("because", "plainly") == negative
        assert "A0" not in positive


def test_a_form_against_a_set_of_other_questions_is_refused(tokenizer):
    others = ContrastSet("plain", ITEMS[:4], "")
    with pytest.raises(ContrastError, match=r"'plain' lacks 2 of the questions, the first is 'Q4\?'"):
        build_pairs(SET, tokenizer, PromptSettings(fewshot=1), against=others)
    ready = ContrastSet("r", (ReadyPair("one!", "two!"),), "")
    with pytest.raises(ContrastError, match="negative already"):
        build_pairs(ready, tokenizer, PromptSettings(), against=others)


def test_plain_text_prompts(tokenizer):
    pair = build_pairs(SET, tokenizer, PromptSettings(fewshot=1, chat=False))[0]
    positive, negative = texts(pair, tokenizer)
    assert positive.startswith("Question: Q")
    assert "\nAnswer: because" in positive
    assert "because" not in negative
    assert positive.endswith("Question: Q0?\nAnswer:")


def test_ready_pairs_are_used_as_they_are(tokenizer):
    chat = ({"role": "user", "content": "hi"},)
    ready = ContrastSet(
        "r", (ReadyPair("one!", "two!"), ReadyPair(({"role": "system", "content": "x"}, *chat), chat)), ""
    )
    first, second = build_pairs(ready, tokenizer, PromptSettings())
    assert texts(first, tokenizer) == ("one!", "two!")
    assert texts(second, tokenizer)[1] == "<|user|>hi<|end|><|assistant|>"


def test_pairs_that_cannot_be_compared_are_refused(tokenizer):
    with pytest.raises(ContrastError, match="Pair 1 of 'r': the prompts end in different tokens"):
        build_pairs(ContrastSet("r", (ReadyPair("one!", "two?"),), ""), tokenizer, PromptSettings())
    with pytest.raises(ContrastError, match="both prompts are the same"):
        build_pairs(ContrastSet("r", (ReadyPair("one", "one"),), ""), tokenizer, PromptSettings())


def test_chat_without_a_template_is_refused(tokenizer):
    class NoTemplate:
        chat_template = None

    chat = ({"role": "user", "content": "hi"},)
    for contrast in (SET, ContrastSet("r", (ReadyPair(chat, chat),), "")):
        with pytest.raises(ArgumentError, match="no chat template"):
            build_pairs(contrast, NoTemplate(), PromptSettings(chat=True))


def test_what_ready_pairs_hold_decides_whether_they_are_chat(tokenizer):
    text = ContrastSet("r", (ReadyPair("one!", "two!"),), "")
    chat = ContrastSet("r", (ReadyPair(({"role": "user", "content": "hi"},), "x"),), "")
    assert not PromptSettings(chat=True).uses_chat(text, tokenizer)
    assert PromptSettings(chat=False).uses_chat(chat, tokenizer)
    assert PromptSettings().uses_chat(SET, tokenizer)


def test_random_selection_is_seeded_and_never_the_question_itself():
    questions = [f"Q{i}" for i in range(8)] + ["Q0"]
    chosen = choose_examples(questions, 4, "random", seed=3)
    assert chosen == choose_examples(questions, 4, "random", seed=3)
    assert chosen != choose_examples(questions, 4, "random", seed=4)
    for question, examples in zip(questions, chosen, strict=True):
        assert len(set(examples)) == 4
        assert question not in [questions[j] for j in examples]


def test_similar_selection_puts_the_nearest_last():
    questions = ["how do magnets attract iron nails", "why is the sky blue", "do magnets attract copper nails"]
    assert choose_examples(questions, 2, "similar", seed=0)[0] == [1, 2]


def test_bad_selections_are_refused():
    with pytest.raises(ArgumentError, match="Allowed: random, similar"):
        choose_examples(["a", "b"], 1, "nearest", 0)
    with pytest.raises(ArgumentError, match="hold no words"):
        choose_examples(["?", "!"], 1, "similar", 0)
    with pytest.raises(ArgumentError, match="Allowed: 0 to 1"):
        choose_examples(["a", "b"], 2, "random", 0)
