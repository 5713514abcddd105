"""Data and metrics of the task cachesteer_offline_open."""

from pathlib import Path
from typing import Any

from lm_eval_cachesteer.metrics import measure_response

PROMPTS = Path(__file__).with_name("open_prompts.jsonl")


def load(**_: Any) -> dict[str, Any]:
    """Reads the shipped prompts; the harness passes its model arguments, which do not matter here."""
    import datasets

    return dict(datasets.load_dataset("json", data_files={"test": str(PROMPTS)}))


def process_results(_doc: dict[str, Any], responses: list[str]) -> dict[str, float]:
    """Measures one response."""
    return measure_response(responses[0])
