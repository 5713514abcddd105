"""Where the package makes errors: every call of a `CachesteerError` class, found in the sources."""

import ast
from dataclasses import dataclass
from pathlib import Path

import lm_eval_cachesteer
from lm_eval_cachesteer import errors

PACKAGE = Path(lm_eval_cachesteer.__file__).parent
CLASSES = {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.CachesteerError)
}


@dataclass(frozen=True)
class Site:
    """A place in the sources that makes an error.

    Attributes:
        name: "core/format.py:read_metadata", with "#2" for the second one of a function.
        path: The file.
        first: First line of the call.
        last: Its last line.
    """

    name: str
    path: Path
    first: int
    last: int


def sites() -> list[Site]:
    """All places."""
    return [site for path in sorted(PACKAGE.rglob("*.py")) if path.name != "errors.py" for site in _sites_of(path)]


def site_at(path: str, line: int, known: list[Site]) -> str:
    """The name of the place that holds a line of a file; "" if there is none."""
    return next((site.name for site in known if str(site.path) == path and site.first <= line <= site.last), "")


def _sites_of(path: Path) -> list[Site]:
    found: list[Site] = []
    counts: dict[str, int] = {}

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}" if function else node.name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
            name = f"{path.relative_to(PACKAGE).as_posix()}:{function}"
            counts[name] = counts.get(name, 0) + 1
            number = f"#{counts[name]}" if counts[name] > 1 else ""
            found.append(Site(name + number, path, node.lineno, node.end_lineno or node.lineno))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found
