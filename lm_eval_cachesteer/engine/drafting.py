"""Drafts: guesses of a row's next tokens, which one pass checks together (prompt lookup decoding).

What followed the newest tokens where they occurred before often follows them again: names, figures and phrases of the
question, and loops of small models. A pass over several tokens of a row costs little more than one over a single token.
The model still chooses every token, as in speculative decoding (Leviathan et al. 2023, arXiv 2211.17192); drafted ones
that it does not choose are dropped, so drafts never change a response.
"""

from collections.abc import Sequence

# Numbers of newest tokens that are looked up, longest first.
_LOOKED_UP = (4, 3, 2)
_AT_FIRST = 2


class Drafter:
    """Drafts for one response.

    Args:
        prompt: Token ids.
        most: Longest draft.

    Attributes:
        wanted: How long the next draft should be: longer while drafts are right, shorter after a wrong one.
    """

    def __init__(self, prompt: Sequence[int], most: int) -> None:
        self.most = most
        self.wanted = min(_AT_FIRST, most)
        self._tokens: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}
        self.extend(prompt)

    def extend(self, tokens: Sequence[int]) -> None:
        """Adds tokens that are certain."""
        if not self.most:
            return  # nothing will be looked up
        for token in tokens:
            for count in _LOOKED_UP:
                if len(self._tokens) >= count:
                    self._next[tuple(self._tokens[-count:])] = len(self._tokens)
            self._tokens.append(token)

    def draft(self, most: int) -> list[int]:
        """Guesses up to `most` next tokens; none where the newest ones never occurred before."""
        known = self._tokens
        for count in _LOOKED_UP:
            start = self._next.get(tuple(known[-count:]))
            if start is not None:
                draft: list[int] = []
                for place in range(start, start + min(most, self.wanted)):  # may run on into the draft itself: a loop
                    draft.append(known[place] if place < len(known) else draft[place - len(known)])
                return draft
        return []

    def judge(self, drafted: int, right: int) -> None:
        """Learns how much of the last draft was right."""
        if drafted:
            self.wanted = min(self.most, self.wanted + 1) if right == drafted else max(1, right)
