"""`cachesteer inspect`: look into a vector file."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..core.edit import WeightedVectors

_BAR = 30


def inspect(
    name: Annotated[str, typer.Argument(help="A vector file, or a name listed by `cachesteer vectors`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print the metadata, per-layer norms and recommended settings of steering vectors.

    Example: cachesteer inspect stepwise
    """
    from ..sources.resolve import resolve_vectors

    for term in resolve_vectors(name):
        if as_json:
            print(json.dumps(_described(term), indent=2))
        else:
            _print(term)


def _norms(term: "WeightedVectors") -> list[tuple[int, float, float]]:
    vectors = term.vectors
    return [(i, float(vectors.keys[i].norm()), float(vectors.values[i].norm())) for i in vectors.layers]


def _described(term: "WeightedVectors") -> dict[str, object]:
    norms = [{"layer": i, "keys": keys, "values": values} for i, keys, values in _norms(term)]
    summary = term.vectors.metadata.summary()
    return {"name": term.name, "sha256": term.vectors.sha256, "metadata": summary, "norms": norms}


def _print(term: "WeightedVectors") -> None:
    console = Console()
    facts = Table(show_header=False, title=f"{term.name}", title_justify="left")
    facts.add_column()
    facts.add_column(overflow="fold")
    metadata = term.vectors.metadata
    shape = tuple(next(iter(term.vectors.keys.values())).shape)
    facts.add_row("sha256 of the tensors", term.vectors.sha256)
    facts.add_row("layers, (KV heads, head_dim)", f"{len(term.vectors.layers)}, {shape}")
    for field, value in metadata.summary().items():
        shown = metadata.architecture.to_json() if field == "architecture" and metadata.architecture else value
        facts.add_row(field, repr(shown) if field == "offset_token" else str(shown))
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
        )
