"""SECURITY.md names tests that exist."""

import ast
import re

import pytest

from .processes import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+(?:\.py)?/?)(?:::(\w+))?`", TEXT)


def test_each_section_of_promises_names_tests():
    promised = TEXT.partition("## What is promised")[2].partition("## What is not protected")[0]
    lines = [line for line in promised.splitlines() if line.startswith("|")]
    rows = [line for line in lines if not line.startswith(("| promise", "|---"))]
    assert len(rows) > 20
    assert [row for row in rows if "tests/" not in row.rsplit("|", 2)[1]] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file, name):
    path = ROOT / file
    assert path.exists()
    if path.is_dir():
        assert list(path.glob("test_*.py"))
        return
    tests = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    assert name in tests if name else any(test.startswith("test_") for test in tests)
