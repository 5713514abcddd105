"""Imported by the server of processes: commands have been run, so that what they load at first use is there."""

import contextlib
import gc
import io
import tempfile
from pathlib import Path

import torch
import typer

from lm_eval_cachesteer import cli

from . import jobs

torch.set_num_threads(1)  # a process that has started threads must not fork
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
    inputs, out = Path(folder) / "inputs", Path(folder) / "out"
    jobs.write_inputs(Path(folder))
    for command in (
        ("extract", "--contrast", inputs / "contrast.jsonl", "--pretrained", inputs / "tiny-llama", "--fewshot", 1),
        ("report", inputs / "runs"),
    ):
        cli.app([*map(str, command), "--out", str(out / f"{command[0]}.safetensors")], standalone_mode=False)
cli.app = typer.main.get_command(cli.app)  # typer would build all commands anew in each process
gc.freeze()  # what is there is not looked through, and so not copied, in each process
