"""The command line `cachesteer`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_cachesteer import SteeringVectors
from lm_eval_cachesteer.sources.folders import tasks_folder

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def cachesteer(*arguments):
    return subprocess.run([CACHESTEER, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def contrast_file(tmp_path):
    path = tmp_path / "mine.jsonl"
    records = [
        {"question": f"Question {i}?", "reasoning": f"Because of {i}.", "answer": f"Answer {i}"} for i in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def test_extract_writes_vectors_with_full_metadata(llama_folder, tokenizer, contrast_file, tmp_path):
    out = tmp_path / "v.safetensors"
    finished = cachesteer(
        *("extract", "--contrast", contrast_file, "--pretrained", llama_folder, "--out", out),
        *("--fewshot", 2, "--c-values", 4, "--kind", "because"),
    )
    assert finished.returncode == 0, finished.stderr
    metadata = SteeringVectors.load(out).metadata
    assert (metadata.kind, metadata.model_id, metadata.contrast_set) == ("because", "tiny-llama", "mine")
    assert (metadata.pair_count, metadata.fewshot_count, metadata.fewshot_selection) == (6, 2, "random:0")
    assert (metadata.recommended_c_values, metadata.offset_token) == (4.0, "\n")
    assert [metadata.offset_token_id] == tokenizer.encode("\n")
    assert metadata.architecture.n_layers == 4
    assert len(metadata.chat_template_sha256) == len(metadata.contrast_sha256) == 64
    assert [p.name for p in tmp_path.glob(".*")] == []  # no partial file is left
    again = tmp_path / "again.safetensors"
    cachesteer(
        *("extract", "--contrast", contrast_file, "--pretrained", llama_folder, "--out", again),
        *("--fewshot", 2, "--c-values", 4, "--kind", "because"),
    )
    assert again.read_bytes() == out.read_bytes()


def test_extract_without_out_keeps_the_vectors_by_name(llama_folder, contrast_file):
    finished = cachesteer("extract", "--contrast", contrast_file, "--pretrained", llama_folder, "--fewshot", 1)
    assert finished.returncode == 0, finished.stderr
    listed = json.loads(cachesteer("vectors", "--json").stdout)
    assert ("mine", "cached", "tiny-llama") in [
        (v["name"], v["origin"], v["metadata"]["model_id"]) for v in listed["vectors"]
    ]
    assert "stepwise" in listed["contrast_sets"]


def test_vectors_and_inspect_show_what_is_shipped():
    assert "SmolLM2-135M-Instruct-Q4_1" in cachesteer("vectors").stdout
    shown = cachesteer("inspect", "stepwise").stdout
    assert "recommended_c_values" in shown
    assert "Recommended: --model_args vectors=stepwise,c_keys=0,c_values=" in shown


def test_tasks_path():
    assert cachesteer("tasks-path").stdout.strip() == str(tasks_folder())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "none.safetensors"], "no such vector file"),
        (["inspect", "data[v1].safetensors"], "data[v1].safetensors: no such vector file"),
        (["inspect", "[/tmp/x].safetensors"], "[/tmp/x].safetensors: no such vector file"),
        (["prepare"], "Run `cachesteer prepare` once while the Python package"),
    ],
)
def test_bad_input_ends_with_code_3_and_one_message(arguments, message):
    finished = cachesteer(*arguments)
    assert finished.returncode == 3
    assert message in finished.stderr
    assert finished.stderr.strip().splitlines()[-1].startswith("Error:")
    assert "Traceback" not in finished.stderr


def test_too_many_fewshot_examples_name_the_allowed_range(llama_folder, contrast_file):
    finished = cachesteer("extract", "--contrast", contrast_file, "--pretrained", llama_folder, "--fewshot", 9)
    assert finished.returncode == 3
    assert "Allowed: 0 to 5" in finished.stderr


def test_wrong_usage_ends_with_code_2():
    assert cachesteer("extract").returncode == 2
    assert cachesteer("nothing").returncode == 2


def test_python_m_takes_the_subcommands_too():
    finished = subprocess.run(
        [sys.executable, "-m", "lm_eval_cachesteer", "tasks-path"], capture_output=True, text=True
    )
    assert finished.stdout.strip() == str(tasks_folder())
