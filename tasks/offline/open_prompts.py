"""Data and metrics of the task cachesteer_offline_open."""

from pathlib import Path
from typing import Any

from lm_eval_cachesteer.harness.task_data import jsonl_test_split
from lm_eval_cachesteer.metrics import measure_response

load = jsonl_test_split(Path(__file__).with_name("open_prompts.jsonl"))


def process_results(_doc: dict[str, Any], responses: list[str]) -> dict[str, float]:
    """Measures one response."""
    return measure_response(responses[0])
