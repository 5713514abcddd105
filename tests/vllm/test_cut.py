"""Where a prompt is cut, worked out by hand."""

import pytest

from lm_eval_cachesteer.errors import SteeringError
from lm_eval_cachesteer.vllm.cut import Cut


@pytest.mark.parametrize(
    ("tokens", "position", "cached", "edited", "before"),
    [
        (10, -1, None, 8, 9),
        (2, -1, None, 0, 1),
        (10, -3, None, 6, 9),
        (10, 0, None, 0, 9),
        (10, -1, 4, 3, 4),
        (10, 2, 4, 2, 4),
    ],
)
def test_the_edited_token_and_the_first_one_after_it(tokens, position, cached, edited, before):
    assert Cut.of(tokens, position, cached) == Cut(edited, before)


@pytest.mark.parametrize(
    ("tokens", "position", "cached"),
    [(1, -1, None), (0, -1, None), (3, -3, None), (3, 2, None), (5, -1, 5), (5, 4, 4), (5, -1, 9)],
)
def test_prompts_without_such_a_token_are_refused(tokens, position, cached):
    with pytest.raises(SteeringError, match=f"A prompt of {tokens} tokens.* no cached token at position {position}"):
        Cut.of(tokens, position, cached)
