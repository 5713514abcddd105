"""Generative tasks: free-text responses, scored by answer extraction and measured by rule, with any backend."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from ..answers import same_expression
from ..errors import ArgumentError
from ..metrics import MEASURES, measure_response
from .filters import INVALID
from .tokenization import count_tokens

HIGHER_IS_BETTER = {
    "exact_match": True,
    "extracted": True,
    "tokens": True,
    "truncated": False,
    **MEASURES,
}
# A cut-off response, tokenized again, can come out a little shorter than it was generated.
_RETOKENIZATION_SLACK = 2


class ResponseTask(ConfigurableTask):
    """A task whose responses are free text: extracted answers are scored, responses are measured.

    Its YAML names filters as usual. Under a filter that yields pairs of answer and rule (`cachesteer_choice` and its
    siblings with `report: both`) a document gets `exact_match` and `extracted`; under a filter that leaves responses
    as they are (`filter: []`) it gets `tokens`, `truncated` and all of `measure_response`. With `repeats`, a document's
    figure is the mean over its responses.

    `tokens` needs the model's tokenizer (see `count_tokens`); without one, `tokens` and `truncated` are left out.

    Args:
        config: The task's YAML as the harness reads it; `metric_list` and `process_results` are built in.

    Raises:
        ArgumentError: There are no filters, or one takes the first response only.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        _check_filters(config)
        built_in = {"class", "metric_list", "process_results"}
        super().__init__(config={k: v for k, v in config.items() if k not in built_in} | {"metric_list": []})

    def process_results(self, doc: dict[str, Any], results: Sequence[Any]) -> dict[str, float]:
        """Scores or measures what one filter made of the responses to a document."""
        (outcomes,) = results
        judge: Callable[[dict[str, Any], Any], dict[str, float]]
        judge = self._measure if isinstance(outcomes[0], str) else self._score
        figures = [judge(doc, outcome) for outcome in outcomes]
        return {name: fmean(figure[name] for figure in figures) for name in figures[0]}

    def aggregation(self) -> dict[str, Any]:
        """Every figure is a mean over documents, for which the harness adds the standard error."""
        return dict.fromkeys(HIGHER_IS_BETTER, mean)

    def higher_is_better(self) -> dict[str, bool]:
        """The direction of every figure."""
        return dict(HIGHER_IS_BETTER)

    def is_correct(self, answer: str, target: str) -> bool:
        """Whether an extracted answer is the document's."""
        return answer == target

    def _score(self, doc: dict[str, Any], outcome: Sequence[str]) -> dict[str, float]:
        answer, _rule = outcome
        extracted = answer != INVALID
        correct = extracted and self.is_correct(answer, str(self.doc_to_target(doc)))
        return {"exact_match": float(correct), "extracted": float(extracted)}

    def _measure(self, _doc: dict[str, Any], response: str) -> dict[str, float]:
        measures = measure_response(response)
        tokens = count_tokens(response, self.config.metadata or {})
        if tokens is None:
            return measures
        longest = (self.config.generation_kwargs or {}).get("max_gen_toks", float("inf"))
        return {"tokens": float(tokens), "truncated": float(tokens >= longest - _RETOKENIZATION_SLACK)} | measures


class MathTask(ResponseTask):
    """A `ResponseTask` whose answers are mathematical expressions, compared by math-verify.

    Raises:
        ArgumentError: math-verify is not installed.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        same_expression("1", "1")  # what is missing is said now, not when all responses are there
        super().__init__(config)

    def is_correct(self, answer: str, target: str) -> bool:
        """Whether two expressions are equal."""
        return same_expression(answer, target)


def _check_filters(config: dict[str, Any]) -> None:
    filters = {entry["name"]: entry.get("filter") or [] for entry in config.get("filter_list") or []}
    for name, steps in filters.items():
        if any(step["function"] == "take_first" for step in steps):
            raise ArgumentError(
                f"Task {config.get('task')!r}: filter {name!r} takes the first response only. Leave out take_first "
                "and give extraction filters `report: both`."
            )
    if not filters:
        raise ArgumentError(
            f"Task {config.get('task')!r} has no filter_list. Name a filter with `filter: []` for the measures of the "
            "responses, and filters such as cachesteer_choice with `report: both` for the scores."
        )
