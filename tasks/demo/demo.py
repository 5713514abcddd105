"""Data and metrics of the task cachesteer_demo."""

from pathlib import Path
from typing import Any

from lm_eval_cachesteer.metrics import measure_response

QUESTIONS = Path(__file__).with_name("questions.jsonl")


def load(**_: Any) -> dict[str, Any]:
    """Reads the shipped questions; the harness passes its model arguments, which do not matter here."""
    import datasets

    return dict(datasets.load_dataset("json", data_files={"test": str(QUESTIONS)}))


def process_results(_doc: dict[str, Any], responses: list[str]) -> dict[str, float]:
    """Measures one response."""
    measures = measure_response(responses[0])
    return {name: measures[name] for name in ("stepwise", "looping", "repetition", "words")}
