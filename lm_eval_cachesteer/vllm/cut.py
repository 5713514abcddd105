"""Where a prompt's prefill is cut for the edit, and which of its tokens is edited."""

from dataclasses import dataclass

from ..errors import SteeringError


@dataclass(frozen=True)
class Cut:
    """The edit's place in a prompt.

    Attributes:
        edited: The edited token, counted from 0.
        cached: Tokens in the cache when the edit is made: the first token fed to the edited cache.
    """

    edited: int
    cached: int

    @classmethod
    def of(cls, prompt_tokens: int, position: int = -1, cached: int | None = None) -> "Cut":
        """Finds the place.

        Args:
            prompt_tokens: Length of the prompt, offset token included.
            position: The edited token among the cached ones; negative from their end.
            cached: Tokens in the cache when the edit is made; None for all but the prompt's last.

        Raises:
            SteeringError: The prompt is too short.
        """
        before = prompt_tokens - 1 if cached is None else cached
        edited = before + position if position < 0 else position
        if not 0 <= edited < before < prompt_tokens:
            raise SteeringError(
                f"A prompt of {prompt_tokens} tokens, of which {before} are cached when the edit is made, has no "
                f"cached token at position {position} with a token after it. Use a longer prompt, or an offset token."
            )
        return cls(edited, before)
