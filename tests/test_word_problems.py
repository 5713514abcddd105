"""The word problems of the offline suite are what their generator makes, their steps are true, and they are new."""

import ast
import importlib.util
import operator
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from .sources.test_shipped_sets import read, words

ROOT = Path(__file__).parents[1]
PATH = ROOT / "tasks" / "offline" / "word_problems.jsonl"

# Numbers that a question gives in words: written out, or known by everyone who knows the unit or the shape.
NUMBERS_IN_WORDS = {
    "first": 1, "two": 2, "half": 2, "twice": 2, "rectangular": 2, "three": 3,
    "dozen": 12, "hours": 60, "percent": 100, "kilograms": 1000,
}  # fmt: skip
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda one, two: Fraction(one, two),
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@pytest.fixture(scope="module")
def items():
    return read(PATH)


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "make_word_problems.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def value(node):
    """The value of a parsed expression of whole numbers."""
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    assert isinstance(node, ast.Constant) and type(node.value) is int
    return node.value


def numbers(text):
    return {int(number.replace(",", "")) for number in re.findall(r"\d+(?:,\d{3})*", text)}


def known_texts():
    """Every other question or prompt that is shipped or that coefficients are chosen on."""
    for path in sorted((ROOT / "vectors" / "contrast").glob("*.jsonl")):
        for item in read(path):
            yield from [item["question"]] if "question" in item else (m["content"] for m in item["positive"][::2])
    for path in ["tasks/demo/questions.jsonl", "tasks/offline/choice.jsonl"]:
        yield from (item["question"] for item in read(ROOT / path))
    for path in ["tools/development.jsonl", "tasks/offline/open_prompts.jsonl"]:
        yield from (item["prompt"] for item in read(ROOT / path))


def test_file_is_what_the_generator_makes(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "OUT", tmp_path / "made.jsonl")
    tool.main()
    assert tool.OUT.read_bytes() == PATH.read_bytes()


def test_templates_make_equally_many_problems_with_each_number_of_steps(tool):
    assert Counter(len(template.steps) for template in tool.TEMPLATES) == {1: 20, 2: 20, 3: 20}
    assert tool.PER_TEMPLATE == 4


def test_items_are_distinct_and_their_numbers_of_steps_interleave(items):
    assert [item["id"] for item in items] == [f"word-{i:03}" for i in range(1, 241)]
    assert len({item["question"] for item in items}) == 240
    assert all(sorted(len(item["steps"]) for item in items[i : i + 3]) == [1, 2, 3] for i in range(0, 240, 3))


def test_every_step_is_true_and_the_last_one_is_the_answer(items):
    for item in items:
        for step in item["steps"]:
            expression, result = step.split(" = ")
            assert value(ast.parse(expression, mode="eval").body) == int(result) > 0, item["id"]
        assert item["steps"][-1].split(" = ")[1] == item["answer"], item["id"]


def test_steps_use_all_that_is_given_and_nothing_else(items):
    for item in items:
        digits, in_words = numbers(item["question"]), set(re.findall(r"[a-z]+", item["question"].lower()))
        known = digits | {number for word, number in NUMBERS_IN_WORDS.items() if word in in_words}
        used = set()
        for step in item["steps"]:
            expression, result = step.split(" = ")
            assert numbers(expression) <= known, item["id"]
            used |= numbers(expression)
            known.add(int(result))
            last = int(result)
        results = {int(step.split(" = ")[1]) for step in item["steps"]}
        assert digits | results - {last} <= used, item["id"]


def test_questions_ask_once_in_one_plain_paragraph(items):
    for item in items:
        assert re.fullmatch(r"[A-Z][^?\n{}]+\?", item["question"]), item["id"]
        assert item["question"].isascii() and "  " not in item["question"], item["id"]
        assert not re.search(r"(?<![\d,])1 \w", item["question"]), item["id"]


def test_questions_are_held_out(items):
    known = [(text, words(text)) for text in known_texts()]
    for question in (item["question"] for item in items):
        mine = words(question)
        for text, others in known:
            # Of a text with hardly any long words, such as "What is fog?", all may well occur in any other.
            alike = len(mine & others) >= 0.75 * min(len(mine), len(others)) if len(others) > 2 else mine == others
            assert not alike and question != text, (question, text)
