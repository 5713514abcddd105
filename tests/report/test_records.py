import json

import pytest

from lm_eval_cachesteer.report.records import (
    Choice,
    answers_of,
    choices_of,
    prompt_of,
    shared_start,
    target_of,
    texts_of,
    title_of,
)
from lm_eval_cachesteer.results.runs import find_run
from lm_eval_cachesteer.results.samples import Record, read_samples

from .support import answered, scored, write_answers


def free_text(*responses, **answers):
    return Record([["Why?", {"until": []}]], [list(responses)], "B", answers)


def likelihoods(requests, target="1"):
    pairs = [[["-1.5", "False"]], [["-0.25", "True"]], [["-9.0", "False"]], [["-8.0", "False"]]]
    return Record(requests, pairs[: len(requests)], target, {"none": []})


def test_free_text_has_texts_and_no_choices():
    record = free_text("one", "two")
    assert texts_of(record) == ["one", "two"]
    assert choices_of(record) == []
    assert prompt_of(record) == "Why?"
    assert target_of(record) == "B"


@pytest.mark.parametrize(
    ("responses", "logged", "shown"),
    [
        (["It is B."], ["B"], ["B"]),  # take_first
        (["It is B.", "It is A."], [["B", "A"]], ["B", "A"]),  # one for each repeat
        (["It is B.", "It is A."], ["B"], ["B"]),  # a vote
        (["It is B."], [[["B", "statement"]]], ["B (statement)"]),
        (["It is B.", "No."], [[["B", "statement"], ["[invalid]", "none"]]], ["B (statement)", "[invalid] (none)"]),
        (["It is B."], [["It is B."]], None),  # the response itself
    ],
)
def test_what_filters_extracted_is_told_for_each_response(responses, logged, shown):
    found = answers_of(free_text(*responses, flexible=logged))
    assert found == ({} if shown is None else {"flexible": shown})


def test_likelihoods_have_choices_and_no_texts():
    record = likelihoods([["Why?", " because"], ["Why?", " no idea"]])
    assert texts_of(record) == []
    assert answers_of(record) == {}
    assert choices_of(record) == [Choice(" because", -1.5, False), Choice(" no idea", -0.25, True)]
    assert prompt_of(record) == "Why?"


def test_a_target_by_number_is_told_by_its_text():
    requests = [["Why?", " because"], ["Why?", " no idea"]]
    assert target_of(likelihoods(requests)) == "no idea"
    assert target_of(likelihoods(requests, target="7")) == "7"
    assert target_of(free_text("one")) == "B"


def test_choices_whose_prompts_differ_are_told_by_where_they_differ():
    record = likelihoods(
        [["The cup fell on the table so the cup", " broke."], ["The cup fell on the table so it", " broke."]]
    )
    assert [choice.text for choice in choices_of(record)] == ["the cup broke.", "it broke."]
    assert prompt_of(record) == "The cup fell on the table so "


def test_likelihoods_without_a_prompt_are_no_choices():
    requests = [["Why?", " because"], ["Why?", " no idea"], ["", " because"], ["", " no idea"]]
    assert [choice.likelihood for choice in choices_of(likelihoods(requests))] == [-1.5, -0.25]


def test_prompts_share_whole_lines():
    assert shared_start(["Be brief.\nQuestion: up?", "Be brief.\nQuestion: down?"]) == "Be brief.\n"
    assert shared_start(["one\ntwo", "one\ntwo"]) == ""
    assert shared_start([]) == ""


def test_a_title_is_one_line_of_the_question():
    assert title_of({"context": "c", "question": "Which  way\nis up?"}, "prompt") == "Which way is up?"
    assert title_of({"question": {"stem": "nested"}}, "the  prompt") == "the prompt"
    assert title_of({"question": "x" * 500}, "") == "x" * 139 + "…"


@pytest.mark.parametrize("as_lists", [False, True])  # as older versions of the harness write arguments
def test_records_are_read_from_logged_samples(tmp_path, as_lists):
    filters = {"strict": (["[invalid]"], {"exact_match": 0.0}), "flexible": (["B"], {"exact_match": 1.0})}
    samples = [answered("Up?", "It is B.", prompt="Say: up?", filters=filters), scored("Down?", {" yes": -1.0})]
    write_answers(tmp_path, {"ways": samples})
    if as_lists:
        (file,) = tmp_path.glob("samples_*.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line["arguments"] = [list(request.values()) for request in line["arguments"].values()]
        file.write_text("\n".join(map(json.dumps, lines)))
    text, likelihood = read_samples(find_run(str(tmp_path)), "ways").records.values()
    assert (prompt_of(text), texts_of(text), text.target) == ("Say: up?", ["It is B."], "A")
    assert answers_of(text) == {"strict": ["[invalid]"], "flexible": ["B"]}
    assert (prompt_of(likelihood), choices_of(likelihood)) == ("Down?", [Choice(" yes", -1.0, True)])
