"""Code that comes with a file or a checkpoint is not run, unless the user asks for it."""

import ast
import json
import re
import sys

import pytest
import transformers.dynamic_module_utils
from transformers import AutoConfig

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.sources.models import load_model

from .processes import ROOT

SHIPPED = ("lm_eval_cachesteer", "startup", "tasks", "tools", "benchmarks", "examples", "Makefile", ".ci")
SWITCHED_ON = re.compile(r"trust_remote_code[\"']?\s*\]?\s*[=:]\s*(true|1)|--trust_remote_code", re.IGNORECASE)


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint whose configuration is a class of its own, in a file that leaves a mark when it is run."""
    mark = tmp_path / "mark"
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": classes}))
    (folder / "own.py").write_text(
        "from pathlib import Path\nfrom transformers import PretrainedConfig\n"
        f"Path({str(mark)!r}).touch()\nclass OwnConfig(PretrainedConfig):\n    model_type = 'own'\n"
    )
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    return folder, mark


def test_code_of_a_checkpoint_is_not_run_unless_asked_for(checkpoint, backend, vectors_file):
    folder, mark = checkpoint
    with pytest.raises(ArgumentError, match="cannot be loaded"):
        load_model(str(folder))
    with pytest.raises(ValueError, match="trust_remote_code"):
        backend(pretrained=str(folder), vectors=str(vectors_file))
    assert not mark.exists()
    AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert mark.exists()  # it would have been run


def test_nothing_that_is_shipped_switches_it_on():
    places = [path for name in SHIPPED for path in [ROOT / name, *(ROOT / name).rglob("*")]]
    read = [path for path in places if path.suffix in {".py", ".yaml", ".yml", ".json", ".sh", ""} and path.is_file()]
    assert len(read) > 100
    assert [path for path in read if SWITCHED_ON.search(path.read_text(encoding="utf-8", errors="replace"))] == []


@pytest.mark.parametrize(
    "text", ["f(trust_remote_code=True)", '{"trust_remote_code": True}', "trust_remote_code: true",
             'kwargs["trust_remote_code"] = True', "--model_args trust_remote_code=True", "--trust_remote_code"]
)  # fmt: skip
def test_what_would_switch_it_on_is_recognized(text):
    assert SWITCHED_ON.search(text)
    assert not SWITCHED_ON.search('_WHICH = ("revision", "trust_remote_code")')


UNSAFE = {"eval", "exec", "pickle.load", "pickle.loads", "torch.load", "yaml.unsafe_load", "os.system",
          "joblib.load", "numpy.load", "np.load", "marshal.loads", "shelve.open"}  # fmt: skip


def unsafe_calls(source):
    """Calls that can run what a file says."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    shells = [k for c in calls for k in c.keywords if k.arg == "shell" and getattr(k.value, "value", True) is not False]
    return sorted({ast.unparse(call.func) for call in calls} & UNSAFE) + ["shell"] * len(shells)


def test_the_package_unpickles_evaluates_and_starts_no_text():
    sources = [*(ROOT / "lm_eval_cachesteer").rglob("*.py"), *(ROOT / "startup").rglob("*.py")]
    assert len(sources) > 80
    assert {str(path): found for path in sources if (found := unsafe_calls(path.read_text()))} == {}


@pytest.mark.parametrize("call", ["eval(x)", "pickle.loads(x)", "torch.load(x)", "run(x, shell=True)", "run(shell=y)"])
def test_a_call_that_can_run_a_file_is_recognized(call):
    assert unsafe_calls(call)
    assert not unsafe_calls("run(x, shell=False); model.eval(); yaml.load(x, Loader=_Loader); json.load(x)")
