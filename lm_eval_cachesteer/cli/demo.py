"""`cachesteer demo`: the same questions, unsteered and steered, side by side."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..errors import CachesteerError
from ..results.complete import check_complete
from ..results.runs import find_run
from .child import run_lm_eval
from .output import AsJson, check_folder, print_json
from .terminal import terminal

TASK = "cachesteer_demo"
RUNS = {"baseline": "offset_token=\\n", "stepwise": "vectors=stepwise"}
METRICS = {
    "stepwise": "answers in numbered steps",
    "looping": "answers that loop",
    "repetition": "repeated 4-grams",
    "words": "words per answer",
}


@dataclass(frozen=True)
class Run:
    """One finished run of the harness.

    Attributes:
        results: Content of results_*.json.
        samples: Lines of samples_*.jsonl, by document id.
        results_file: Where the results lie.
    """

    results: dict[str, Any]
    samples: dict[int, dict[str, Any]]
    results_file: Path


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/demo"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Answers shown side by side.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts in one batch.")] = 25,
    as_json: AsJson = False,
) -> None:
    """Run the shipped demo task with the embedded model, unsteered and steered, and compare.

    Example: cachesteer demo --limit 10
    """
    check_folder("--out", out)
    runs = {name: _run(name, out / name, arguments, limit, batch_size, as_json) for name, arguments in RUNS.items()}
    if as_json:
        print_json({"task": TASK, "runs": {name: _described(run) for name, run in runs.items()}})
        return
    console = terminal()
    console.print(_metrics_table(runs))
    for table in _answer_tables(runs, show):
        console.print(table)
    for name, run in runs.items():
        console.print(f"{name}: {run.results_file}", highlight=False, markup=False, soft_wrap=True)


def _run(name: str, folder: Path, arguments: str, limit: int | None, batch_size: int, as_json: bool) -> Run:
    options = ["--model", "hf-cachesteer", "--model_args", arguments, "--tasks", TASK, "--apply_chat_template"]
    options += ["--batch_size", str(batch_size), "--output_path", str(folder), "--log_samples"]
    options += ["--limit", str(limit)] if limit else []
    started = time.time()
    run_lm_eval(name, options, as_json)
    return _read_run(folder, started)


def _read_run(folder: Path, started: float) -> Run:
    results = [path for path in folder.rglob("results_*.json") if path.stat().st_mtime >= started - 1]
    samples = [path for path in folder.rglob(f"samples_{TASK}_*.jsonl") if path.stat().st_mtime >= started - 1]
    if not results or not samples:
        raise CachesteerError(f"lm_eval wrote no results below {folder}: its messages above say why.")
    check_complete(find_run(str(results[-1])))
    lines = [json.loads(line) for line in samples[-1].read_text(encoding="utf-8").strip().split("\n")]
    return Run(
        json.loads(results[-1].read_text(encoding="utf-8")), {line["doc_id"]: line for line in lines}, results[-1]
    )


def _described(run: Run) -> dict[str, Any]:
    return {
        "results": str(run.results_file),
        "documents": len(run.samples),
        "metrics": {metric: _figure(run, metric) for metric in METRICS},
        "interventions": _interventions(run),
        "answers": [
            {"question": sample["doc"]["question"], "answer": sample["resps"][0][0]} for sample in run.samples.values()
        ],
    }


def _metrics_table(runs: dict[str, Run]) -> Table:
    number = len(next(iter(runs.values())).samples)
    table = Table("", *runs, title=f"{TASK}: {number} questions, SmolLM2-135M-Instruct, greedy")
    for metric, label in METRICS.items():
        scores = [_figure(run, metric) for run in runs.values()]
        table.add_row(label, *(f"{s:.1f}" if metric == "words" else f"{100 * s:.0f} %" for s in scores))
    table.add_row("interventions", *(str(_interventions(run)) for run in runs.values()))
    return table


def _figure(run: Run, metric: str) -> float:
    return float(run.results["results"][TASK][f"{metric},response"])


def _interventions(run: Run) -> int:
    return int(run.results["config"]["steering"]["counts"]["generate_until"]["interventions"])


def _answer_tables(runs: dict[str, Run], show: int) -> list[Table]:
    first, *others = runs.values()
    tables = []
    for doc_id, sample in list(first.samples.items())[:show]:
        table = Table(*runs, title=Text(str(sample["doc"]["question"])), show_lines=True, title_justify="left")
        answers = [sample["resps"][0][0], *(run.samples[doc_id]["resps"][0][0] for run in others)]
        table.add_row(*(Text(answer) for answer in answers))  # Text: model output is never read as markup
        tables.append(table)
    return tables
