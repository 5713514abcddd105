"""The shipped contrast set and demo questions are what they say they are."""

import json
import re
from collections import Counter

import pytest

from lm_eval_cachesteer.metrics import is_stepwise
from lm_eval_cachesteer.sources.folders import contrast_folder, tasks_folder


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def contrast():
    return read(contrast_folder() / "stepwise.jsonl")


@pytest.fixture(scope="module")
def questions():
    return read(tasks_folder() / "demo" / "questions.jsonl")


def words(text):
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def test_every_reasoning_is_stepwise_and_ends_at_its_answer(contrast):
    assert len(contrast) >= 40
    for item in contrast:
        assert is_stepwise(item["reasoning"]), item["id"]
        lines = item["reasoning"].split("\n")
        assert [line.split(":")[0] for line in lines] == [f"Step {i}" for i in range(1, len(lines) + 1)], item["id"]
        assert re.search(rf"\b{re.escape(item['answer'])}\.$", item["reasoning"]), item["id"]
        if item["id"].startswith("mc"):
            assert re.findall(r"^([A-D])\. ", item["question"], re.M) == list("ABCD"), item["id"]
            assert item["answer"] in "ABCD"
        else:
            assert item["answer"].isdecimal(), item["id"]


def test_answer_letters_are_balanced(contrast, questions):
    for answers in (
        Counter(i["answer"] for i in contrast if i["id"].startswith("mc")),
        Counter(q["answer"] for q in questions),
    ):
        assert max(answers.values()) - min(answers.values()) <= 1


def test_questions_are_distinct_and_held_out(contrast, questions):
    assert len(questions) == 50
    assert all(len(set(question["choices"])) == 4 for question in questions)
    texts = [item["question"] for item in contrast] + [question["question"] for question in questions]
    bags = [words(text) for text in texts]
    for i, one in enumerate(bags):
        for j, two in enumerate(bags[:i]):
            overlap = len(one & two) / min(len(one), len(two))
            assert overlap < 0.75, (texts[i], texts[j])
