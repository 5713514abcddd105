import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.harness.filters import ChoiceFilter, ExpressionFilter, NumberFilter

DOCS = [{"choices": ["Wood", "Copper"]}, {"choices": {"text": ["Red", "Green"], "label": ["A", "B"]}}]
RESPONSES = [["The answer is B.", "Copper conducts."], ["It is blue."]]


def test_each_response_becomes_a_letter_or_invalid():
    assert ChoiceFilter().apply(RESPONSES, DOCS) == [["B", "B"], ["[invalid]"]]
    assert ChoiceFilter(strict=True).apply(RESPONSES, DOCS) == [["B", "[invalid]"], ["[invalid]"]]
    assert ChoiceFilter(report="rule").apply(RESPONSES, DOCS) == [["statement", "only_text"], ["none"]]
    both = ChoiceFilter(report="both").apply(RESPONSES, DOCS)
    assert both == [[["B", "statement"], ["B", "only_text"]], [["[invalid]", "none"]]]


def test_options_may_stand_in_any_column():
    assert ChoiceFilter(options="endings").apply([["The answer is A."]], [{"endings": ["Wood", "Copper"]}]) == [["A"]]


def test_numbers_and_expressions():
    responses = [["The answer is $1,250.", "Hello."], ["So we get $\\boxed{\\frac{1}{2}}$."]]
    assert NumberFilter().apply(responses, [{}, {}]) == [["1250", "[invalid]"], ["0.5"]]
    expressions = ExpressionFilter(report="both").apply(responses[1:], [{}])
    assert expressions == [[["\\frac{1}{2}", "boxed"]]]


def test_bad_settings_and_documents_are_refused():
    with pytest.raises(ArgumentError, match="Allowed: answer, rule, both"):
        ChoiceFilter(report="letter")
    with pytest.raises(ArgumentError, match="`choices` is a list of texts"):
        ChoiceFilter().apply([["B"]], [{"options": ["a", "b"]}])


def test_the_filter_and_the_tasks_that_use_it_are_found_by_name(tmp_path):
    """In the running interpreter, through the harness's own registry and task manager."""
    from lm_eval.api.registry import get_filter
    from lm_eval.filters import build_filter_ensemble
    from lm_eval.tasks import TaskManager

    for name, target in (
        ("cachesteer_choice", ChoiceFilter),
        ("cachesteer_number", NumberFilter),
        ("cachesteer_expression", ExpressionFilter),
    ):
        assert get_filter(name) is target
    assert build_filter_ensemble("strict", [("cachesteer_choice", {"strict": True})]).name == "strict"
    tasks = TaskManager().load(["cachesteer_offline"])["tasks"]
    assert {name: len(task.test_docs()) for name, task in tasks.items()} == {
        "cachesteer_offline_choice": 160,
        "cachesteer_offline_word_problems": 240,
        "cachesteer_offline_open": 100,
    }
