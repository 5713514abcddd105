"""`cachesteer report`, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..report.support import many, steered, unsteered, write_answers

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")


def report(*arguments, **options):
    return subprocess.run([CACHESTEER, "report", *map(str, arguments)], capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_answers(folder / "base", {"ways": many(20, seed=1)}, unsteered())
    write_answers(folder / "other", {"ways": many(20, seed=2)}, steered("cot"), date="2026-11-02T10-00-00.000001")
    return folder


def test_the_page_is_written_whole_and_its_size_is_told(runs, tmp_path):
    page = tmp_path / "new" / "page.html"
    finished = report(runs, "-o", page, "--title", "A & B")
    assert finished.returncode == 0, finished.stderr
    assert page.read_text().startswith("<!doctype html>")
    assert "<title>A &amp; B</title>" in page.read_text()
    told = finished.stdout.strip()
    assert told == (
        f"{page}: 2 runs · tiny · ways · 2026-11-01 to 2026-11-02, 20 samples, {page.stat().st_size / 1e6:.1f} MB"
    )
    assert list(page.parent.iterdir()) == [page]


def test_fewer_samples_and_another_metric_can_be_asked_for(runs, tmp_path):
    finished = report(runs, "--samples", 5, "--metric", "stepwise", cwd=tmp_path)
    assert "5 of 20 samples" in finished.stdout
    assert '"difference in stepwise' in (tmp_path / "report.html").read_text()


def test_what_cannot_be_read_is_told(runs, tmp_path):
    (tmp_path / "results_2026-12-01T10-00-00.json").write_text("{")
    finished = report(runs, tmp_path, "-o", tmp_path / "page.html")
    assert finished.returncode == 0
    assert "Left out:" in finished.stderr
    assert "results_2026-12-01T10-00-00.json cannot be read" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "No results at 'missing'"),
        (["{runs}", "-o", "{runs}"], "cannot be written (Is a directory)"),
        (["{runs}", "--metric", "f1"], "No run has the metric 'f1'"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_3(runs, tmp_path, arguments, message):
    finished = report(*(argument.format(runs=runs) for argument in arguments), cwd=tmp_path)
    assert finished.returncode == 3
    assert message in " ".join(finished.stderr.split())
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_without_plotly_the_message_says_what_to_install(runs, tmp_path):
    code = (
        "import sys; sys.modules['plotly'] = None; sys.argv = ['cachesteer', 'report', sys.argv[1]];"
        "from lm_eval_cachesteer.cli import main; main()"
    )
    finished = subprocess.run([sys.executable, "-c", code, runs], capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode == 3
    assert 'pip install "lm-eval-cachesteer[report]"' in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def test_neither_torch_nor_the_harness_is_loaded(runs, tmp_path):
    code = (
        "import sys; from lm_eval_cachesteer.report.page import render;"
        "from lm_eval_cachesteer.report.data import report_data; render(report_data([sys.argv[1]]), 'T');"
        "print(sorted({'torch', 'transformers', 'lm_eval'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code, runs], capture_output=True, text=True, cwd=tmp_path)
    assert finished.stdout.strip() == "[]", finished.stderr
