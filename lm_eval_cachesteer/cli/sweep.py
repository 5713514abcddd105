"""`cachesteer sweep`: which coefficients, layers and heads serve a task best?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from tqdm import tqdm

if TYPE_CHECKING:
    from ..sweep.choice import Cell
    from ..sweep.grid import Axis
    from ..sweep.search import Found


def sweep(
    vectors: Annotated[str, typer.Option(help="Vectors: a name, a file, or a sum.")],
    tasks: Annotated[str, typer.Option(help="Tasks of the harness, separated by commas.")],
    grid: Annotated[list[str], typer.Option(help="An argument and its values: c_values=2:10:2 (repeatable).")],
    out: Annotated[Path, typer.Option(help="Folder of the finished cells and of sweep.json.")] = Path("runs/sweep"),
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder; by default the embedded model.")] = None,
    model_args: Annotated[str, typer.Option(help="More model arguments, as for lm_eval: dtype=bfloat16,...")] = "",
    metric: Annotated[
        str | None, typer.Option(help="Score by this metric (or metric,filter). Default: whether answers are right.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=2, help="Documents of each task, drawn at random. Default: all.")
    ] = None,
    held_out: Annotated[float, typer.Option(min=0, max=1, help="Share of them kept from the choice.")] = 0.5,
    random: Annotated[
        int | None, typer.Option("--random", min=1, help="Try this many cells of the grid, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the draw and the harness.")] = 0,
    num_fewshot: Annotated[int | None, typer.Option(min=0, help="Few-shot examples; by default the task's.")] = None,
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template/--no-chat-template", help="Chat-templated prompts.")
    ] = True,
    gen_kwargs: Annotated[str, typer.Option(help="Generation arguments, as for lm_eval.")] = "",
    batch_size: Annotated[str, typer.Option(help="Rows in one batch, or auto.")] = "16",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Try every setting of a grid on one part of the documents, choose one, and check it on the other part.

    The model is loaded once. Each finished cell is kept at once: a sweep that was stopped goes on where it was, and a
    cell is run again only if something that decides its outcome has changed.

    Example: cachesteer sweep --vectors stepwise --tasks cachesteer_offline_choice --grid c_values=2:6:1 --limit 80
    """
    from lm_eval.utils import simple_parse_args_string

    from ..files import write_atomically
    from ..harness.arguments import SteeringArguments
    from ..harness.backend import CacheSteerLM
    from ..harness.registration import register
    from ..sweep.evaluation import HarnessEvaluator, Work, manager_of
    from ..sweep.grid import cells, draw, parse_axis
    from ..sweep.ledger import Ledger
    from ..sweep.search import sweep as run
    from ..sweep.summary import described

    axes = [parse_axis(text) for text in grid]
    settings = cells(axes)
    if random is not None:
        settings = draw(settings, random, seed)
    given = {"pretrained": pretrained, "batch_size": batch_size} | simple_parse_args_string(model_args)
    given |= {"vectors": vectors} | settings[0]
    base = SteeringArguments.take_from(dict(given))
    for setting in settings:
        replace(base, **setting)  # what is out of range is said before the model is loaded
    register()
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    work = Work(
        tasks=names,
        metric=metric,
        limit=limit,
        held_out=held_out,
        seed=seed,
        chat=apply_chat_template,
        fewshot=num_fewshot,
        gen_kwargs=simple_parse_args_string(gen_kwargs),
    )
    manager = manager_of(names)
    ledger = Ledger(out / "cells")
    with ledger.locked():
        evaluator = HarnessEvaluator(CacheSteerLM(**given), base, work, manager)
        with tqdm(total=len(settings) + 3, desc="Sweep", unit="cell", disable=as_json) as bar:

            def finish(setting: Mapping[str, Any], tried: bool) -> None:
                bar.set_postfix_str(f"{_named(setting)}{'' if tried else ', kept from before'}", refresh=False)
                bar.update(1)

            found = run(settings, evaluator, ledger, finish)
        content = described(vectors, names, axes, found)
        write_atomically(out / "sweep.json", (json.dumps(content, indent=2) + "\n").encode())
    if as_json:
        print(json.dumps(content, indent=2))
        return
    console = Console()
    for table in _heat_maps(axes, found):
        console.print(table)
    for line in _conclusion(found, out, settings):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _named(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items()) or "unsteered"


def _heat_maps(axes: Sequence["Axis"], found: "Found") -> list[Table]:
    """Scores over the first two axes, one table for each combination of the others; colour says how good."""
    from ..sweep.grid import cells

    rows, columns = axes[0], cells(axes[1:2])
    scores = [cell.score for cell in (*found.cells, found.unsteered)]
    tables = []
    for rest in cells(axes[2:]):
        title = f"Score on the development documents{'; ' + _named(rest) if rest else ''}"
        headers = [Column(Text(_named(column))) for column in columns]
        table = Table(rows.name, *headers, title=Text(title), title_justify="left")
        if not axes[1:]:
            table.columns[1].header = "score"
        for value in rows.values:
            line = [{rows.name: value} | column | rest for column in columns]
            by_setting = [next((cell for cell in found.cells if cell.settings == setting), None) for setting in line]
            shades = [_shaded(cell, min(scores), max(scores), found) if cell else Text("") for cell in by_setting]
            table.add_row(Text(str(value)), *shades)
        tables.append(table)
    return tables


def _shaded(cell: "Cell", low: float, high: float, found: "Found") -> Text:
    """A score on a background between dark (worst) and bright (best); the recommended one is marked."""
    level = round(40 + 180 * (cell.score - low) / (high - low)) if high > low else 130
    style = f"{'black' if level > 120 else 'white'} on rgb({level // 3},{level},{level // 2})"
    return Text(f" {cell.score:.3f}{' *' if cell is found.recommended else '  '}", style=style)


def _conclusion(found: "Found", out: Path, settings: Sequence[Mapping[str, Any]]) -> list[str]:
    from ..results.comparison import verdict_of
    from ..sweep.choice import RULE

    gain = found.held_out_gain
    change = verdict_of(gain.p_value, gain.difference, higher_is_better=True)
    return [
        f"Unsteered: {found.unsteered.score:.3f} on {len(found.unsteered.scores)} development documents, "
        f"{len(settings)} settings tried.",
        f"Recommended (*): {_named(found.recommended.settings)}, {found.recommended.score:.3f}. Rule: {RULE}.",
        f"Held out, {gain.documents} documents: {found.held_out.score:.3f} against {gain.first:.3f} unsteered, "
        f"difference {gain.difference:+.3f} (95 % interval {gain.low:+.3f} to {gain.high:+.3f}): {change}.",
        f"{out / 'sweep.json'}",
    ]
