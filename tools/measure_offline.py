"""Compares ways of asking the embedded model on the offline suite: `make offline`.

Baseline, chain-of-thought prompt ("Let's think step by step."), steered (stepwise), and both; greedy, the same
questions, paired statistics (lm_eval_cachesteer.stats). Each run's samples are kept in runs/offline, so that answers
can be read, and an interrupted comparison goes on where it stopped; `--fresh` starts over. Writes offline.json beside
the vectors and prints Markdown tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from lm_eval_cachesteer.harness.registration import register
from lm_eval_cachesteer.sources.embedded import MODEL_ID
from lm_eval_cachesteer.sources.folders import vectors_folder
from lm_eval_cachesteer.sources.resolve import model_folder
from lm_eval_cachesteer.stats import PairedDifference, compare_paired

# Title and number of documents; the first 120 word problems hold every template twice, 40 of each number of steps.
TASKS = {
    "cachesteer_offline_choice": ("multiple choice", 160),
    "cachesteer_offline_word_problems": ("word problems", 120),
}
# Way of asking: suffix of the tasks, model arguments.
WAYS = {
    "baseline": ("", {}),
    "CoT prompt": ("_cot", {}),
    "steered": ("", {"vectors": "stepwise"}),
    "steered + CoT prompt": ("_cot", {"vectors": "stepwise"}),
}
FIGURES = {
    "exact_match,flexible": "accuracy",
    "exact_match,strict": "accuracy, strict",
    "extracted,flexible": "extraction rate",
    "tokens,response": "tokens",
    "truncated,response": "truncated",
    "looping,response": "looping",
}
BATCH = 80

Figures = dict[str, list[float]]


def main() -> None:
    """Runs what has not been run, and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="only the first N documents of each task")
    parser.add_argument("--runs", type=Path, default=Path("runs/offline"), help="where finished runs are kept")
    parser.add_argument("--fresh", action="store_true", help="run everything again")
    arguments = parser.parse_args()
    register()
    content: dict[str, Any] = {}
    for task, (title, documents) in TASKS.items():
        limit = min(documents, arguments.limit or documents)
        runs = {way: figures_of(task, way, limit, arguments) for way in WAYS}
        content[title] = {way: compare(runs["baseline"], figures) for way, figures in runs.items()}
        print(f"\n{markdown(title, content[title])}", flush=True)
    if arguments.limit is None:
        path = vectors_folder() / model_folder(MODEL_ID) / "offline.json"
        path.write_text(json.dumps(content, indent=2, default=vars) + "\n", encoding="utf-8")


def figures_of(task: str, way: str, limit: int, arguments: argparse.Namespace) -> Figures:
    """All figures of one run, document by document; the run is made if it is not kept."""
    kept = arguments.runs / f"{task}-{way.replace(' ', '_')}-{limit}.json"
    if arguments.fresh or not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(run(task, way, limit), default=str), encoding="utf-8")
    samples = json.loads(kept.read_text(encoding="utf-8"))
    return {
        name: [sample[metric] for sample in samples if sample["filter"] == filter_name]
        for name in FIGURES
        for metric, filter_name in [name.split(",")]
    }


def run(task: str, way: str, limit: int) -> list[dict[str, Any]]:
    """Runs one task in one way: the harness's samples, one for each document and filter."""
    from lm_eval import simple_evaluate

    suffix, model_args = WAYS[way]
    results = simple_evaluate(
        model="hf-cachesteer",
        model_args=dict(model_args),
        tasks=[task + suffix],
        batch_size=BATCH,
        limit=limit,
        apply_chat_template=True,
        log_samples=True,
        bootstrap_iters=0,
    )
    return sorted(results["samples"][task + suffix], key=lambda sample: int(sample["doc_id"]))


def compare(baseline: Figures, figures: Figures) -> dict[str, PairedDifference]:
    """Every figure against the baseline's."""
    return {name: compare_paired(baseline[name], figures[name]) for name in FIGURES}


def markdown(title: str, ways: dict[str, dict[str, PairedDifference]]) -> str:
    """One task's table: each figure, and in brackets its difference from the baseline with a 95 % interval."""
    documents = next(iter(ways["baseline"].values())).documents
    lines = [
        f"| {title}, {documents} items | " + " | ".join(FIGURES.values()) + " |",
        "|---" * (len(FIGURES) + 1) + "|",
    ]
    for way, figures in ways.items():
        cells = [cell(name, figures[name], with_difference=way != "baseline") for name in FIGURES]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(name: str, found: PairedDifference, with_difference: bool) -> str:
    """A figure, with its difference from the baseline; a star marks p < 0.05."""
    scale, unit, digits = (1, "", 0) if name.startswith("tokens") else (100, " %", 1)
    shown = f"{found.second * scale:.{digits}f}{unit}"
    if not with_difference:
        return shown
    low, middle, high = (f"{x * scale:+.{digits}f}" for x in (found.low, found.difference, found.high))
    return f"{shown} ({middle}, {low} to {high}){' *' if found.significant else ''}"


if __name__ == "__main__":
    main()
