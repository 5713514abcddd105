"""The files that the rows of the table of errors start from, and the names they can use."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.errors import CachesteerError

from ..conftest import build_model, make_vectors
from ..harness.support import generation, likelihood
from ..results.support import right_and_wrong, write_run
from .support import file_of, header_text, numbers


def needs(holds: bool) -> None:
    """Skips a row whose message other versions of a library do not lead to."""
    if not holds:
        pytest.skip("with the installed versions something else is said")


_SHARED = {"torch": torch, "os": os, "json": json, "mock": mock} | {
    one.__name__: one
    for one in (
        *(Path, file_of, header_text, numbers, right_and_wrong, generation, likelihood, make_vectors, build_model),
        *(SteeringVectors, VectorMetadata, CacheEdit, WeightedVectors, CachesteerError, needs),
    )
}
_ITEMS = [{"question": f"Q{i}?", "reasoning": f"Because of {i}.", "answer": f"A{i}", "id": f"q-{i}"} for i in range(6)]


def fill(folder: Path, model: Any, tokenizer: Any, llama: Path) -> None:
    """Puts the files into a folder.

    Args:
        folder: The folder, to be made.
        model: The tiny llama.
        tokenizer: Its tokenizer.
        llama: Its checkpoint.
    """
    folder.mkdir(parents=True)
    (folder / "llama").symlink_to(llama, target_is_directory=True)
    (newline,) = tokenizer.encode("\n")
    for name, settings in {
        "good": {},
        "plain": {"recommended_c_values": None},
        "newline": {"offset_token": "\n", "offset_token_id": newline},
        "vocabulary": {"offset_token": "\n", "offset_token_id": 77},
        "other_layer": {"layers": [1]},
    }.items():
        make_vectors(model, **settings).save(folder / f"{name}.safetensors")
    make_vectors(build_model("gpt2")).save(folder / "gpt2.safetensors")
    wide, zero = torch.ones(2, 16), torch.zeros(2, 8)
    unknown = VectorMetadata(kind="test", model_id="tiny-llama", recommended_c_values=1.0)
    SteeringVectors({1: wide}, {1: wide}, unknown).save(folder / "wide.safetensors")
    SteeringVectors({1: zero}, {1: zero}, unknown).save(folder / "zero.safetensors")
    (folder / "set.jsonl").write_text("\n".join(map(json.dumps, _ITEMS)))
    (folder / "pairs.jsonl").write_text('{"positive": "Yes, I see.", "negative": "No."}\n')
    (folder / "prompts.jsonl").write_text('{"prompt": "What melts ice?"}\n')
    for name, pattern in (("base", "1100"), ("other", "1010")):
        results = {"a": {"alias": "a", "exact_match,none": 0.5}}
        write_run(folder / name, {"a": right_and_wrong(pattern)}, results=results, model_name="m")
    (folder / "policy.yaml").write_text("checks: [{metric: exact_match, at_least: 0.4}]\n")
    (folder / "file").write_text("no folder\n")


def names(model: Any, tokenizer: Any, stack: contextlib.ExitStack) -> dict[str, Any]:
    """What setups and inputs in Python can use.

    Args:
        model: The tiny llama.
        tokenizer: Its tokenizer.
        stack: Undoes what rows patch.
    """

    def lm(arguments: str) -> Any:
        """The backend as lm_eval makes it; of the tiny llama, unless another model is named."""
        from lm_eval_cachesteer.harness.backend import CacheSteerLM

        settings = "device=cpu,batch_size=4" + ("" if "pretrained=" in arguments else ",pretrained=llama")
        return CacheSteerLM.create_from_arg_string(f"{settings},{arguments}")

    def write(name: str, content: str | bytes) -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)

    def run(folder: str, tasks: dict[str, Any], **content: Any) -> Path:
        samples = {task: right_and_wrong(given) if isinstance(given, str) else given for task, given in tasks.items()}
        return write_run(Path(folder), samples, **content)

    def patch(target: str, value: Any) -> None:
        stack.enter_context(mock.patch(target, value))

    def missing(module: str) -> None:
        stack.enter_context(mock.patch.dict(sys.modules, {module: None}))

    def fails(error: BaseException) -> Any:
        return mock.Mock(side_effect=error)

    def steerer(name: str = "good.safetensors", **settings: Any) -> Any:
        from lm_eval_cachesteer import KVSteerer

        return KVSteerer.from_pretrained(name, **settings)

    def ids(*texts: str, side: str = "left") -> dict[str, torch.Tensor]:
        tokenizer.padding_side = side
        return dict(tokenizer(list(texts), return_tensors="pt", padding=True))

    own = {one.__name__: one for one in (lm, write, run, patch, missing, fails, steerer, ids)}
    return _SHARED | own | {"model": model, "tokenizer": tokenizer, "environ": os.environ}
