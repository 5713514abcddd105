"""From the shipped columns to those of the shared task parts: `problem`, `options` and `target`."""

from lm_eval_cachesteer.harness.documents import LETTERS, Doc, each, number
from lm_eval_cachesteer.harness.documents import choice as _choice


@each
def choice(doc: Doc) -> Doc:
    """`question`, `choices`, `answer` (a letter)."""
    return _choice(doc["question"], doc["choices"], LETTERS.index(doc["answer"]))


@each
def word_problem(doc: Doc) -> Doc:
    """`question`, `answer` (an integer)."""
    return number(doc["question"], doc["answer"])
