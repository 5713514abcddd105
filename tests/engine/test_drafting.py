"""Drafts: what followed the newest tokens before, those first that will most likely hold."""

import pytest

from lm_eval_cachesteer.engine import drafting as module
from lm_eval_cachesteer.engine.drafting import Drafter, Drafting


def drafted(tokens, most, drafting=None):
    """The tokens that are guessed after some."""
    return [guess.token for guess in Drafter(tokens, 8, drafting or Drafting()).guesses(most)]


@pytest.mark.parametrize(
    ("tokens", "most", "draft"),
    [
        ([1, 2, 3, 4, 9, 1, 2], 2, [3, 4]),
        ([1, 2, 3, 4, 9, 1, 2], 1, [3]),
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 1, [4]),  # the latest place counts
        ([8, 1, 2, 3, 9, 7, 1, 2, 4, 9, 8, 1, 2], 1, [3]),  # unless an earlier one has more in common
        ([5, 6, 5, 6], 2, [5, 6]),  # a loop goes on beyond what is known
        ([1, 5, 6, 7, 5, 6, 7], 8, [5, 6, 7, 5, 6, 7, 5, 6]),
        ([7, 7, 7], 2, [7, 7]),
        ([1, 2, 3, 4], 2, []),
        ([1], 2, []),
        ([], 2, []),
        ([1, 2, 3, 1, 2], 0, []),
    ],
)
def test_what_followed_before_is_guessed(tokens, most, draft):
    assert drafted(tokens, most) == draft


def test_no_draft_is_longer_than_asked_for_at_first():
    assert [len(Drafter([5, 6] * 8, most, Drafting()).guesses(9)) for most in (0, 1, 4)] == [0, 1, 4]


def test_tokens_that_come_later_count_as_well():
    drafter = Drafter([1, 2], 4, Drafting())
    drafter.extend([3, 4])
    drafter.extend([1, 2])
    assert [guess.token for guess in drafter.guesses(2)] == [3, 4]


class TestOtherResponses:
    """What rows learn from each other."""

    @pytest.fixture
    def drafting(self):
        """Has seen one response: 50, 51, 52, 53 after the prompt 1, 2."""
        drafting = Drafting()
        Drafter([1, 2], 4, drafting).extend([50, 51, 52, 53])
        return drafting

    def test_their_phrases_are_guessed_where_the_own_tokens_say_nothing(self, drafting):
        assert drafted([9, 50, 51], 4, drafting) == [52, 53]
        assert drafted([51, 7, 9, 51], 1, drafting) == [7]  # one's own come first

    def test_their_prompts_are_not(self, drafting):
        assert drafted([9, 1], 4, drafting) == []
        assert drafted([9, 2], 1, drafting) == [50]  # how a response begins is

    def test_a_row_without_drafts_teaches_nothing(self):
        drafting = Drafting()
        Drafter([1, 2], 0, drafting).extend([50, 51, 52])
        assert drafted([9, 50, 51], 2, drafting) == []

    def test_the_oldest_are_forgotten(self, monkeypatch):
        monkeypatch.setattr(module, "_MOST_PHRASES", 30)
        drafting = Drafting()
        Drafter([1], 4, drafting).extend(range(100, 200))
        assert drafted([199, 100], 1, drafting) == []
        assert drafted([9, 195], 1, drafting) == [196]
        assert len(drafting.phrases._next) <= 30


class TestRoom:
    """Which guesses are made where there is not room for all."""

    def test_guesses_that_rest_on_more_tokens_come_first_once_they_held_more_often(self):
        drafting = Drafting()
        weak, strong = [3, 1, 9, 1], [1, 2, 3, 4, 9, 1, 2, 3]
        for _ in range(5):
            drafters = {0: Drafter(weak, 4, drafting), 1: Drafter(strong, 4, drafting)}
            drafting.draft(drafters, {0: 1, 1: 1}, room=2)
            drafters[0].extend([77])  # 9 was guessed
            drafters[1].extend([4, 9])  # 4 was guessed
        drafters = {0: Drafter(weak, 4, drafting), 1: Drafter(strong, 4, drafting)}
        assert drafting.draft(drafters, {0: 2, 1: 2}, room=1) == {0: [], 1: [4]}
        assert drafting.draft(drafters, {0: 2, 1: 2}, room=2) == {0: [], 1: [4, 9]}
        assert drafting.draft(drafters, {0: 2, 1: 2}, room=4) == {0: [9, 1], 1: [4, 9]}

    def test_rows_share_equally_likely_guesses(self):
        drafting = Drafting()
        drafters = {slot: Drafter([5, 6] * 4, 4, drafting) for slot in range(3)}
        drafts = drafting.draft(drafters, dict.fromkeys(drafters, 4), room=7)
        assert sorted(map(len, drafts.values())) == [2, 2, 3]

    def test_no_row_guesses_more_than_it_may(self):
        drafting = Drafting()
        drafters = {slot: Drafter([5, 6] * 4, 4, drafting) for slot in range(2)}
        assert drafting.draft(drafters, {0: 0, 1: 3}, room=100) == {0: [], 1: [5, 6, 5]}
        assert drafting.draft(drafters, {0: 4, 1: 4}, room=0) == {0: [], 1: []}
        assert drafting.draft(drafters, {0: 4, 1: 4}, room=-3) == {0: [], 1: []}

    def test_what_followed_a_wrong_guess_says_nothing_about_the_later_ones(self):
        drafting = Drafting()
        drafter = Drafter([5, 6] * 4, 4, drafting)
        before = drafting.chances(drafter.guesses(2))
        drafting.draft({0: drafter}, {0: 2}, room=2)
        drafter.extend([99])
        first, later = drafting.chances(Drafter([5, 6] * 4, 4, drafting).guesses(2))
        assert first < before[0]
        assert later / first == before[1] / before[0]
