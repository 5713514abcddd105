"""Drafts: guesses of rows' next tokens, which one pass checks together (prompt lookup decoding).

What followed the newest tokens where they occurred before often follows them again: names, figures and phrases of the
question, loops of small models, and turns of phrase that responses to one task share. A pass over several tokens of a
row costs little more than one over a single token. The model still chooses every token, as in speculative decoding
(Leviathan et al. 2023, arXiv 2211.17192); drafted ones that it does not choose are dropped, so drafts never change a
response.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Numbers of newest tokens that are looked up, most first: in a row's prompt and response, then in other responses.
_LOOKED_UP = (5, 4, 3, 2, 1)
_LOOKED_UP_ELSEWHERE = (3, 2, 1)
_MOST_PHRASES = 50_000
# Guesses of a kind that held, and guesses of it, before any was made.
_HELD_BEFORE, _MADE_BEFORE = 2, 4


class Kind(NamedTuple):
    """What a guess rests on; guesses of a kind hold about equally often."""

    is_own: bool
    looked_up: int
    is_first: bool


class Guess(NamedTuple):
    """A next token and what it rests on."""

    token: int
    kind: Kind


class Drafting:
    """What the responses of a run have taught: their phrases, and how often guesses of each kind held."""

    def __init__(self) -> None:
        self.phrases = Phrases()
        self._held: defaultdict[Kind, float] = defaultdict(lambda: _HELD_BEFORE)
        self._made: defaultdict[Kind, float] = defaultdict(lambda: _MADE_BEFORE)

    def learn(self, guess: Guess, held: bool) -> None:
        """Notes whether a guess held."""
        self._made[guess.kind] += 1
        self._held[guess.kind] += held

    def chances(self, guesses: Sequence[Guess]) -> list[float]:
        """For each of a row's guesses, the chance that it and all before it hold."""
        chances, chance = [], 1.0
        for guess in guesses:
            chance *= self._held[guess.kind] / self._made[guess.kind]
            chances.append(chance)
        return chances

    def draft(self, drafters: Mapping[int, Drafter], longest: Mapping[int, int], room: int) -> dict[int, list[int]]:
        """Guesses next tokens, those that will most likely hold where there is not room for all.

        Args:
            drafters: Rows' drafters by slot.
            longest: How many tokens each may guess.
            room: How many all may guess together.

        Returns:
            A draft for each row, empty where there is nothing to guess.
        """
        guesses = {slot: drafter.guesses(longest[slot]) for slot, drafter in drafters.items()}
        ranked = sorted(
            (-chance, place, slot) for slot, made in guesses.items() for place, chance in enumerate(self.chances(made))
        )
        lengths = dict.fromkeys(drafters, 0)
        for _, _, slot in ranked[: max(0, room)]:
            lengths[slot] += 1
        return {slot: drafters[slot].keep(made[: lengths[slot]]) for slot, made in guesses.items()}


class Phrases:
    """What followed which tokens in the responses of a run; the latest counts, the oldest are forgotten."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], int] = {}

    def learn(self, tokens: Sequence[int]) -> None:
        """Notes that the last of some tokens followed those before it."""
        for count in _LOOKED_UP_ELSEWHERE:
            phrase = tuple(tokens[-count - 1 : -1])
            self._next.pop(phrase, None)  # what is noted anew is the newest
            self._next[phrase] = tokens[-1]
        while len(self._next) > _MOST_PHRASES:
            del self._next[next(iter(self._next))]

    def guess(self, tokens: Sequence[int], is_first: bool) -> Guess | None:
        """What followed these tokens, as many of the last ones as ever occurred; None if none did."""
        for count in _LOOKED_UP_ELSEWHERE:
            token = self._next.get(tuple(tokens[-count:]))
            if token is not None:
                return Guess(token, Kind(False, count, is_first))
        return None


class Drafter:
    """Drafts for one response.

    Args:
        prompt: Token ids.
        most: Longest draft.
        drafting: What is known from other responses; learns from this one.
    """

    def __init__(self, prompt: Sequence[int], most: int, drafting: Drafting) -> None:
        self.most = most
        self._drafting = drafting
        self._tokens: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}
        self._drafted: Sequence[Guess] = ()
        if most:  # else nothing will be looked up
            for token in prompt:
                self._add(token)

    def extend(self, tokens: Sequence[int]) -> None:
        """Adds tokens that were chosen, and learns how much of the last draft was right."""
        for guess, token in zip(self._drafted, tokens, strict=False):
            self._drafting.learn(guess, guess.token == token)
        self._drafted = ()
        if self.most:
            for token in tokens:
                self._add(token)
                self._drafting.phrases.learn(self._tokens[-max(_LOOKED_UP_ELSEWHERE) - 1 :])

    def _add(self, token: int) -> None:
        for count in _LOOKED_UP:
            if len(self._tokens) >= count:
                self._next[tuple(self._tokens[-count:])] = len(self._tokens)
        self._tokens.append(token)

    def keep(self, guesses: Sequence[Guess]) -> list[int]:
        """Makes guesses the draft; returns its tokens."""
        self._drafted = guesses
        return [guess.token for guess in guesses]

    def guesses(self, most: int) -> list[Guess]:
        """Guesses up to `most` next tokens; none where the newest ones never occurred before."""
        length = min(most, self.most)
        return self._from_own_tokens(length) or self._from_phrases(length)

    def _from_own_tokens(self, length: int) -> list[Guess]:
        known = self._tokens
        for count in _LOOKED_UP:
            start = self._next.get(tuple(known[-count:]))
            if start is not None:
                followed = known[start : start + length]
                while len(followed) < length:  # runs on into the draft itself: a loop
                    followed.append(followed[start - len(known)])
                return [Guess(token, Kind(True, count, place == 0)) for place, token in enumerate(followed)]
        return []

    def _from_phrases(self, length: int) -> list[Guess]:
        newest = self._tokens[-max(_LOOKED_UP_ELSEWHERE) :]
        guesses: list[Guess] = []
        while len(guesses) < length:
            guess = self._drafting.phrases.guess([*newest, *(g.token for g in guesses)], not guesses)
            if guess is None:
                break
            guesses.append(guess)
        return guesses
