"""`cachesteer study`: the paper's whole comparison in one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ArgumentError, CachesteerError
from ..printable import printable
from .child import run_lm_eval
from .leaderboard import left_out, show
from .output import AsJson, chosen_by, console, kept_clean, print_json
from .report import told, write_report
from .terminal import terminal

if TYPE_CHECKING:
    from ..results.leaderboard import Entry
    from ..study.steps import Outcome, Step


def study(
    vectors: Annotated[str, typer.Option(help="Vectors: a name, a file, or a sum.")] = "stepwise",
    tasks: Annotated[
        str, typer.Option(help="Tasks of the harness, separated by commas; those with a variant NAME_cot get that too.")
    ] = "cachesteer_offline_choice,cachesteer_offline_word_problems",
    pretrained: Annotated[str | None, typer.Option(help="Hub id or folder; by default the embedded model.")] = None,
    model_args: Annotated[str, typer.Option(help="More arguments for all models, such as dtype=bfloat16.")] = "",
    steering: Annotated[str, typer.Option(help="More steering arguments, such as c_values=4,layers=10-20.")] = "",
    contrast: Annotated[
        str | None, typer.Option(help="Contrast set of the activation vector. Default: that of the vectors.")
    ] = None,
    activation: Annotated[bool, typer.Option("--activation/--no-activation", help="Activation steering too.")] = True,
    layer: Annotated[int | None, typer.Option(min=0, help="Its layer. Default: the middle one.")] = None,
    coefficient: Annotated[float, typer.Option(help="Its coefficient.")] = 1.0,
    sampled: Annotated[bool, typer.Option("--sampled", help="Ask by sampling too, as the paper does.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N documents of each task.")] = None,
    gen_kwargs: Annotated[str, typer.Option(help="Generation arguments of all arms, as for lm_eval.")] = "",
    batch_size: Annotated[str, typer.Option(help="Rows in one batch, or auto.")] = "16",
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template/--no-chat-template", help="Chat-templated prompts.")
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder of the runs, and of report.html.")] = Path("runs/study"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run finished arms again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare baseline, CoT prompt, cache steering, both, and activation steering on the same documents.

    Each arm is a run of lm_eval; finished ones are kept, so that a study that was stopped goes on. At its end: the
    leaderboard with paired differences, and report.html; with --sampled, both also for the sampled arms.

    Example: cachesteer study --vectors stepwise --tasks cachesteer_offline_choice --limit 40
    """
    from lm_eval.utils import simple_parse_args_string

    from ..files import exclusive
    from ..harness.arguments import ALLOWED
    from ..harness.manager import manager_of, names_of
    from ..harness.processes import check_alone, started
    from ..harness.registration import register
    from ..results.listing import described
    from ..study.arms import ACTIVATION_MODEL, arms
    from ..study.pairs import Source
    from ..study.steps import carry_out, due, plan
    from ..study.subject import Activation, Subject

    check_alone("A study", started(), "; lm_eval itself can be started in several, arm by arm")
    register()
    with_report = _can_report()
    common = ({"pretrained": pretrained} if pretrained else {}) | simple_parse_args_string(model_args)
    steered = {"vectors": vectors} | simple_parse_args_string(steering)
    with kept_clean(as_json):
        subject = Subject.of(common, steered)
    vector = Activation(subject, Source.of(subject.metadata, contrast), layer, coefficient, out) if activation else None
    ways = arms(
        subject.common,
        steered,
        subject.plan.offset_text,
        vectors=subject.vectors,
        activation={"steer_path": str(vector.path)} if vector else None,
        ours=ALLOWED,
        gen_kwargs=simple_parse_args_string(gen_kwargs),
        sampled=sampled,
    )
    names = names_of(tasks)
    options = ["--batch_size", batch_size, *(["--limit", str(limit)] if limit else [])]
    options += ["--apply_chat_template"] if apply_chat_template else []
    steps = plan(ways, names, manager_of(names).all_tasks, out, options)
    with chosen_by("--out"), exclusive(out, "study"):
        if vector and any(step.arm.model == ACTIVATION_MODEL for step in due(steps, fresh)):
            with kept_clean(as_json):
                vector.extract()
        outcomes = carry_out(steps, lambda step: _run(step, as_json), fresh=fresh, told=lambda o: _tell(o, as_json))
        entries, reports = _sum_up(outcomes, out, with_report, as_json)
    if as_json:
        arms_of = [outcome.described() for outcome in outcomes]
        print_json({"folder": str(out), "arms": arms_of, "leaderboard": described(entries), "reports": reports})


def _can_report() -> bool:
    """Whether reports can be drawn; if not, that is said before the long work."""
    from ..report.figure import require_plotly

    try:
        require_plotly()
    except ArgumentError as error:
        terminal(stderr=True).print(
            f"No report will be written. {error}", highlight=False, markup=False, soft_wrap=True
        )
        return False
    return True


def _run(step: "Step", as_json: bool) -> None:
    from ..results.complete import check_complete
    from ..results.runs import find_run

    try:
        run_lm_eval(step.arm.name, step.command, as_json)
        check_complete(find_run(str(step.folder)))
    except CachesteerError as error:
        raise CachesteerError(f"{error} Finished arms are kept: the same command goes on with this one.") from None


def _tell(outcome: "Outcome", as_json: bool) -> None:
    arm = outcome.step.arm
    why = "kept from before" if outcome.state == "kept" else f"left out, no task has a variant *{arm.suffix}"
    console(as_json).print(f"{arm.name}: {why}.", highlight=False, markup=False)


def _sum_up(
    outcomes: Sequence["Outcome"], out: Path, with_report: bool, as_json: bool
) -> tuple[list["Entry"], list[dict[str, Any]]]:
    """Leaderboard and report of the greedy arms, and of the sampled ones: each beside the baseline asked likewise."""
    from ..results.leaderboard import leaderboard as list_runs
    from ..results.runs import find_runs

    entries, reports = [], []
    there = [outcome.step for outcome in outcomes if outcome.state != "left out"]
    for sampled in dict.fromkeys(step.arm.sampled for step in there):
        folders = [str(step.folder) for step in there if step.arm.sampled == sampled]
        listed = list_runs(find_runs(folders, left_out), left_out=left_out)
        entries += listed
        if not as_json:
            print()
            show(listed)
        if with_report:
            reports.append(write_report(folders, out / f"report{'-sampled' if sampled else ''}.html"))
            if not as_json:
                print(printable(told(reports[-1])))
    return entries, reports
