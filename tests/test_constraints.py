"""constraints-lowest.txt, which `make test-versions` installs, and the lower bounds of pyproject.toml."""

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"mypy", "ruff", "vllm"}  # the tests do not use linters; `make test-vllm` has an environment of its own


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def lower_bounds() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = project["dependencies"] + [text for extra in project["optional-dependencies"].values() for text in extra]
    return {
        canonicalize_name(requirement.name): bound.version
        for requirement in map(Requirement, texts)
        for bound in requirement.specifier
        if bound.operator == ">=" and requirement.name not in ELSEWHERE
    }


@pytest.mark.parametrize(("name", "version"), sorted(lower_bounds().items()))
def test_the_lowest_version_of_every_dependency_is_tested(name, version):
    assert Version(pinned()[name]) == Version(version)


def test_every_dependency_has_a_lower_bound():
    assert len(lower_bounds()) > 15
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {canonicalize_name(Requirement(text).name) for text in project["dependencies"]} <= lower_bounds().keys()
