"""The shipped data of the offline suite."""

from pathlib import Path

from lm_eval_cachesteer.harness.documents import jsonl_test_split

HERE = Path(__file__).parent

choice = jsonl_test_split(HERE.parent / "demo" / "questions.jsonl", HERE / "choice.jsonl")
word_problems = jsonl_test_split(HERE / "word_problems.jsonl")
open_prompts = jsonl_test_split(HERE / "open_prompts.jsonl")
