import json

import pytest

from lm_eval_cachesteer.core.contrast import ContrastItem, ContrastSet, ReadyPair
from lm_eval_cachesteer.errors import ContrastError


def write(tmp_path, *records):
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records) + "\n", encoding="utf-8")
    return path


def test_question_items_in_our_layout_and_the_papers(tmp_path):
    path = write(
        tmp_path,
        {"question": "Q1", "reasoning": "R1", "answer": "A"},
        {"query": "Q2", "steps": ["one", "two"], "solution": 7},
        "",
        {"id": 3, "question": "Q3", "steps": ["three"], "answer": "C"},
    )
    assert ContrastSet.read(path).items == (
        ContrastItem("Q1", "R1", "A"),
        ContrastItem("Q2", "one\ntwo", "7"),
        ContrastItem("Q3", "three", "C", "3"),
    )


def test_items_are_chosen_by_their_ids(tmp_path):
    path = write(
        tmp_path, *({"id": i, "question": i, "reasoning": "R", "answer": "A"} for i in ("mc-1", "mc-2", "open-1"))
    )
    contrast = ContrastSet.read(path)
    assert [item.id for item in contrast.only("mc-*").items] == ["mc-1", "mc-2"]
    assert contrast.only("*") == contrast
    with pytest.raises(ContrastError, match=r"Ids there: mc-\*, open-\*"):
        contrast.only("MC-*")


def test_unusual_line_separators_inside_texts_are_kept(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text('{"question": "one\u2028two", "reasoning": "R", "answer": "A"}\r\n', encoding="utf-8")
    assert ContrastSet.read(path).items[0].question == "one\u2028two"


def test_ready_pairs_as_text_or_messages(tmp_path):
    message = {"role": "user", "content": "hi"}
    path = write(tmp_path, {"positive": "a", "negative": "b"}, {"positive": [message], "negative": [message]})
    assert ContrastSet.read(path, name="mine").items[0] == ReadyPair("a", "b")
    assert ContrastSet.read(path, name="mine").items[1] == ReadyPair((message,), (message,))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "holds no contrast pairs"),
        (["{"], "line 1: not a JSON object"),
        (["[1]"], "line 1: expected a JSON object, got list"),
        ([{"question": "Q", "answer": "A"}], "line 1: 'reasoning' or 'steps' is missing"),
        ([{"question": " ", "reasoning": "R", "answer": "A"}], "'question' must be a non-empty text"),
        ([{"question": "Q", "reasoning": [1], "answer": "A"}], "'reasoning' must be a non-empty text"),
        ([{"positive": "a"}], "'negative' must be a text or a list"),
        ([{"positive": [{"role": "user"}], "negative": "b"}], "'positive' must be a text or a list"),
        (
            [{"positive": "a", "negative": "b"}, {"question": "Q", "reasoning": "R", "answer": "A"}],
            "mixes question items with ready pairs",
        ),
    ],
)
def test_malformed_sets_name_the_line_and_the_reason(tmp_path, records, message):
    with pytest.raises(ContrastError, match=message):
        ContrastSet.read(write(tmp_path, *records))


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ContrastError, match="no such contrast set"):
        ContrastSet.read(tmp_path / "none.jsonl")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ContrastError, match="not UTF-8"):
        ContrastSet.read(tmp_path / "x.jsonl")
