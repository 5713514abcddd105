"""Which cell to recommend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ResultsError
from ..stats import PairedDifference, compare_paired

# A cell may make this share of the answers loop beyond those that loop unsteered.
MOST_MORE_LOOPS = 0.05

# One document worse is one standard error exactly, whatever the number of documents: it is within, rounded or not.
_ROUNDING = 1e-9

RULE = (
    "of the cells within one standard error (paired) of the best development score, the one with the smallest edit; "
    f"cells in which over {MOST_MORE_LOOPS:.0%} more of the answers loop than unsteered are left out"
)


@dataclass(frozen=True)
class Cell:
    """One setting, tried on one split.

    Attributes:
        settings: The steering arguments; empty for the unsteered run.
        scores: Document -> score, larger is better; documents of all tasks together.
        size: Norm of the edit, over all layers, keys and values.
        measures: Means of what the tasks measure of the answers: `looping`, `repetition`, `adherence`.
    """

    settings: Mapping[str, Any]
    scores: Mapping[str, float]
    size: float
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean over the documents."""
        return sum(self.scores.values()) / len(self.scores)


def against(base: Cell, cell: Cell, seed: int = 0) -> PairedDifference:
    """A cell compared with another over the same documents.

    Raises:
        ResultsError: Their documents differ.
    """
    if base.scores.keys() != cell.scores.keys():
        raise ResultsError("Cells of one sweep must score the same documents. Start over in another folder.")
    keys = sorted(base.scores)
    return compare_paired([base.scores[key] for key in keys], [cell.scores[key] for key in keys], seed=seed)


def recommend(cells: Sequence[Cell], unsteered: Cell) -> Cell:
    """The cell that `RULE` chooses: the one-standard-error rule (Breiman et al. 1984), towards the smaller edit.

    Args:
        cells: The cells tried, at least one.
        unsteered: The same documents without steering.
    """
    allowed = [cell for cell in cells if not _loops_more(cell, unsteered)] or list(cells)
    best = max(allowed, key=lambda cell: (cell.score, -cell.size))
    near = []
    for cell in allowed:
        found = against(best, cell)
        if -found.difference <= found.standard_error * (1 + _ROUNDING):
            near.append(cell)
    return min(near, key=lambda cell: (cell.size, -cell.score))


def _loops_more(cell: Cell, unsteered: Cell) -> bool:
    loops, before = cell.measures.get("looping"), unsteered.measures.get("looping")
    return loops is not None and before is not None and loops > before + MOST_MORE_LOOPS
