"""Running a sweep: what is not finished yet, cell by cell, then the choice and its check."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..stats import PairedDifference
from .choice import Cell, against, recommend
from .grid import Setting
from .ledger import Ledger

DEVELOPMENT, HELD_OUT = "development", "held_out"


class Evaluator(Protocol):
    """What can try a setting."""

    def identity(self, setting: Setting, split: str) -> dict[str, Any]:
        """Everything that decides the outcome, as plain JSON data."""

    def evaluate(self, setting: Setting, split: str) -> dict[str, Any]:
        """Tries a setting on the documents of a split; plain JSON data, see `cell_of`."""


@dataclass(frozen=True)
class Found:
    """What a sweep found.

    Attributes:
        cells: The cells on the development documents, in the order of the grid.
        unsteered: The unsteered run on them.
        recommended: The chosen cell.
        gain: Its difference from the unsteered run there; flattering, as it was chosen there.
        held_out: The chosen setting on the held-out documents.
        held_out_gain: Its difference from the unsteered run on these.
    """

    cells: list[Cell]
    unsteered: Cell
    recommended: Cell
    gain: PairedDifference
    held_out: Cell
    held_out_gain: PairedDifference


def sweep(
    settings: Sequence[Setting],
    evaluator: Evaluator,
    ledger: Ledger,
    on_cell: Callable[[Setting, bool], None] = lambda *_: None,
) -> Found:
    """Tries every setting that the ledger does not hold, keeps each at once, and chooses one.

    Args:
        settings: The settings, at least one.
        evaluator: Tries them.
        ledger: Where finished cells are kept.
        on_cell: Called with each cell's setting, and whether it was tried just now.
    """

    def cell(setting: Setting, split: str, identity: dict[str, Any]) -> Cell:
        outcome = ledger.get(identity)
        tried = outcome is None
        if outcome is None:
            outcome = evaluator.evaluate(setting, split)
            ledger.put(identity, outcome)
        on_cell(setting, tried)
        return cell_of(setting, outcome)

    def all_of(asked: Sequence[Setting], split: str) -> list[Cell]:
        identities = [
            evaluator.identity(setting, split) for setting in asked
        ]  # what is refused is said before any cell
        return [cell(setting, split, identity) for setting, identity in zip(asked, identities, strict=True)]

    unsteered, *cells = all_of([{}, *settings], DEVELOPMENT)
    chosen = recommend(cells, unsteered)
    base, held_out = all_of([{}, dict(chosen.settings)], HELD_OUT)
    return Found(cells, unsteered, chosen, against(unsteered, chosen), held_out, against(base, held_out))


def cell_of(setting: Mapping[str, Any], outcome: Mapping[str, Any]) -> Cell:
    """Reads an outcome: `scores` (document -> score), `size`, `measures`."""
    return Cell(setting, outcome["scores"], outcome["size"], outcome["measures"])
