"""From the hub's columns to those of the shared task parts: `problem`, `options` and `target`."""

import random
import re

from lm_eval_cachesteer.harness.documents import Doc, choice, each, number


@each
def openbookqa(doc: Doc) -> Doc:
    """allenai/openbookqa: `question_stem`, `choices` (`text`, `label`), `answerKey`."""
    return choice(doc["question_stem"], doc["choices"]["text"], doc["choices"]["label"].index(doc["answerKey"]))


@each
def winogrande(doc: Doc) -> Doc:
    """allenai/winogrande: `sentence` with a blank "_", `option1`, `option2`, `answer` ("1" or "2")."""
    problem = f"Which option fills the blank?\n{doc['sentence']}"
    return choice(problem, [doc["option1"], doc["option2"]], int(doc["answer"]) - 1)


@each
def boolq(doc: Doc) -> Doc:
    """aps/super_glue, boolq: `passage`, `question` (lower case, no question mark), `label` (1 is yes)."""
    question = doc["question"].strip().rstrip("?")
    return choice(f"{doc['passage']}\n\n{question[:1].upper()}{question[1:]}?", ["Yes", "No"], 1 - int(doc["label"]))


@each
def hellaswag(doc: Doc) -> Doc:
    """Rowan/hellaswag: `activity_label`, `ctx_a`, `ctx_b`, `endings`, `label`; marks of the source are removed."""
    context = f"{doc['ctx_a']} {doc['ctx_b'].capitalize()}"
    problem = f"How does this text go on?\n{doc['activity_label']}: {context}"
    return choice(_without_marks(problem), [_without_marks(ending) for ending in doc["endings"]], int(doc["label"]))


@each
def mmlu(doc: Doc) -> Doc:
    """cais/mmlu: `question`, `choices`, `answer` (an index)."""
    return choice(doc["question"], doc["choices"], doc["answer"])


@each
def gpqa_diamond(doc: Doc) -> Doc:
    """Idavidrein/gpqa: `Question`, `Correct Answer`, `Incorrect Answer 1` to 3; shuffled by the question's text."""
    options = [doc["Correct Answer"], *(doc[f"Incorrect Answer {i}"] for i in (1, 2, 3))]
    order = random.Random(doc["Question"]).sample(range(4), 4)  # noqa: S311
    return choice(doc["Question"], [options[i] for i in order], order.index(0))


@each
def math500(doc: Doc) -> Doc:
    """HuggingFaceH4/MATH-500: `problem`, `answer` (LaTeX)."""
    return {"target": doc["answer"]}


@each
def svamp(doc: Doc) -> Doc:
    """ChilleD/SVAMP: `Body`, `Question`, `Answer` (a decimal such as "145.0")."""
    body = doc["Body"].strip()
    end = "" if body.endswith((".", "?", "!", ",")) else "."
    return number(f"{body}{end} {doc['Question']}", str(doc["Answer"]))


@each
def strategyqa(doc: Doc) -> Doc:
    """ChilleD/StrategyQA: `question`, `answer` (a boolean)."""
    return choice(doc["question"], ["Yes", "No"], 0 if doc["answer"] else 1)


def _without_marks(text: str) -> str:
    """Without WikiHow's "[header]" and the like, with single spaces."""
    return " ".join(re.sub(r"\[[^\]]*\]", " ", text.replace(" [title]", ". ")).split())
