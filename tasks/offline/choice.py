"""Data of the task cachesteer_offline_choice: the demo's 50 questions and 110 more."""

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUESTIONS = (HERE.parent / "demo" / "questions.jsonl", HERE / "choice.jsonl")


def load(**_: Any) -> dict[str, Any]:
    """Reads the shipped questions; the harness passes its model arguments, which do not matter here."""
    import datasets

    return dict(datasets.load_dataset("json", data_files={"test": [str(path) for path in QUESTIONS]}))
