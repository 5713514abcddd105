"""`cachesteer inspect`: look into a vector file."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from .output import AsJson, print_json
from .terminal import terminal

if TYPE_CHECKING:
    from torch import Tensor

    from ..core.edit import WeightedVectors

_BAR = 30


def inspect(
    name: Annotated[
        str, typer.Argument(help="A vector file, a name listed by `cachesteer vectors`, or a sum of them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Print the metadata, per-layer norms and recommended settings of steering vectors.

    With --json: a list with one entry for each term of a sum.

    Example: cachesteer inspect stepwise
    """
    from ..sources.resolve import resolve_vectors

    terms = resolve_vectors(name)
    if as_json:
        print_json([_described(term) for term in terms])
        return
    for term in terms:
        _print(term)


def _norms(term: "WeightedVectors") -> list[tuple[int, float, float]]:
    vectors = term.vectors
    return [(i, _norm(vectors.keys[i]), _norm(vectors.values[i])) for i in vectors.layers]


def _norm(tensor: "Tensor") -> float:
    return float(tensor.double().norm())  # in float32, squares of large numbers are infinite


def _described(term: "WeightedVectors") -> dict[str, object]:
    norms = [{"layer": i, "keys": keys, "values": values} for i, keys, values in _norms(term)]
    summary = term.vectors.metadata.summary()
    return {
        "name": term.name,
        "weight": term.weight,
        "sha256": term.vectors.sha256,
        "metadata": summary,
        "norms": norms,
    }


def _print(term: "WeightedVectors") -> None:
    console = terminal()
    facts = Table(show_header=False, title=Text(term.name), title_justify="left")
    facts.add_column()
    facts.add_column(overflow="fold")
    metadata = term.vectors.metadata
    shape = tuple(next(iter(term.vectors.keys.values())).shape)
    facts.add_row("sha256 of the tensors", term.vectors.sha256)
    facts.add_row("layers, (KV heads, head_dim)", f"{len(term.vectors.layers)}, {shape}")
    for field, value in metadata.summary().items():
        shown = metadata.architecture.to_json() if field == "architecture" and metadata.architecture else value
        facts.add_row(field, Text(repr(shown) if field == "offset_token" else str(shown)))
    console.print(facts)
    norms = _norms(term)
    longest = max(values for _, _, values in norms) or 1.0
    table = Table("layer", "|keys|", "|values|", "", title="L2 norms", title_justify="left")
    for layer, keys, values in norms:
        table.add_row(str(layer), f"{keys:.3f}", f"{values:.3f}", "#" * round(_BAR * values / longest))
    console.print(table)
    if metadata.recommended_c_values is not None:
        console.print(
            f"Recommended: --model_args vectors={term.name},c_keys={metadata.recommended_c_keys or 0:g},"
            f"c_values={metadata.recommended_c_values:g}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
