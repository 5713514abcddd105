"""Answer extraction as filters of the harness, for any task's YAML and any backend."""

from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.filter import Filter

from ..answers import Extraction, extract_choice
from ..errors import ArgumentError

INVALID = "[invalid]"  # what the harness's own extraction filters return where they find nothing
REPORTS = ("answer", "rule")


class ChoiceFilter(Filter):
    """`cachesteer_choice`: the letter of the option each response settles on, see `extract_choice`.

    Options are read from the document's `choices`: a list of texts, or a mapping with a list under "text".

    Args:
        strict: Only explicit statements count.
        report: "answer" for the letter, or "rule" for the rung of the ladder that found it.

    Raises:
        ArgumentError: `report` is unknown, or a document has no such `choices`.
    """

    def __init__(self, strict: bool = False, report: str = "answer", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if report not in REPORTS:
            raise ArgumentError(f"report={report!r} is not allowed. Allowed: {', '.join(REPORTS)}.")
        self.strict, self.report = strict, report

    def apply(self, resps: Iterable[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[str]]:
        """Replaces each response by what was found in it; `[invalid]` where it settles on nothing."""
        return [
            [self._shown(extract_choice(response, _choices(doc), strict=self.strict)) for response in responses]
            for responses, doc in zip(resps, docs, strict=True)
        ]

    def _shown(self, found: Extraction) -> str:
        return found.rule if self.report == "rule" else found.answer or INVALID


def _choices(doc: dict[str, Any]) -> list[str]:
    choices = doc.get("choices")
    if isinstance(choices, dict):
        choices = choices.get("text")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise ArgumentError(
            f"cachesteer_choice needs a document whose `choices` is a list of texts (or a mapping with one under "
            f"'text'), got {doc.get('choices')!r}. Make such a column in the task's process_docs."
        )
    return choices
