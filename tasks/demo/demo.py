"""The shipped data of the demo."""

from pathlib import Path

from lm_eval_cachesteer.harness.documents import LETTERS, Doc, choice, each, jsonl_test_split

questions = jsonl_test_split(Path(__file__).with_name("questions.jsonl"))


@each
def documents(doc: Doc) -> Doc:
    """From `question`, `choices` and `answer` (a letter) to the columns of the shared task parts."""
    return choice(doc["question"], doc["choices"], LETTERS.index(doc["answer"]))
