"""What this machine and this model allow: measured ceilings and the bounds they set on the comparisons.

Counts the multiplications and the bytes that a comparison cannot avoid, measures how fast the machine multiplies and
reads, and prints the shortest times. `make bench` runs it last. Writes ceilings-cpu.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rivals import paper_extraction
from torch import Tensor

from lm_eval_cachesteer.core.prompts import PromptSettings, TokenPair, build_pairs
from lm_eval_cachesteer.engine.prefixes import PromptPath, prefix_tree
from lm_eval_cachesteer.sources.models import load_model
from lm_eval_cachesteer.sources.resolve import resolve_contrast_set


def seconds(work: Callable[[], Any], rounds: int = 7) -> float:
    """Median time of some work after one run untimed."""
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def product_rate(weights: Sequence[Tensor], rows: int) -> float:
    """Multiplications and additions in a second of the model's own matrices with this many rows."""
    inputs = {weight.shape[1]: torch.randn(rows, weight.shape[1]) for weight in weights}
    operations = 2 * rows * sum(weight.numel() for weight in weights)
    return operations / seconds(lambda: [F.linear(inputs[weight.shape[1]], weight) for weight in weights])


def read_rate() -> float:
    """Bytes read in a second from an array too large for the caches."""
    array = torch.ones(200_000_000)
    return 4 * array.numel() / seconds(array.sum)


def extraction_bound(model: Any, pairs: Sequence[TokenPair], rate: float) -> dict[str, float]:
    """The shortest time for an extraction at the rate of the model's largest products, against the paper's loop.

    What cannot be avoided: every distinct token through every matrix of the layers. Not counted: attention, norms,
    activations, anything else.
    """
    prompts = [side for pair in pairs for side in (pair.positive, pair.negative)]
    work, distinct = list(prefix_tree([PromptPath(prompt) for prompt in prompts]).children), 0
    while work:
        node = work.pop()
        distinct += len(node.tokens)
        work += node.children
    parameters = sum(w.numel() for name, w in model.named_parameters() if w.ndim == 2 and "layers." in name)
    theirs = seconds(lambda: paper_extraction(model, pairs), rounds=3)
    bound = 2 * parameters * distinct / rate
    return {
        "tokens": sum(map(len, prompts)),
        "tokens_without_shared_beginnings": distinct,
        "bound_seconds": bound,
        "papers_loop_seconds": theirs,
        "bound_ratio": bound / theirs,
    }


def main() -> None:
    """Measures, counts, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the results")
    parser.add_argument("--pairs", type=int, default=20, help="contrast pairs of the extraction bound")
    arguments = parser.parse_args()
    loaded = load_model(device="cpu", dtype="float32")
    model = loaded.model
    with torch.inference_mode():
        weights = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        rates = {rows: product_rate(weights, rows) for rows in (1, 16, 32, 128, 512, 2048)}
        pairs = build_pairs(resolve_contrast_set("stepwise"), loaded.tokenizer, PromptSettings(fewshot=5))
        head = model.get_output_embeddings().weight
        bytes_of_weights = 4 * (sum(w.numel() for w in weights) + head.numel())
        reading = read_rate()
        measured = {
            "product_gflops_by_rows": {rows: rate / 1e9 for rows, rate in rates.items()},
            "read_gb_per_second": reading / 1e9,
            "weights_gb": bytes_of_weights / 1e9,
            "decode_step_bound_ms": 1000 * bytes_of_weights / reading,
            "extraction": extraction_bound(model, pairs[: arguments.pairs], max(rates.values())),
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "ceilings-cpu.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
