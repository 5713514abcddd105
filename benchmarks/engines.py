"""Times vllm-cachesteer: steered against unsteered, and against hf-cachesteer. Needs vLLM (docs/vllm.md).

Both sides of a comparison run in this process, one after the other and again; medians are reported, outputs compared.
Prints a Markdown table and writes engines-cpu.json.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# In this process, so that both sides have the same threads.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")

import torch
from tables import RESULTS, markdown, save
from vllm import SamplingParams
from work import Work

from lm_eval_cachesteer.harness.arguments import SteeringArguments
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.harness.vllm_backend import VLLMCacheSteerLM

VECTORS = "stepwise"
LONGEST = 1024


def main() -> None:
    """Times both comparisons."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--eager", action="store_true", help="without torch.compile in vLLM")
    parser.add_argument("--without-hf", action="store_true", help="only steered against unsteered")
    asked = parser.parse_args()
    ours = VLLMCacheSteerLM(dtype="float32", max_model_len=LONGEST, vectors=VECTORS, enforce_eager=asked.eager)
    work = Work(ours)
    requests = work.word_problems(asked.questions, max_gen_toks=asked.tokens)

    def answer(lm: Any) -> Callable[[], list[str]]:
        def once() -> list[str]:
            if lm is ours:
                _steer_anew(ours, VECTORS)
            return list(lm.generate_until(requests, disable_tqdm=True))

        return once

    def answer_to_the_length(vectors: str | None) -> Callable[[], list[str]]:
        prompts = [ours.tok_encode(request.args[0]) for request in requests]
        sampling = SamplingParams(temperature=0, max_tokens=asked.tokens, ignore_eos=True)

        def once() -> list[str]:
            _steer_anew(ours, vectors)
            found = ours._model_generate(prompts, generate=True, sampling_params=[sampling] * len(prompts))
            return [output.outputs[0].text for output in found]

        return once

    comparisons = {
        "steered / unsteered, all answers of the same length": (
            answer_to_the_length(VECTORS),
            answer_to_the_length(None),
        )
    }
    if not asked.without_hf:
        theirs = CacheSteerLM(device="cpu", batch_size=16, max_length=LONGEST, vectors=VECTORS)
        comparisons["vllm-cachesteer / hf-cachesteer, batch 16, both steered"] = (answer(ours), answer(theirs))
    rows: list[dict[str, Any]] = []
    for name, (first, second) in comparisons.items():
        times, outputs = _alternate(first, second, asked.rounds)
        medians = [statistics.median(of) for of in times]
        same = sum(one == other for one, other in zip(*outputs, strict=True))
        ratios = [one / other for one, other in zip(*times, strict=True)]
        rows.append({"comparison": name, "seconds": medians, "ratio": medians[0] / medians[1], "ratios": ratios})
        rows[-1]["same answers"] = f"{same} of {asked.questions}"
        print(f"{name}: {rows[-1]}", flush=True)
    head = ("comparison", "seconds", "ratio", "same answers")
    lines = [
        (row["comparison"], " / ".join(f"{s:.1f}" for s in row["seconds"]), f"{row['ratio']:.3f}", row["same answers"])
        for row in rows
    ]
    print(markdown(head, lines))
    content = {"settings": vars(asked), "work": work.source, "threads": torch.get_num_threads(), "comparisons": rows}
    save(RESULTS / "engines-cpu.json", content)


def _steer_anew(lm: VLLMCacheSteerLM, vectors: str | None) -> None:
    """Steers an engine otherwise, and has it forget the prompts it knows."""
    lm.steer(SteeringArguments(vectors=vectors))
    lm.model.reset_prefix_cache()


def _alternate(
    first: Callable[[], list[str]], second: Callable[[], list[str]], rounds: int
) -> tuple[list[list[float]], list[list[str]]]:
    """Seconds of both sides, after a round that is not counted, and their last outputs."""
    times: list[list[float]] = [[], []]
    outputs: list[list[str]] = [[], []]
    for number in range(rounds + 1):
        order = (0, 1) if number % 2 else (1, 0)
        for side in order:
            started = time.perf_counter()
            outputs[side] = (first, second)[side]()
            if number:
                times[side].append(time.perf_counter() - started)
    return times, outputs


if __name__ == "__main__":
    main()
