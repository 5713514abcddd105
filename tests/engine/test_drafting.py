"""Drafts: what followed the newest tokens before."""

import pytest

from lm_eval_cachesteer.engine.drafting import Drafter


@pytest.mark.parametrize(
    ("tokens", "most", "draft"),
    [
        ([1, 2, 3, 4, 9, 1, 2], 2, [3, 4]),
        ([1, 2, 3, 4, 9, 1, 2], 1, [3]),
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 1, [4]),  # the latest place counts
        ([8, 1, 2, 3, 9, 7, 1, 2, 4, 9, 8, 1, 2], 1, [3]),  # unless an earlier one has more in common
        ([5, 6, 5, 6], 2, [5, 6]),  # a loop goes on beyond what is known
        ([7, 7, 7], 2, [7, 7]),
        ([1, 2, 3, 4], 2, []),
        ([1], 2, []),
        ([], 2, []),
        ([1, 2, 3, 1, 2], 0, []),
    ],
)
def test_what_followed_before_is_guessed(tokens, most, draft):
    assert Drafter(tokens, 4).draft(most) == draft


def test_tokens_that_come_later_count_as_well():
    drafter = Drafter([1, 2], 4)
    drafter.extend([3, 4])
    drafter.extend([1, 2])
    assert drafter.draft(2) == [3, 4]


def test_drafts_grow_while_they_are_right_and_shrink_when_wrong():
    drafter = Drafter([5, 6] * 8, 4)
    lengths = []
    for right in ("all", "all", "all", "one", "none", "all"):
        drafted = len(drafter.draft(10))
        drafter.judge(drafted, {"all": drafted, "one": 1, "none": 0}[right])
        lengths.append(drafted)
    assert lengths == [2, 3, 4, 4, 1, 1]
    drafter.judge(0, 0)  # no draft, nothing learnt
    assert len(drafter.draft(10)) == 2


def test_no_drafts_of_length_zero_are_ever_longer():
    drafter = Drafter([5, 6] * 4, 0)
    assert drafter.draft(5) == []
