"""What holds for every command: --json, help, a row of the page."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from lm_eval_cachesteer.cli import COMMANDS, app
from lm_eval_cachesteer.cli.child import run_lm_eval
from lm_eval_cachesteer.cli.demo import METRICS, TASK
from lm_eval_cachesteer.sources.embedded import embedded_model_folder
from lm_eval_cachesteer.sources.folders import tasks_folder

from ..gate.support import STEERING, steered
from ..results.support import right_and_wrong, write_run

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_json_and_shows_an_example(cachesteer, name):
    command = get_command(app).commands[name]
    assert "--json" in {word for parameter in command.params for word in parameter.opts}
    shown = cachesteer(name, "--help")
    assert shown.code == 0
    assert re.search(r"Example: (cachesteer|lm_eval) ", shown.out)


def test_the_page_lists_every_command():
    rows = re.findall(r"^\| `cachesteer ([a-z-]+)", PAGE.read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with all that the commands below need."""
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))
    embedded_model_folder().mkdir(parents=True)
    (embedded_model_folder() / "config.json").write_text("{}")
    unsteered = {"config": {"model": "hf-cachesteer", "steering": {"model": STEERING["model"]}}}
    for name, right, more in (("base", 20, unsteered), ("other", 32, steered())):
        results = {"arith": {"alias": "arith", "exact_match,none": right / 40}}
        pattern = "1" * right + "0" * (40 - right)
        write_run(tmp_path / name, {"arith": right_and_wrong(pattern)}, results=results, **more)
    (tmp_path / "policy.yaml").write_text("checks: [{metric: exact_match, at_least: 0.5}]")
    pairs = [{"positive": f"Because of {i}.", "negative": f"It is {i}."} for i in range(3)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a b c"}\n{"prompt": "d e"}\n')
    return tmp_path


def check_compare(found, place):
    assert [one["metrics"][0]["found"]["difference"] for one in found] == [pytest.approx(0.3)]


def check_leaderboard(found, place):
    assert [entry["score"] for entry in found] == [0.8, 0.5]


def check_report(found, place):
    assert found["path"] == str(place / "report.html")
    assert found["bytes"] == (place / "report.html").stat().st_size
    assert (found["runs"], found["sweeps"], found["samples"], found["samples_of"]) == (2, 0, 40, 40)
    assert found["remarks"] == []


def check_gate(found, place):
    assert (found["outcome"], found["exit_code"]) == ("pass", 0)


def check_inspect(found, place):
    assert [(term["name"], term["weight"]) for term in found] == [("stepwise", 0.5), ("concise", 1.0)]
    assert [norm["layer"] for norm in found[0]["norms"]] == list(range(30))


def check_vectors(found, place):
    assert "stepwise" in {known["name"] for known in found["vectors"]}
    assert "stepwise" in found["contrast_sets"]


def check_tasks_path(found, place):
    assert found == {"path": str(tasks_folder())}


def check_prepare(found, place):
    assert found == {"path": str(embedded_model_folder())}


def check_demo(found, place):
    assert {name: run["metrics"]["words"] for name, run in found["runs"].items()} == {"baseline": 3, "stepwise": 7}
    assert found["runs"]["stepwise"]["interventions"] == 2
    assert found["runs"]["stepwise"]["metrics"]["repetition"] is None  # was NaN
    assert [one["question"] for one in found["runs"]["baseline"]["answers"]] == ["Why?", "How?"]


def check_extract(found, place):
    assert found["path"] == str(place / "new.safetensors")
    assert found["metadata"]["pair_count"] == 3
    assert len(found["sha256"]) == 64


def check_calibrate(found, place):
    assert (found["prompts"], found["written"]) == (2, str(place / "new.safetensors"))
    assert found["c_values"] > 0


ELSEWHERE = {"serve", "study", "sweep"}  # test_serve.py, test_study.py, test_sweep.py
DOCUMENTS = {
    "compare": ("{place}/base {place}/other", check_compare),
    "leaderboard": ("{place}", check_leaderboard),
    "report": ("{place} -o {place}/report.html", check_report),
    "gate": ("--baseline {place}/base --candidate {place}/other --policy {place}/policy.yaml", check_gate),
    "inspect": ("0.5*stepwise+concise", check_inspect),
    "vectors": ("", check_vectors),
    "tasks-path": ("", check_tasks_path),
    "prepare": ("", check_prepare),
    "demo": ("--out {place}/demo --limit 2", check_demo),
    "extract": (
        "--contrast {place}/pairs.jsonl --pretrained {llama} --device cpu --out {place}/new.safetensors",
        check_extract,
    ),
    "calibrate": (
        "--vectors {vectors} --pretrained {llama} --device cpu --prompts {place}/prompts.jsonl --tokens 2 --dose 0.1 "
        "--out {place}/new.safetensors",
        check_calibrate,
    ),
}


def test_the_table_is_complete():
    assert DOCUMENTS.keys() | ELSEWHERE == COMMANDS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_stdout_is_one_document(cachesteer, place, llama_folder, vectors_file, monkeypatch, name):
    monkeypatch.setattr(subprocess, "run", demo_child)
    words, check = DOCUMENTS[name]
    words = [word.format(place=place, llama=llama_folder, vectors=vectors_file) for word in words.split()]
    finished = cachesteer(name, *words, "--json")
    assert finished.code == 0, finished.error
    check(json.loads(finished.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")), place)


def demo_child(command, *, check, stdout):
    """Does what lm_eval would do for the demo, as noisily."""
    print("[not JSON]", file=stdout)
    is_steered = "vectors" in command[command.index("--model_args") + 1]
    results = {f"{metric},response": 0.5 for metric in METRICS} | {"words,response": 7 if is_steered else 3}
    results["repetition,response"] = float("nan") if is_steered else 0.1
    counts = {"counts": {"generate_until": {"requests": 2, "interventions": 2 * is_steered}}}
    content = {"results": {TASK: results}, "config": {"model": "hf-cachesteer", "steering": counts}}
    samples = [{"document": text, "fields": {"question": text}, "words": 3.0} for text in ("Why?", "How?")]
    write_run(Path(command[command.index("--output_path") + 1]), {TASK: samples}, **content)
    return subprocess.CompletedProcess(command, 0)


@pytest.mark.parametrize("as_json", [True, False])
def test_what_lm_eval_prints_goes_to_stderr_where_stdout_is_json(capfd, as_json):
    run_lm_eval("[red]arm", ["tasks-path"], as_json)  # a real process, which prints a path
    out, error = capfd.readouterr()
    assert (str(tasks_folder()) in error) is as_json
    assert (str(tasks_folder()) in out) is not as_json
    assert (out == "") is as_json
    assert "[red]arm\n$ lm_eval tasks-path" in (error if as_json else out)
