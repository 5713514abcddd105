"""How much a response repeats itself."""

import zlib


def repeated_ngram_share(text: str, n: int = 4) -> float:
    """Share of word n-grams that occurred before in the text: 1 - distinct / all.

    Args:
        text: The response.
        n: Words in an n-gram.

    Returns:
        0.0 (nothing repeats, or the text is shorter than n words) up to nearly 1.0.
    """
    words = text.split()
    ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def is_looping(text: str) -> bool:
    """Whether more than half of the text's 4-grams are repeats."""
    return repeated_ngram_share(text) > 0.5


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text (UTF-8, level 9): about 2 for prose of this length, more for loops.

    Returns:
        len(text) / len(compressed); 0.0 for the empty text.
    """
    content = text.encode(errors="surrogatepass")  # as an API may answer in half of a pair
    return len(content) / len(zlib.compress(content, 9)) if content else 0.0
