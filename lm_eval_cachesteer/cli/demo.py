"""`cachesteer demo`: the same questions, unsteered and steered, side by side."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import CachesteerError

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
) -> None:
    """Run the shipped demo task with the embedded model, unsteered and steered, and compare.

    Example: cachesteer demo --limit 10
    """
    console = Console()
    runs = {name: _run(console, out / name, arguments, limit, batch_size) for name, arguments in RUNS.items()}
    console.print(_metrics_table(runs))
    for table in _answer_tables(runs, show):
        console.print(table)
    for name, run in runs.items():
        console.print(f"{name}: {run.results_file}", highlight=False, soft_wrap=True)


def _run(console: Console, folder: Path, arguments: str, limit: int | None, batch_size: int) -> Run:
    options = ["--model", "hf-cachesteer", "--model_args", arguments, "--tasks", TASK, "--apply_chat_template"]
    options += ["--batch_size", str(batch_size), "--output_path", str(folder), "--log_samples"]
    options += ["--limit", str(limit)] if limit else []
    console.print(f"\n[bold]$ lm_eval {shlex.join(options)}[/]", highlight=False, soft_wrap=True)
    sys.stdout.flush()  # before the other process writes
    started = time.time()
    installed = Path(sys.executable).with_name("lm_eval")
    program = [str(installed)] if installed.is_file() else [sys.executable, "-m", "lm_eval_cachesteer"]
    finished = subprocess.run([*program, *options], check=False)  # noqa: S603 - our own command
    if finished.returncode:
        raise CachesteerError(f"lm_eval ended with exit code {finished.returncode}; its message is above.")
    return _read_run(folder, started)


def _read_run(folder: Path, started: float) -> Run:
    results = [path for path in folder.rglob("results_*.json") if path.stat().st_mtime >= started - 1]
    samples = [path for path in folder.rglob(f"samples_{TASK}_*.jsonl") if path.stat().st_mtime >= started - 1]
    if not results or not samples:
        raise CachesteerError(f"lm_eval wrote no results below {folder}.")
    lines = [json.loads(line) for line in samples[-1].read_text(encoding="utf-8").strip().split("\n")]
    return Run(
        json.loads(results[-1].read_text(encoding="utf-8")), {line["doc_id"]: line for line in lines}, results[-1]
    )


def _metrics_table(runs: dict[str, Run]) -> Table:
    number = len(next(iter(runs.values())).samples)
    table = Table("", *runs, title=f"{TASK}: {number} questions, SmolLM2-135M-Instruct, greedy")
    for metric, label in METRICS.items():
        scores = [run.results["results"][TASK][f"{metric},response"] for run in runs.values()]
        table.add_row(label, *(f"{s:.1f}" if metric == "words" else f"{100 * s:.0f} %" for s in scores))
    table.add_row("interventions", *(str(_interventions(run)) for run in runs.values()))
    return table


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
