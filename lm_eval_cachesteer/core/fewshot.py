"""Choosing the few-shot examples of a contrast prompt."""

import random
from collections.abc import Sequence

from ..errors import ArgumentError

SELECTIONS = ("random", "similar")


def choose_examples(questions: Sequence[str], count: int, selection: str, seed: int) -> list[list[int]]:
    """Chooses few-shot examples for every question, never the question itself.

    Args:
        questions: All questions of the set.
        count: Examples for each question.
        selection: "random" (seeded, each question on its own), or "similar" (nearest by TF-IDF cosine over words;
            the nearest comes last, next to the question).
        seed: Seed of the random selection.

    Returns:
        For each question, indices of its examples.

    Raises:
        ArgumentError: The selection is unknown, or there are too few other questions.
    """
    if selection not in SELECTIONS:
        raise ArgumentError(f"Few-shot selection {selection!r} is unknown. Allowed: {', '.join(SELECTIONS)}.")
    others = [[j for j, other in enumerate(questions) if other != question] for question in questions]
    fewest = min(map(len, others))
    if not 0 <= count <= fewest:
        raise ArgumentError(
            f"{count} few-shot examples asked for, but only {fewest} other questions are in the contrast set. "
            f"Allowed: 0 to {fewest}."
        )
    if count == 0:
        return [[] for _ in questions]
    if selection == "random":
        return [random.Random(f"{seed}:{i}").sample(others[i], count) for i in range(len(questions))]  # noqa: S311
    return _most_similar(questions, others, count)


def _most_similar(questions: Sequence[str], others: list[list[int]], count: int) -> list[list[int]]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        features = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit_transform(questions)
    except ValueError as error:
        raise ArgumentError(f"The questions hold no words to compare ({error}). Use random selection.") from None
    similarity = (features @ features.T).toarray()
    return [sorted(others[i], key=lambda j: (similarity[i, j], -j))[-count:] for i in range(len(questions))]
