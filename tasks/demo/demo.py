"""Data and metrics of the task cachesteer_demo."""

from pathlib import Path
from typing import Any

from lm_eval_cachesteer.harness.task_data import jsonl_test_split
from lm_eval_cachesteer.metrics import measure_response

load = jsonl_test_split(Path(__file__).with_name("questions.jsonl"))


def process_results(_doc: dict[str, Any], responses: list[str]) -> dict[str, float]:
    """Measures one response."""
    measures = measure_response(responses[0])
    return {name: measures[name] for name in ("stepwise", "looping", "repetition", "words")}
