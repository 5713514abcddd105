"""What is printed."""

import io
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from lm_eval_cachesteer.cli.terminal import terminal

from .. import cases
from ..property import acts

_TEXTS = cases.TEXTS | st.text(st.characters(codec=None, categories=("Cc", "Cf", "Cs", "L", "Zl")), max_size=12)

CASES = st.fixed_dictionaries(dict.fromkeys(("title", "left", "right", "line"), _TEXTS))


def check(parts: Mapping[str, str], _: Path) -> None:
    """Nothing that a terminal acts on is printed, and all of it has a form in UTF-8."""
    file = io.StringIO()
    console = terminal(file=file, width=40)
    table = Table("a", "b", title=Text(parts["title"]))
    table.add_row(Text(parts["left"]), Text(parts["right"]))
    console.print(table)
    console.print(parts["line"], highlight=False, markup=False, soft_wrap=True)
    written = file.getvalue()
    assert written.encode()
    assert not any(map(acts, written))
