"""Measures cost against size: time and peak memory of 50, 200 and 800 requests, each in a process of its own.

`make bench` runs it after the comparisons. Writes scaling-cpu.json.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tables import RESULTS, markdown, save

SIZES = (50, 200, 800)
NEW_TOKENS = 24
BATCH = 16


def main() -> None:
    """Measures all sizes, or one of them for the other process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size, medians are reported")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one[0], int(arguments.one[1]))))
        return
    measured: dict[str, dict[int, dict[str, float]]] = {}
    for kind in ("generate_until", "loglikelihood"):
        runs: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
        for _ in range(arguments.rounds):
            for size in SIZES:
                runs[size].append(in_a_process(kind, size))
        measured[kind] = {
            size: {name: statistics.median(run[name] for run in found) for name in found[0]}
            for size, found in runs.items()
        }
    save(arguments.out / "scaling-cpu.json", measured)
    print(
        markdown(
            ["work", "requests", "seconds", "ms for one", "peak memory, GiB"],
            [
                [
                    kind,
                    size,
                    f"{found['seconds']:.1f}",
                    f"{1000 * found['seconds_per_request']:.0f}",
                    f"{found['peak_gib']:.2f}",
                ]
                for kind, by_size in measured.items()
                for size, found in by_size.items()
            ],
        )
    )


def in_a_process(kind: str, size: int) -> dict[str, float]:
    """Measures one size in a fresh process, so that peaks are its own."""
    command = [sys.executable, __file__, "--one", kind, str(size)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ)  # noqa: S603
    result: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def run(kind: str, size: int) -> dict[str, float]:
    """Seconds for one request, and peak memory; a small run comes first."""
    from work import Work

    from lm_eval_cachesteer.harness.backend import CacheSteerLM
    from lm_eval_cachesteer.sources.models import load_model

    loaded = load_model(device="cpu", dtype="float32")
    lm = CacheSteerLM(
        loaded.model, tokenizer=loaded.tokenizer, batch_size=BATCH, device="cpu", vectors="stepwise", kv_memory=2
    )
    work = Work(lm)

    if kind == "loglikelihood":
        smallest = work.choices(-(-SIZES[0] // 4), shots=0)[: SIZES[0]]
    else:
        smallest = work.word_problems(SIZES[0], max_gen_toks=NEW_TOKENS)
    answer = getattr(lm, kind)
    answer(smallest[:BATCH], disable_tqdm=True)
    all_requests = [variant(smallest[i % len(smallest)], i // len(smallest)) for i in range(size)]
    started = time.perf_counter()
    answer(all_requests, disable_tqdm=True)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "seconds_per_request": seconds / size,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20),
    }


def variant(request: Any, number: int) -> Any:
    """The request, or another of its length whose question starts differently, so that the two share nothing more."""
    context = re.sub(r"\b(Q|Question):", rf"\1 {number}:", request.args[0]) if number else request.args[0]
    return type(request)(request.request_type, {}, (context, *request.args[1:]), number)


if __name__ == "__main__":
    main()
