"""Data of the task cachesteer_offline_choice: the demo's 50 questions and 110 more."""

from pathlib import Path

from lm_eval_cachesteer.harness.task_data import jsonl_test_split

HERE = Path(__file__).parent

load = jsonl_test_split(HERE.parent / "demo" / "questions.jsonl", HERE / "choice.jsonl")
