"""Runs the tests on the lowest and on the newest versions this package works with, each in an environment of its own.

    python tools/test_versions.py                          # both, the whole suite
    python tools/test_versions.py --only lowest tests/core # one, some tests

The environments lie in .versions/ and are kept. `lowest` has what constraints-lowest.txt pins; `newest` has the newest
release of everything, fetched anew each time. The last thing printed is a table of versions and results. The exit code
is 1 if a test failed or none ran. Needs the standard library only.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".versions"
# Each environment: the interpreters to look for, the best first, and what pip is told.
PYTHONS = {
    "lowest": ("python3.10", "python3.11"),
    "newest": ("python3.14", "python3.13", "python3.12", "python3.11", "python3.10"),
}
CHOICE = {
    "lowest": ("--constraint", "constraints-lowest.txt"),
    "newest": ("--upgrade", "--upgrade-strategy", "eager"),
}
# As `make test` runs them: models of a few layers two at a time, the embedded model by itself.
SUITE = (("-n", "2", "-m", "not model and not slow"), ("-m", "model and not slow"))
SHOWN = (
    "lm-eval", "transformers", "torch", "accelerate", "safetensors", "huggingface-hub", "tokenizers", "datasets",
    "gguf", "numpy", "scipy", "scikit-learn", "typer", "rich", "plotly", "pytest",
)  # fmt: skip
# Exit codes of pytest that mean it ran to the end.
_PASSED, _FAILED = 0, 1
_LIST_VERSIONS = """
import importlib.metadata, platform, sys
print(platform.python_version())
for package in sys.argv[1:]:
    print(importlib.metadata.version(package))
"""


@dataclass
class Outcome:
    """What became of the tests in one environment.

    Attributes:
        versions: Package, "python" among them -> version.
        counts: "passed", "failed", "skipped" -> number of tests.
        failures: Names of the tests that failed.
        seconds: How long they took.
    """

    versions: dict[str, str]
    counts: dict[str, int] = field(default_factory=lambda: {"passed": 0, "failed": 0, "skipped": 0})
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether tests ran and none failed."""
        return self.counts["passed"] > 0 and self.counts["failed"] == 0


def main() -> int:
    """Builds the environments, runs the tests, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(PYTHONS), help="one environment instead of both")
    parser.add_argument("--lowest-python", metavar="PYTHON", help="interpreter of the lowest environment")
    parser.add_argument("--newest-python", metavar="PYTHON", help="interpreter of the newest environment")
    parser.add_argument("tests", nargs="*", help="tests to run instead of the whole suite")
    given = parser.parse_args()
    chosen = {"lowest": given.lowest_python, "newest": given.newest_python}
    outcomes = {}
    for name in [given.only] if given.only else list(PYTHONS):
        python = build(name, chosen[name] or find_python(PYTHONS[name]))
        outcomes[name] = run_tests(name, python, given.tests)
    print("\n" + table(outcomes))
    return 0 if all(outcome.is_good for outcome in outcomes.values()) else 1


def find_python(names: Sequence[str]) -> str:
    """The first of these interpreters that is there and starts.

    Raises:
        SystemExit: There is none.
    """
    for name in names:
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:  # noqa: S603
            return path
    raise SystemExit(f"None of {', '.join(names)} is installed. Install one, or name an interpreter (see --help).")


def build(name: str, interpreter: str) -> Path:
    """Makes or completes an environment; returns its interpreter.

    Args:
        name: "lowest" or "newest".
        interpreter: The Python it is made from.
    """
    print(f"{name}: installing into {FOLDER / name}", flush=True)
    subprocess.run([interpreter, "-m", "venv", FOLDER / name], check=True)  # noqa: S603
    python = FOLDER / name / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--upgrade", "pip"], check=True)  # noqa: S603
    subprocess.run([*pip, *CHOICE[name], "--editable", ".[dev]"], check=True, cwd=ROOT)  # noqa: S603
    return python


def run_tests(name: str, python: Path, tests: Sequence[str]) -> Outcome:
    """Runs the suite, or some tests.

    Args:
        name: "lowest" or "newest".
        python: The environment's interpreter.
        tests: Paths of tests; none for the suite.
    """
    listed = subprocess.run([python, "-c", _LIST_VERSIONS, *SHOWN], check=True, capture_output=True, text=True)  # noqa: S603
    outcome = Outcome(dict(zip(("python", *SHOWN), listed.stdout.split(), strict=True)))
    report = FOLDER / f"{name}.xml"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    for arguments in [tests] if tests else SUITE:
        print(f"{name}: pytest {' '.join(arguments)}", flush=True)
        command = [str(python), "-m", "pytest", *arguments, "--junitxml", str(report)]
        finished = subprocess.run(command, cwd=ROOT, env=environment)  # noqa: S603
        if finished.returncode in (_PASSED, _FAILED):
            count(report, outcome)
        else:
            outcome.counts["failed"] += 1
            outcome.failures.append(f"pytest {' '.join(arguments)} (exit code {finished.returncode})")
    outcome.seconds = time.monotonic() - started
    return outcome


def count(report: Path, outcome: Outcome) -> None:
    """Adds what a JUnit report says to an outcome."""
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - written by the run above
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            outcome.counts["failed"] += 1
            outcome.failures.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            outcome.counts["skipped" if "skipped" in kinds else "passed"] += 1


def table(outcomes: dict[str, Outcome]) -> str:
    """Versions and results as a Markdown table, the failed tests below it."""
    rows = [["", *outcomes], ["---"] * (len(outcomes) + 1)]
    rows += [[package, *(outcome.versions[package] for outcome in outcomes.values())] for package in ("python", *SHOWN)]
    rows += [
        [f"tests {kind}", *(str(outcome.counts[kind]) for outcome in outcomes.values())]
        for kind in ("passed", "failed", "skipped")
    ]
    rows.append(["minutes", *(f"{outcome.seconds / 60:.1f}" for outcome in outcomes.values())])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += [f"{name}: {failure}" for name, outcome in outcomes.items() for failure in outcome.failures]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
