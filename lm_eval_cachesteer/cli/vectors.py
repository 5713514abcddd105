"""`cachesteer vectors`: what can be asked for by name."""

from rich.table import Table
from rich.text import Text

from ..errors import VectorFileError
from ..sources.folders import contrast_folder
from .leaderboard import left_out
from .output import AsJson, print_json
from .terminal import terminal


def vectors(as_json: AsJson = False) -> None:
    """List the vectors known by name (shipped and cached) and the shipped contrast sets.

    Files that cannot be read are named and left out.

    Example: cachesteer vectors
    """
    from ..sources.resolve import known_vectors

    damaged: list[VectorFileError] = []
    known = known_vectors(lambda _, error: damaged.append(error))
    for error in damaged:
        left_out(error)
    sets = sorted(path.stem for path in contrast_folder().glob("*.jsonl"))
    if as_json:
        listed = [
            {"name": v.name, "origin": v.origin, "path": str(v.path), "metadata": v.metadata.summary()} for v in known
        ]
        print_json({"vectors": listed, "contrast_sets": sets})
        return
    table = Table("name", "model", "pairs", "c_keys", "c_values", "offset token", "origin", title="Steering vectors")
    for v in known:
        m = v.metadata
        coefficients = (f"{c:g}" if c is not None else "-" for c in (m.recommended_c_keys, m.recommended_c_values))
        offset = repr(m.offset_token) if m.offset_token else "none"
        cells = (v.name, m.model_id, str(m.pair_count), *coefficients, offset, v.origin)
        table.add_row(*map(Text, cells))  # text: files may say anything
    console = terminal()
    console.print(table)
    console.print(f"Contrast sets: {', '.join(sets)}", markup=False)
