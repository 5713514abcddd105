"""From the hub's columns to those of the shared task parts: `problem`, `options` and `target`."""

from lm_eval_cachesteer.harness.documents import Doc, choice, each, number


@each
def arc_challenge(doc: Doc) -> Doc:
    """allenai/ai2_arc: `question`, `choices` (`text`, `label`), `answerKey`; labels are letters or digits."""
    return choice(doc["question"], doc["choices"]["text"], doc["choices"]["label"].index(doc["answerKey"]))


@each
def commonsense_qa(doc: Doc) -> Doc:
    """tau/commonsense_qa: `question`, `choices` (`text`, `label`), `answerKey`."""
    return choice(doc["question"], doc["choices"]["text"], doc["choices"]["label"].index(doc["answerKey"]))


@each
def piqa(doc: Doc) -> Doc:
    """baber/piqa: `goal`, `sol1`, `sol2`, `label`."""
    return choice(doc["goal"], [doc["sol1"], doc["sol2"]], int(doc["label"]))


@each
def gsm8k(doc: Doc) -> Doc:
    """openai/gsm8k: `question`, `answer` (a worked solution that ends in "#### 42")."""
    return number(doc["question"], doc["answer"].rsplit("####", 1)[-1])
