"""Stop rules find their strings however they are cut into tokens."""

import pytest

from lm_eval_cachesteer.engine.stopping import StopRule


@pytest.mark.parametrize("stop", ["b", "abc", "\n\n", "é!", "x" * 40])
def test_a_string_is_found_at_the_token_that_completes_it(tokenizer, stop):
    tokens = tokenizer.encode("before " + stop + " after")
    rule = StopRule(frozenset(), [stop, "never there"], tokenizer)
    ended = [rule.ended(tokens[: i + 1]) for i in range(len(tokens))]
    text = "before " + stop
    assert ended.index(True) == len(tokenizer.encode(text[: text.index(stop) + len(stop)])) - 1


def test_end_tokens_and_no_strings(tokenizer):
    rule = StopRule(frozenset([257, 3]), ["", "<unused>"], tokenizer)
    assert [rule.ended([token]) for token in (257, 3, 4)] == [True, True, False]


def test_no_strings_need_no_decoding():
    assert not StopRule(frozenset(), [], tokenizer=None).ended([1, 2, 3])
