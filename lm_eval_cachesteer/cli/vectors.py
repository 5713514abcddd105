"""`cachesteer vectors`: what can be asked for by name."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..sources.folders import contrast_folder


def vectors(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List the vectors known by name (shipped and cached) and the shipped contrast sets.

    Example: cachesteer vectors
    """
    from ..sources.resolve import known_vectors

    known = known_vectors()
    sets = sorted(path.stem for path in contrast_folder().glob("*.jsonl"))
    if as_json:
        listed = [
            {"name": v.name, "origin": v.origin, "path": str(v.path), "metadata": v.metadata.summary()} for v in known
        ]
        print(json.dumps({"vectors": listed, "contrast_sets": sets}, indent=2))
        return
    table = Table("name", "model", "pairs", "c_keys", "c_values", "offset token", "origin", title="Steering vectors")
    for v in known:
        m = v.metadata
        coefficients = (f"{c:g}" if c is not None else "-" for c in (m.recommended_c_keys, m.recommended_c_values))
        offset = repr(m.offset_token) if m.offset_token else "none"
        table.add_row(v.name, m.model_id, str(m.pair_count), *coefficients, offset, v.origin)
    console = Console()
    console.print(table)
    console.print(f"Contrast sets: {', '.join(sets)}")
