"""`cachesteer gate`: does a candidate keep to a policy?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from ..errors import CachesteerError
from .output import AsJson, print_json, write_file
from .terminal import terminal

if TYPE_CHECKING:
    from ..gate.outcomes import Decision

_COLORS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_WRONG_USAGE, _BAD_INPUT = 2, 3


class GateCommand(TyperCommand):
    """A command whose wrong usage exits with 3, since 2 says that a gate is inconclusive."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Reads the arguments; an error of usage carries its exit code."""
        try:
            return super().make_context(*args, **kwargs)
        except Exception as error:
            if getattr(error, "exit_code", None) == _WRONG_USAGE:
                error.exit_code = _BAD_INPUT  # type: ignore[attr-defined]
            raise


def gate(
    baseline: Annotated[str, typer.Option(help="The run compared with: an output folder or a results file.")],
    candidate: Annotated[str, typer.Option(help="The run judged, named likewise.")],
    policy: Annotated[Path, typer.Option(help="What the candidate must keep to: a YAML file, see docs/gate.md.")],
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a Markdown summary here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Judge a candidate run by a policy, for continuous integration.

    Exit codes: 0 pass, 1 fail, 2 inconclusive (too few documents; says how many are needed), 3 bad input.

    Example: cachesteer gate --baseline runs/main --candidate runs/new --policy policy.yaml --junit gate.xml
    """
    from ..gate.decision import decide
    from ..gate.junit import junit as junit_xml
    from ..gate.junit import junit_of_error
    from ..gate.policy import read_policy
    from ..gate.summary import summary, summary_of_error
    from ..results.runs import find_run

    try:
        decision = decide(find_run(baseline), find_run(candidate), read_policy(policy), seed)
    except CachesteerError as error:  # the reports say so too, lest old ones be taken for this run's
        _write("--junit", junit, junit_of_error(str(error)))
        _write("--markdown", markdown, summary_of_error(str(error)).encode())
        raise
    _write("--junit", junit, junit_xml(decision))
    _write("--markdown", markdown, summary(decision).encode())
    if as_json:
        print_json(decision.described())
    else:
        _print(decision)
    raise typer.Exit(decision.exit_code)


def _write(option: str, path: Path | None, content: bytes) -> None:
    if path is not None:
        write_file(option, path, content)


def _print(decision: "Decision") -> None:
    from ..gate.outcomes import COLUMNS

    console = terminal()
    table = Table(
        *COLUMNS,
        title=Text(f"{decision.candidate.path}\nagainst {decision.baseline.path}"),
        title_justify="left",
    )
    for result in decision.results:
        cells = [Text(cell) for cell in result.cells()]
        cells[COLUMNS.index("outcome")].stylize(_COLORS[result.outcome])
        table.add_row(*cells)
    console.print(table)
    console.print(Text(decision.headline, style=_COLORS[decision.outcome]))
