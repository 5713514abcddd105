"""Measures answer extraction on the hand-labelled corpus (tests/answers/corpus.jsonl): `make extraction`.

Ours, strict and flexible, beside the harness's: for choices `multi_choice_regex` as mmlu_flan_cot_zeroshot sets it,
for numbers `flexible-extract` as gsm8k sets it. Precision: of the answers extracted, how many are the labelled ones.
Recall: of the labelled answers, how many were extracted. A response whose label is null holds no answer. Prints a
Markdown table and, with `--errors`, every response that one of ours got wrong.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval.filters.extraction import MultiChoiceRegexFilter, RegexFilter

from lm_eval_cachesteer.answers import canonical_number, extract_choice, extract_number

CORPUS = Path(__file__).parents[1] / "tests" / "answers" / "corpus.jsonl"

Item = dict[str, Any]
Extractor = Callable[[Sequence[Item]], list[str | None]]  # one answer for each response


@dataclass(frozen=True)
class Score:
    """How an extractor did on labelled responses."""

    found: int
    right: int
    labelled: int

    @property
    def precision(self) -> float:
        """Of the answers extracted, the share that is right."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Of the labelled answers, the share that was extracted."""
        return self.right / self.labelled


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errors", action="store_true", help="show the responses that ours got wrong")
    arguments = parser.parse_args()
    items = read_corpus()
    print("| responses | extractor | precision | recall |\n|---|---|---|---|")
    for kind, source in ((kind, source) for kind in EXTRACTORS for source in ("", "real", "hard")):
        chosen = [item for item in items if item["kind"] == kind and item["id"].startswith(source)]
        for name, extract in EXTRACTORS[kind].items():
            found = score(chosen, extract)
            print(f"| {kind}, {source or 'all'}, {len(chosen)} | {name} | {found.precision:.1%} | {found.recall:.1%} |")
    if arguments.errors:
        for item in items:
            show_error(item)


def read_corpus() -> list[Item]:
    """The labelled responses."""
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").strip().split("\n")]


def score(items: list[Item], extract: Extractor) -> Score:
    """Precision and recall of an extractor."""
    found = [(answer, item["answer"]) for answer, item in zip(extract(items), items, strict=True)]
    return Score(
        found=sum(answer is not None for answer, _ in found),
        right=sum(answer is not None and answer == label for answer, label in found),
        labelled=sum(label is not None for _, label in found),
    )


def ours(items: Sequence[Item], strict: bool) -> list[str | None]:
    """The answers our ladders find."""
    return [
        extract_choice(item["response"], item["choices"], strict=strict).answer
        if item["kind"] == "choice"
        else extract_number(item["response"], strict=strict).answer
        for item in items
    ]


def harness_choices(items: Sequence[Item]) -> list[str | None]:
    """The letters `multi_choice_regex` finds."""
    pattern = MultiChoiceRegexFilter(
        regex_pattern="(\\([A-Z]\\))", group_select=-1, ignore_case=True, ignore_punctuation=True
    )
    found = pattern.apply([[item["response"]] for item in items], [{"choices": item["choices"]} for item in items])
    return [str(answer).strip("()") if answer and answer != "[invalid]" else None for (answer,) in found]


def harness_numbers(items: Sequence[Item]) -> list[str | None]:
    """The numbers `flexible-extract` finds, stripped as the paper strips them."""
    pattern = RegexFilter("(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)
    found = pattern.apply([[item["response"]] for item in items], [{} for _ in items])
    return [
        None if answer == "[invalid]" else canonical_number(answer.replace("$", "").replace(",", "").rstrip("."))
        for (answer,) in found
    ]


def show_error(item: Item) -> None:
    """Prints a response whose extracted answer differs from its label."""
    for strict in (False, True):
        (answer,) = ours([item], strict)
        if answer != item["answer"] and not (strict and answer is None):
            print(f"\n--- {item['id']}, label {item['answer']}, found {answer}{' (strict)' if strict else ''}")
            print(item.get("choices", ""), item["response"], sep="\n")


EXTRACTORS: dict[str, dict[str, Extractor]] = {
    "choice": {
        "cachesteer_choice": partial(ours, strict=False),
        "cachesteer_choice, strict": partial(ours, strict=True),
        "harness: multi_choice_regex": harness_choices,
    },
    "number": {
        "cachesteer_number": partial(ours, strict=False),
        "cachesteer_number, strict": partial(ours, strict=True),
        "harness: flexible-extract": harness_numbers,
    },
}

if __name__ == "__main__":
    main()
