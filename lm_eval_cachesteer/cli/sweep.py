"""`cachesteer sweep`: which coefficients, layers and heads serve a task best?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text
from tqdm import tqdm

from .output import AsJson, chosen_by, kept_clean, print_json
from .terminal import terminal

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
    as_json: AsJson = False,
) -> None:
    """Try every setting of a grid on one part of the documents, choose one, and check it on the other part.

    The model is loaded once. Each finished cell is kept at once: a sweep that was stopped goes on where it was, and a
    cell is run again only if something that decides its outcome has changed.

    Example: cachesteer sweep --vectors stepwise --tasks cachesteer_offline_choice --grid c_values=2:6:1 --limit 80
    """
    from lm_eval.utils import simple_parse_args_string

    from ..files import json_text, write_atomically
    from ..harness.arguments import SteeringArguments
    from ..harness.backend import CacheSteerLM
    from ..harness.manager import manager_of, names_of
    from ..harness.registration import register
    from ..sources.models import loading
    from ..sources.resolve import resolve_vectors
    from ..sweep.evaluation import HarnessEvaluator, Work
    from ..sweep.grid import cells, draw, parse_axis
    from ..sweep.ledger import Ledger
    from ..sweep.search import sweep as run
    from ..sweep.summary import described

    axes = [parse_axis(text) for text in grid]
    settings = cells(axes) if random is None else draw(axes, random, seed)
    given = {"pretrained": pretrained, "batch_size": batch_size} | simple_parse_args_string(model_args)
    given |= {"vectors": vectors} | settings[0]
    base = SteeringArguments.take_from(dict(given))
    for expression in dict.fromkeys(replace(base, **setting).vectors for setting in settings):
        resolve_vectors(str(expression))  # what is out of range, or not there, is said before the model is loaded
    register()
    names = names_of(tasks)
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
    with chosen_by("--out"), ledger.locked(), kept_clean(as_json):
        with loading(str(given["pretrained"] or "the embedded model")):
            lm = CacheSteerLM(**given)
        evaluator = HarnessEvaluator(lm, base, work, manager)
        with tqdm(total=len(settings) + 3, desc="Sweep", unit="cell") as bar:

            def finish(setting: Mapping[str, Any], tried: bool) -> None:
                bar.set_postfix_str(f"{_named(setting)}{'' if tried else ', kept from before'}", refresh=False)
                bar.update(1)

            found = run(settings, evaluator, ledger, finish)
        content = described(vectors, names, axes, found)
        write_atomically(out / "sweep.json", json_text(content).encode())
    if as_json:
        print_json(content)
        return
    console = terminal()
    for table in _heat_maps(axes, found):
        console.print(table)
    for line in _conclusion(found, out, settings):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _named(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items()) or "unsteered"


def _heat_maps(axes: Sequence["Axis"], found: "Found") -> list[Table]:
    """Scores over the first two axes, one table for each combination of the others; colour says how good.

    Values and combinations that no cell has, as of a draw from a larger grid, are left out.
    """
    from ..sweep.summary import tried

    first, second, others = axes[0].name, [axis.name for axis in axes[1:2]], [axis.name for axis in axes[2:]]
    values = tried(axes, found.cells)
    columns = [{name: value} for name in second for value in values[name]] or [{}]
    scores = [cell.score for cell in (*found.cells, found.unsteered)]
    by_setting = {frozenset(cell.settings.items()): cell for cell in found.cells}
    tables = []
    for rest in _distinct({name: cell.settings[name] for name in others} for cell in found.cells):
        title = f"Score on the development documents{'; ' + _named(rest) if rest else ''}"
        headers = [Column(Text(_named(column) if column else "score")) for column in columns]
        table = Table(first, *headers, title=Text(title), title_justify="left")
        for value in values[first]:
            line = [by_setting.get(frozenset(({first: value} | column | rest).items())) for column in columns]
            table.add_row(Text(str(value)), *(_shaded(cell, min(scores), max(scores), found) for cell in line))
        tables.append(table)
    return tables


def _distinct(settings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(items) for items in dict.fromkeys(tuple(setting.items()) for setting in settings)]


def _shaded(cell: "Cell | None", low: float, high: float, found: "Found") -> Text:
    """A score on a background between dark (worst) and bright (best); the recommended one is marked."""
    if cell is None:
        return Text("")
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
