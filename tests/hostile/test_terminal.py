"""What files and models say is shown on a terminal, and never acted on."""

import ast
import io
import json
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import lm_eval_cachesteer.cli
from lm_eval_cachesteer.cli import demo
from lm_eval_cachesteer.cli.terminal import terminal

from ..cli.conftest import cachesteer  # noqa: F401 - a fixture
from ..results.support import right_and_wrong, write_run
from .property import acts

# Markup of rich, control sequences in 7 and 8 bits, and a mark that turns text around.
NASTY = "[bold]x[/bold]\x1b[31m\x1b]0;title\x07\x9b2J\u202e[/][link=https://example.com]y"
SEEN = "[bold]x[/bold]"


def assert_only_shown(text):
    assert SEEN in text
    assert not any(map(acts, text))


@pytest.fixture
def runs(tmp_path, monkeypatch, cachesteer):  # noqa: F811
    """Two runs that say nasty things wherever they can."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.chdir(tmp_path)
    task = f"task {NASTY}".replace("/", "\u2044")  # a name of a file
    terms = [{"name": NASTY, "kind": NASTY, "weight": 1.0, "c_values": 2.0}]
    counts = {"generate_until": {"requests": 4, "interventions": 3, "not_steered": 1}}
    for name, pattern, steering in (
        ("base", "1100", {"vectors": []}),
        ("other", "1010", {"vectors": terms, "counts": counts}),
    ):
        write_run(
            tmp_path / name,
            {task: right_and_wrong(pattern, filter=NASTY)},
            results={task: {"alias": task, f"exact_match,{NASTY}": 0.5}},
            model_name=NASTY,
            config={"model": NASTY, "steering": steering, "gen_kwargs": {NASTY: NASTY}},
        )
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results_2026.json").write_text(json.dumps({"results": NASTY}))
    return cachesteer


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "base", "other"],
        ["leaderboard", "base", "other"],
        ["leaderboard", "base", "other", "--format", "csv"],
        ["report", "base", "other", "broken", "--title", NASTY],
    ],
)
def test_results(runs, words):
    pytest.importorskip("plotly")
    finished = runs(*words)
    assert finished.code == 0, finished.error
    assert_only_shown(finished.out)
    assert not any(map(acts, finished.error))


def test_markdown(runs, tmp_path):
    finished = runs("leaderboard", "base", "other", "--format", "markdown")
    assert_only_shown(finished.out)
    assert runs("leaderboard", "base", "other", "--output", "x.txt").code == 0
    assert_only_shown((tmp_path / "x.txt").read_text())


def test_the_gate(runs, tmp_path):
    policy = {"same": ["model"], "checks": [{"metric": "exact_match", "at_least": 0.9}]}
    (tmp_path / "policy.yaml").write_text(json.dumps(policy))
    words = ["--baseline", "base", "--candidate", "other", "--policy", "policy.yaml"]
    finished = runs("gate", *words, "--markdown", "gate.md", "--junit", "gate.xml")
    assert finished.code == 1, finished.error
    assert_only_shown(finished.out)
    for name in ("gate.md", "gate.xml"):
        assert not any(map(acts, (tmp_path / name).read_text()))


@pytest.mark.parametrize("words", [["compare", "base", NASTY], ["inspect", NASTY], ["gate"], ["leaderboard", NASTY]])
def test_errors(runs, words):
    if words == ["gate"]:
        words = ["gate", "--baseline", "base", "--candidate", "other", "--policy", NASTY]
    finished = runs(*words)
    assert finished.code == 3
    assert finished.out == ""
    assert_only_shown(finished.error)
    assert finished.error.splitlines()[-1].startswith("Error: ")


def test_answers_of_the_demo(runs, tmp_path, monkeypatch):
    def answer(name, words, as_json):
        folder = Path(words[words.index("--output_path") + 1])
        figures = {f"{metric},response": 0.5 for metric in demo.METRICS}
        counts = {"generate_until": {"interventions": 1}}
        steering = {"config": {"steering": {"counts": counts}}}
        write_run(folder, {demo.TASK: [{"document": NASTY, **figures}]}, results={demo.TASK: figures}, **steering)
        (samples,) = folder.glob("samples_*")
        answered = {"resps": [[f"{name} {NASTY}\nsecond line"]]}
        samples.write_text(json.dumps(json.loads(samples.read_text()) | answered) + "\n")

    monkeypatch.setattr(demo, "run_lm_eval", answer)
    finished = runs("demo", "--out", tmp_path / "demo")
    assert finished.code == 0, finished.error
    assert_only_shown(finished.out)
    assert finished.out.count(SEEN) == 3
    assert finished.out.count("second line") == 2


def test_tables_keep_their_form():
    file = io.StringIO()
    console = terminal(file=file, width=60)
    table = Table("a", "b")
    table.add_row(Text(NASTY), Text("\x1b[0m1\ud800", style="red"))
    table.add_row(Text("plain"), Text("22"))
    console.print(table)
    assert_only_shown(file.getvalue())
    assert len({len(line) for line in file.getvalue().splitlines()}) == 1


def test_there_is_one_place_that_makes_consoles():
    folder = Path(lm_eval_cachesteer.cli.__file__).parent
    makers = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
    }
    assert makers == {"terminal.py"}
