"""The shipped contrast sets and questions are what they say they are."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from lm_eval_cachesteer.core.contrast import ContrastItem, ContrastSet, ReadyPair
from lm_eval_cachesteer.metrics import ADHERENCE, REASONING_FORMS
from lm_eval_cachesteer.sources.folders import contrast_folder, tasks_folder

ROOT = Path(__file__).parents[2]
FORMS = sorted(REASONING_FORMS)
REGISTERS = ["concise", "formal", "spanish"]


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").strip().split("\n")]


def contrast(kind):
    return read(contrast_folder() / f"{kind}.jsonl")


@pytest.fixture(scope="module")
def shared():
    """The questions that all forms of reasoning share."""
    return contrast("stepwise")


@pytest.fixture(scope="module")
def questions():
    """The questions of the demo, which no vector is made from."""
    return read(tasks_folder() / "demo" / "questions.jsonl")


def words(text):
    return set(re.findall(r"[a-z]{4,}", text.lower()))


@pytest.mark.parametrize("path", sorted(contrast_folder().glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_set_parses_as_one_kind_of_item(path):
    items = ContrastSet.read(path).items
    assert len(items) >= 40
    assert {type(item) for item in items} in ({ContrastItem}, {ReadyPair})


@pytest.mark.parametrize("kind", FORMS)
def test_forms_share_their_questions(kind, shared):
    assert [(i["id"], i["question"], i["answer"]) for i in contrast(kind)] == [
        (i["id"], i["question"], i["answer"]) for i in shared
    ]


@pytest.mark.parametrize("kind", FORMS)
def test_every_reasoning_keeps_its_form_and_no_other_and_ends_at_its_answer(kind):
    for item in contrast(kind):
        assert [form for form, keeps in REASONING_FORMS.items() if keeps(item["reasoning"])] == [kind], item["id"]
        assert re.search(rf"\b{re.escape(item['answer'])}\.$", item["reasoning"], re.I), item["id"]


@pytest.mark.parametrize("kind", FORMS)
def test_no_two_reasonings_are_made_from_one_template(kind):
    texts = [item["reasoning"].lower().split() for item in contrast(kind)]
    grams = [{tuple(text[i : i + 5]) for i in range(len(text) - 4)} for text in texts]
    for one, two in combinations(grams, 2):
        assert len(one & two) <= min(len(one), len(two)) / 2


@pytest.mark.parametrize("kind", REGISTERS)
def test_registers_ask_the_same_and_answer_in_one_way_or_the_other(kind):
    keeps, items = ADHERENCE[kind], contrast(kind)
    assert len({item["id"] for item in items}) == len(items)
    for item in items:
        positive, negative = item["positive"], item["negative"]
        assert [m["role"] for m in positive] == [m["role"] for m in negative] == ["user", "assistant"] * 3 + ["user"]
        assert positive[::2] == negative[::2], item["id"]
        assert all(keeps(message["content"]) for message in positive[1::2]), item["id"]
        assert not any(keeps(message["content"]) for message in negative[1::2]), item["id"]


def test_questions_have_four_options_and_an_answer_among_them(shared):
    choices = [item for item in shared if item["id"].startswith("mc")]
    problems = [item for item in shared if item["id"].startswith("wp")]
    open_questions = [item for item in shared if item["id"].startswith("open")]
    assert (len(choices), len(problems), len(open_questions)) == (80, 40, 40)
    for item in choices:
        assert re.findall(r"^([A-D])\. \S", item["question"], re.M) == list("ABCD"), item["id"]
        assert item["answer"] in "ABCD", item["id"]
    assert all(item["answer"].isdecimal() for item in problems)


def test_answer_letters_are_balanced(shared, questions):
    choices = [item for item in shared if item["id"].startswith("mc")]
    for items in (choices, questions, read(tasks_folder() / "offline" / "choice.jsonl")):
        answers = Counter(item["answer"] for item in items)
        assert max(answers.values()) - min(answers.values()) <= 1


def test_questions_are_distinct_and_held_out(shared, questions):
    more = read(tasks_folder() / "offline" / "choice.jsonl")
    prompts = read(tasks_folder() / "offline" / "open_prompts.jsonl")
    assert (len(questions), len(more), len(prompts)) == (50, 110, 100)
    assert all(len(set(question["choices"])) == 4 for question in [*questions, *more])
    development = read(ROOT / "tools" / "development.jsonl")
    texts = [item["question"] for item in [*shared, *questions, *more]]
    texts += [prompt["prompt"] for prompt in [*prompts, *development]]
    for one, two in combinations([(text, words(text)) for text in texts], 2):
        assert len(one[1] & two[1]) < 0.75 * min(len(one[1]), len(two[1])), (one[0], two[0])
