"""Answer extraction on hand-labelled responses: real outputs of the embedded model, and hand-written hard cases."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("measure_extraction", ROOT / "tools" / "measure_extraction.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def items(tool):
    return tool.read_corpus()


def test_the_corpus_is_large_mixed_and_labelled(items):
    assert len(items) >= 300
    assert len({item["id"] for item in items}) == len(items)
    kinds = Counter((item["kind"], item["id"].split("-")[0]) for item in items)
    assert min(kinds.values()) >= 60
    for item in items:
        letters = "ABCDEFGHIJ"[: len(item["choices"])] if item["kind"] == "choice" else None
        assert item["answer"] is None or letters is None or item["answer"] in letters
    assert 0.2 <= sum(item["answer"] is None for item in items) / len(items) <= 0.4


def of_kind(items, kind):
    return [item for item in items if item["kind"] == kind]


@pytest.mark.parametrize("kind", ["choice", "number"])
def test_precision_and_recall(kind, items, tool):
    """Both counted here, not taken from the tool."""
    chosen = of_kind(items, kind)
    found = [(answer, item["answer"]) for answer, item in zip(tool.ours(chosen, strict=False), chosen, strict=True)]
    right = sum(answer == label for answer, label in found if label is not None)
    assert right / sum(answer is not None for answer, _ in found) >= 0.99
    assert right / sum(label is not None for _, label in found) >= 0.97
    score = tool.score(chosen, lambda items: tool.ours(items, strict=False))
    assert (score.right, score.labelled) == (right, sum(label is not None for _, label in found))


@pytest.mark.parametrize("kind", ["choice", "number"])
def test_explicit_statements_are_hardly_ever_wrong(kind, items, tool):
    chosen = of_kind(items, kind)
    found = [(answer, item["answer"]) for answer, item in zip(tool.ours(chosen, strict=True), chosen, strict=True)]
    stated = [(answer, label) for answer, label in found if answer is not None]
    assert sum(answer == label for answer, label in stated) / len(stated) >= 0.99
    assert len(stated) >= len(found) / 4


@pytest.mark.parametrize("kind", ["choice", "number"])
def test_the_harnesss_own_patterns_do_worse(kind, items, tool):
    ours, _, theirs = tool.EXTRACTORS[kind].values()
    chosen = of_kind(items, kind)
    of_ours, of_theirs = tool.score(chosen, ours), tool.score(chosen, theirs)
    assert of_theirs.precision < of_ours.precision
    assert of_theirs.recall < of_ours.recall


def test_harness_patterns_are_applied_as_the_harness_sets_them(tool):
    choices = ["wood", "copper"]
    responses = ["I think (A) or rather (B)", "It is copper", ""]
    assert tool.harness_choices([{"response": r, "choices": choices} for r in responses]) == ["B", "B", None]
    assert tool.harness_numbers([{"response": r} for r in ("3 eggs and $1,200.", "none")]) == ["1200", None]


def test_the_corpus_is_json_lines_of_utf8(tool):
    text = tool.CORPUS.read_text(encoding="utf-8")
    assert all(json.loads(line) for line in text.strip().split("\n"))
