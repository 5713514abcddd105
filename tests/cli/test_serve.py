"""`cachesteer serve`: the command line it hands over to vLLM."""

import json
import os
import sys

import pytest

from lm_eval_cachesteer.cli import serve
from lm_eval_cachesteer.vllm import versions

from ..conftest import make_vectors


@pytest.fixture
def folder(llama, tmp_path):
    make_vectors(llama).save(tmp_path / "mine.safetensors")
    return tmp_path


def check_command(command, model, folder):
    assert command[:5] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "8123")
    assert options["--scheduler-cls"] == "lm_eval_cachesteer.vllm.scheduler.steering_scheduler"
    connection = json.loads(options["--kv-transfer-config"])
    assert connection["kv_connector_module_path"] == "lm_eval_cachesteer.vllm.connector"
    assert connection["kv_connector_extra_config"] == {"vectors": str(folder)}
    assert options["--tensor-parallel-size"] == "2"


def words(model, folder):
    vllms = ("--", "--tensor-parallel-size", "2")
    return ("serve", "--pretrained", model, "--vectors", folder, "--port", 8123), vllms


def test_json_says_what_would_be_served(cachesteer, monkeypatch, llama_folder, folder):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("nothing must be served"))
    ours, vllms = words(llama_folder, folder)
    finished = cachesteer(*ours, "--json", *vllms)
    assert finished.code == 0, finished.error
    document = json.loads(finished.out)
    assert document["vectors"] == ["mine"]
    check_command(document["command"], str(llama_folder), folder)


def test_vllm_takes_over(cachesteer, monkeypatch, llama_folder, folder):
    replaced = []
    monkeypatch.setattr(os, "execv", lambda _, command: replaced.append(command))
    monkeypatch.setattr(versions, "installed_version", lambda: "0.32.0")
    ours, vllms = words(llama_folder, folder)
    assert cachesteer(*ours, *vllms).code == 0
    check_command(replaced[0], str(llama_folder), folder)


def test_a_missing_vllm_is_said(cachesteer, monkeypatch, llama_folder, folder):
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    finished = cachesteer("serve", "--pretrained", llama_folder, "--vectors", folder)
    assert finished.code == 3
    assert "vLLM is not installed" in finished.error


@pytest.mark.parametrize("option", serve._OURS)
def test_options_that_serve_sets_are_refused(cachesteer, option, folder):
    finished = cachesteer("serve", "--vectors", folder, "--", option, "x")
    assert finished.code == 3
    assert f"{option} given, which serve sets itself" in finished.error
