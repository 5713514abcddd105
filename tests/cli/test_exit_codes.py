"""How commands end: docs/command-line.md."""

import re
import subprocess

import pytest

from lm_eval_cachesteer.cli import COMMANDS, prepare

from ..results.support import right_and_wrong, write_run

WITHOUT_PLACES = {"prepare", "vectors", "tasks-path"}
SWEEP = "--vectors stepwise --grid c_values=1"
TINY = "--pretrained {llama} --vectors {vectors}"
BAD = [
    ("compare", "missing missing", "No results at 'missing'"),
    ("compare", "run [red]missing", "No results at '[red]missing'"),
    ("leaderboard", "missing", "No run has figures of any task"),
    ("leaderboard", "run --baseline missing", "No results at 'missing'"),
    ("leaderboard", "run --output file/x.md", "--output file/x.md cannot be written"),
    ("report", "missing", "No results at 'missing'"),
    ("report", "run --out file/x.html", "--out file/x.html cannot be written"),
    ("gate", "--baseline missing --candidate run --policy x.yaml", "No results at 'missing'"),
    ("gate", "--baseline run --candidate run --policy missing.yaml", "missing.yaml"),
    ("inspect", "nothing", "No vectors are known as 'nothing'"),
    ("inspect", "0.5*stepwise+nothing", "No vectors are known as 'nothing'"),
    ("inspect", "[red]none.safetensors", "[red]none.safetensors: no such vector file"),
    ("extract", "--contrast nothing", "'nothing' is neither a file nor a shipped contrast set"),
    ("extract", "--contrast cot --out file/v.safetensors", "--out file/v.safetensors cannot be written"),
    ("extract", "--contrast cot --out x.bin", "--out x.bin must end in .safetensors"),
    ("extract", "--contrast cot --pretrained no/such", "The model 'no/such' cannot be loaded"),
    ("extract", "--contrast cot --pretrained run", "The model 'run' cannot be loaded"),
    ("calibrate", "--vectors nothing", "No vectors are known as 'nothing'"),
    ("calibrate", "--vectors cot+concise", "--vectors 'cot+concise' is a sum"),
    ("calibrate", "--vectors cot --prompts missing.jsonl", "--prompts missing.jsonl cannot be read"),
    ("calibrate", "--vectors cot --pretrained no/such", "The model 'no/such' cannot be loaded"),
    ("calibrate", "--vectors cot --out file/v.safetensors", "--out file/v.safetensors cannot be written"),
    ("serve", "--vectors missing", "--vectors missing: no such folder"),
    ("serve", "--pretrained no/such", "The model 'no/such' cannot be loaded"),
    ("serve", "--pretrained {llama}", "no vectors for tiny-llama"),
    ("sweep", "--vectors nothing --tasks t --grid c_values=1", "No vectors are known as 'nothing'"),
    ("sweep", f"{SWEEP} --tasks no_such", "Unknown task 'no_such'"),
    ("sweep", f"{SWEEP} --tasks cachesteer_demo --out file/x", "Results cannot be kept in file/x"),
    ("sweep", f"{SWEEP} --tasks cachesteer_demo --pretrained no/such", "The model 'no/such' cannot be loaded"),
    ("study", "--vectors nothing", "No vectors are known as 'nothing'"),
    ("study", "--vectors none", "A study needs vectors"),
    ("study", "--pretrained no/such", "The model 'no/such' cannot be loaded"),
    ("study", "--pretrained {llama}", "The vectors 'stepwise' exist for SmolLM2"),
    ("study", TINY, "Name a set with --contrast, or leave activation steering out"),
    ("study", f"{TINY} --contrast missing.jsonl", "'missing.jsonl' is neither a file nor a shipped contrast set"),
    ("study", f"{TINY} --no-activation --tasks no_such", "Unknown task 'no_such'"),
    ("study", f"{TINY} --no-activation --tasks ,", "No task is named"),
    ("study", f"{TINY} --no-activation --steering c_values=x", "c_values='x' is not allowed"),
    ("study", f"{TINY} --no-activation --out file/x", "Results cannot be kept in file/x"),
    ("demo", "--out file/demo", "--out file/demo cannot be written"),
]


def test_the_table_is_complete():
    assert {name for name, *_ in BAD} | WITHOUT_PLACES == COMMANDS


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("name", "words", "message"), BAD)
def test_bad_input_is_3_and_one_line(
    cachesteer, only_shipped_tasks, tmp_path, monkeypatch, llama_folder, vectors_file, name, words, message, as_json
):
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing must be run"))
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", {"a": right_and_wrong("10")}, results={"a": {"alias": "a", "exact_match,none": 0.5}})
    (tmp_path / "file").write_text("no folder")
    words = [word.format(llama=llama_folder, vectors=vectors_file) for word in words.split()]
    finished = cachesteer(name, *words, *["--json"] * as_json)
    assert finished.code == 3
    assert finished.out == ""
    lines = [line for line in finished.error.splitlines() if not line.startswith("Left out: ")]
    assert len(lines) == 1, finished.error
    assert lines[0].startswith("Error: ")
    assert message in lines[0]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_wrong_usage_is_2_but_for_the_gate(cachesteer, name):
    finished = cachesteer(name, "--nonsense")
    assert finished.code == (3 if name == "gate" else 2)
    assert finished.out == ""
    assert re.search(rf"Usage: .*\bcachesteer {name} ", finished.error)  # `python -m pytest` comes before it


def test_an_interrupt_is_130(cachesteer, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "ensure_embedded_model", interrupted)
    assert cachesteer("prepare")[:2] == (130, "")


def test_lm_eval_that_fails_is_3(cachesteer, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    finished = cachesteer("demo", "--out", tmp_path, "--json")
    assert finished[:2] == (3, "")
    assert finished.error.endswith("Error: baseline: lm_eval ended with exit code 1; its message is above.\n")
