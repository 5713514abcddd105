"""Preparing the documents of generative tasks: from a dataset's own columns to those of `tasks/shared`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..answers import canonical_number
from ..errors import ArgumentError

Doc = dict[str, Any]
LETTERS = "ABCDEFGHIJ"


def jsonl_test_split(*paths: Path) -> Callable[..., dict[str, Any]]:
    """Makes a task's `custom_dataset`: a loader of JSONL files as the split "test".

    The loader takes and ignores the model arguments that the harness passes to it.
    """

    def load(**_: Any) -> dict[str, Any]:
        import datasets

        return dict(datasets.load_dataset("json", data_files={"test": [str(path) for path in paths]}))

    return load


def each(prepare: Callable[[Doc], Doc]) -> Callable[[Any], Any]:
    """Makes a task's `process_docs` from a function of one document; the dataset's own columns stay beside the new."""

    def process_docs(dataset: Any) -> Any:
        return dataset.map(prepare)

    process_docs.__doc__ = prepare.__doc__
    return process_docs


def choice(problem: str, options: Sequence[str], gold: int) -> Doc:
    """The columns of a multiple-choice problem.

    Args:
        problem: The question with all that belongs to it.
        options: The options' texts, at most ten.
        gold: Index of the right one.

    Raises:
        ArgumentError: `gold` is no index of `options`.
    """
    if not 0 <= gold < len(options) <= len(LETTERS):
        raise ArgumentError(
            f"{problem!r} has {len(options)} options and gold index {gold}; expected 1 to {len(LETTERS)} options and "
            "an index among them. Check the dataset's columns; splits without labels cannot be evaluated."
        )
    return {"problem": problem.strip(), "options": [option.strip() for option in options], "target": LETTERS[gold]}


def number(problem: str, gold: str) -> Doc:
    """The columns of a problem with a numeric answer.

    Args:
        problem: The question.
        gold: The right answer as written in the dataset.

    Raises:
        ArgumentError: `gold` is not one number.
    """
    target = canonical_number(gold)
    if target is None:
        raise ArgumentError(f"The answer {gold!r} to {problem!r} is not one number. Check the dataset's columns.")
    return {"problem": problem.strip(), "target": target}
