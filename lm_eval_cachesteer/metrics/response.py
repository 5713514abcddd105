"""All measures of one response, by name, as the tasks report them."""

from .repetition import compression_ratio, is_looping, repeated_ngram_share
from .style import ADHERENCE

# Every measure, and whether more of it is better.
MEASURES = {"words": True, "looping": False, "repetition": False, "compression": False} | dict.fromkeys(ADHERENCE, True)


def measure_response(text: str) -> dict[str, float]:
    """Measures a response.

    Args:
        text: The response.

    Returns:
        The figures named in `MEASURES`: `words`, `looping` (0 or 1), `repetition` (share of repeated 4-grams),
        `compression` (see `compression_ratio`), and for each style of `ADHERENCE` 0 or 1.
    """
    measures = {
        "words": float(len(text.split())),
        "looping": float(is_looping(text)),
        "repetition": repeated_ngram_share(text),
        "compression": compression_ratio(text),
    }
    return measures | {style: float(keeps(text)) for style, keeps in ADHERENCE.items()}
