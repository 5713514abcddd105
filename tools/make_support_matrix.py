"""Writes the table of docs/support.md: what steering does on each model family, from checks run now.

    python tools/make_support_matrix.py [FAMILY ...]

Each family is a tiny model with random weights, made from a configuration of transformers (tests/families/configs.py);
nothing is downloaded. The checks are those of tests/families/checks.py. With names of families, the table is printed
for these only and nothing is written. The exit code is 1 if a check failed.
"""

import argparse
import importlib
import re
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging as transformers_logging

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "support.md"
START, END = "<!-- table: tools/make_support_matrix.py -->", "<!-- end of table -->"
COLUMNS = (
    "family", "class", "layers steered", "path", "generation", "likelihood", "left padding", "static cache",
    "extraction", "refused because",
)  # fmt: skip


def main() -> None:
    """Checks families and writes or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="only these, printed")
    chosen = parser.parse_args().families
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(1)
    # The checks belong to the tests, which are no part of the installed package and not type-checked.
    sys.path.insert(0, str(ROOT))
    families: list[str] = chosen or list(importlib.import_module("tests.families.configs").FAMILIES)
    check = importlib.import_module("tests.families.checks").check
    rows = []
    failed = False
    for family in families:
        result = check(family)
        failed |= bool(result.failures)
        for name, what in result.failures.items():
            print(f"{family}: {name}: {what}", file=sys.stderr)
        rows.append(row(result))
    if chosen:
        print(table(rows))
    else:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), rows), encoding="utf-8")
    sys.exit(failed)


def row(result: Any) -> tuple[str, ...]:
    """The cells of one family.

    Args:
        result: A `FamilyResult` of tests/families/checks.py.
    """
    named = (result.family, result.model_class)
    if result.refused:
        return (*named, "none", *[""] * (len(COLUMNS) - len(named) - 2), result.refused)

    def cell(part: str) -> str:
        return "; ".join(what for name, what in result.failures.items() if part in name) or "exact"

    return (
        *named,
        f"{_ranges(result.steered)} of {result.n_layers}",
        f"generate: {result.obstacle}" if result.obstacle else "fast",
        cell("generation"),
        cell("likelihood"),
        cell("generate path"),
        "refused" if result.static_refused else cell("static cache"),
        cell("extraction"),
        result.static_refused,
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|" for cells in lines)


def with_table(document: str, rows: list[tuple[str, ...]]) -> str:
    """The document with its table replaced, and the versions that it was made with."""
    head, _, rest = document.partition(START)
    _, _, tail = rest.partition(END)
    versions = f"Made with transformers {transformers.__version__}."
    return f"{head}{START}\n{versions}\n\n{table(rows)}\n{END}{tail}"


def documented(document: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The version of transformers that a document's table was made with, and its rows by family."""
    _, _, rest = document.partition(START)
    text, _, _ = rest.partition(END)
    version = re.search(r"transformers (\S+)\.\n", text)
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return version[1] if version else "", {cells[0]: cells for cells in rows}


def _ranges(layers: tuple[int, ...]) -> str:
    """Layer numbers with neighbours joined: 1-3, 5."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


if __name__ == "__main__":
    main()
