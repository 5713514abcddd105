"""Answer extraction as filters of the harness, for any task's YAML and any backend."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.filter import Filter

from ..answers import Extraction, extract_choice, extract_expression, extract_number
from ..errors import ArgumentError

INVALID = "[invalid]"  # what the harness's own extraction filters return where they find nothing
REPORTS = ("answer", "rule", "both")

Shown = str | list[str]


class AnswerFilter(Filter):
    """Replaces every response by the answer it settles on, `[invalid]` where it settles on none.

    Args:
        strict: Only explicit statements count.
        report: "answer"; "rule" for the rung of the ladder that found it; "both" for a pair of the two.

    Raises:
        ArgumentError: `report` is unknown.
    """

    def __init__(self, strict: bool = False, report: str = "answer", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if report not in REPORTS:
            raise ArgumentError(f"report={report!r} is not allowed. Allowed: {', '.join(REPORTS)}.")
        self.strict, self.report = strict, report

    @abstractmethod
    def extract(self, response: str, doc: dict[str, Any]) -> Extraction:
        """The answer of one response to one document."""

    def apply(self, resps: Iterable[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[Shown]]:
        """Replaces each response by what was found in it."""
        return [
            [self._shown(self.extract(response, doc)) for response in responses]
            for responses, doc in zip(resps, docs, strict=True)
        ]

    def _shown(self, found: Extraction) -> Shown:
        answer = found.answer or INVALID
        shown: dict[str, Shown] = {"answer": answer, "rule": found.rule, "both": [answer, found.rule]}
        return shown[self.report]


class ChoiceFilter(AnswerFilter):
    """`cachesteer_choice`: the letter of the option a response settles on, see `extract_choice`.

    Args:
        options: The document's column with the options: a list of texts, or a mapping with a list under "text".
        **kwargs: See `AnswerFilter`.

    Raises:
        ArgumentError: A document has no such column.
    """

    def __init__(self, options: str = "choices", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = options

    def extract(self, response: str, doc: dict[str, Any]) -> Extraction:
        """The option a response settles on."""
        return extract_choice(response, self._options_of(doc), strict=self.strict)

    def _options_of(self, doc: dict[str, Any]) -> list[str]:
        options = doc.get(self.options)
        if isinstance(options, dict):
            options = options.get("text")
        if not isinstance(options, list) or not options or not all(isinstance(option, str) for option in options):
            raise ArgumentError(
                f"cachesteer_choice needs a document whose `{self.options}` is a list of texts (or a mapping with one "
                f"under 'text'), got {doc.get(self.options)!r}. Make such a column in the task's process_docs, and "
                "name it with `options`."
            )
        return options


class NumberFilter(AnswerFilter):
    """`cachesteer_number`: the number a response settles on in canonical form, see `extract_number`."""

    def extract(self, response: str, doc: dict[str, Any]) -> Extraction:  # noqa: ARG002 - the document does not matter
        """The number a response settles on."""
        return extract_number(response, strict=self.strict)


class ExpressionFilter(AnswerFilter):
    """`cachesteer_expression`: the mathematical expression a response settles on, see `extract_expression`."""

    def extract(self, response: str, doc: dict[str, Any]) -> Extraction:  # noqa: ARG002 - the document does not matter
        """The expression a response settles on."""
        return extract_expression(response, strict=self.strict)
