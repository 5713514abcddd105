"""JSON that Python's own reader takes, and what uses it could not bear."""

import json

import pytest

from lm_eval_cachesteer.strict_json import parse_json


@pytest.mark.parametrize(
    "value", [None, True, -3, 2.5, "é\u2028", [], {}, {"a": [1, {"b": None}]}, 10**299, [[[]]] * 50]
)
def test_ordinary_documents_are_read_as_by_python(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value), strict=True) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[" * 101 + "]" * 101, "nested too deeply"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("1" + "0" * 300, "301 digits"),
        ("-" + "9" * 5000, "5001 digits"),
    ],
)
def test_others_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_depth_counts_and_not_width():
    assert parse_json("[" * 100 + "]" * 100)
    assert len(parse_json(json.dumps([[]] * 1000))) == 1000
    assert parse_json(json.dumps("[{" * 1000)) == "[{" * 1000


@pytest.mark.parametrize("text", ['"\\ud800"', '{"a": ["x\\uDFFFy"]}', '{"\\ud83d": 1}'])
def test_half_of_a_letter_is_no_letter_where_that_matters(text):
    assert parse_json(text) == json.loads(text)
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        parse_json(text, strict=True)


def test_whole_pairs_are_letters():
    assert parse_json('"\\ud83d\\ude80"', strict=True) == "🚀"


def test_a_key_that_is_there_twice_loses_its_first_value_unless_that_is_refused():
    text = '{"a": 1, "b": {"c": 1, "c": 2}}'
    assert parse_json(text) == {"a": 1, "b": {"c": 2}}
    with pytest.raises(ValueError, match="the key 'c' is there twice"):
        parse_json(text, strict=True)
