"""What this machine and this model allow: measured ceilings and the bounds they set on the comparisons.

Measures how fast the machine multiplies and reads. Then runs our side of each comparison once and counts what its
passes cannot avoid: the products of every token fed, the weights and the cached keys and values read. What these alone
take at the machine's best rates, over the measured time of the other side, bounds the ratio from below; a closer bound
takes each product at the rate at which torch multiplies that many rows. `make bench` runs it last. Writes
ceilings-cpu.json; what it held of other comparisons stays.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from bench import Bench, Comparison
from tables import RESULTS, markdown, save
from torch import Tensor

from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.engine.passes import Feed
from lm_eval_cachesteer.engine.storage import RowStore

ROWS = (1, 4, 8, 16, 32, 64, 128, 512, 2048)
MOST_ROWS_PACKED = 64
BOUNDED = ("arc-0", "arc-10", "arc-25", "paper", "extraction")


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
    """Multiplications and additions in a second of the model's own matrices with this many rows, packed if it helps."""
    inputs = {weight.shape[1]: torch.randn(rows, weight.shape[1]) for weight in weights}
    operations = 2 * rows * sum(weight.numel() for weight in weights)
    times = [seconds(lambda: [F.linear(inputs[weight.shape[1]], weight) for weight in weights])]
    if 1 < rows <= MOST_ROWS_PACKED and hasattr(torch.ops.mkl, "_mkl_linear"):
        packed = [(weight, torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)) for weight in weights]
        linear = torch.ops.mkl._mkl_linear
        times.append(seconds(lambda: [linear(inputs[w.shape[1]], p, w, None, rows) for w, p in packed]))
    return operations / min(times)


def read_rate() -> float:
    """Bytes read in a second from an array too large for the caches."""
    array = torch.ones(200_000_000)
    return 4 * array.numel() / seconds(array.sum)


@dataclass
class Model:
    """Sizes of a model, in numbers.

    Attributes:
        in_layers: Parameters of the layers' matrices.
        in_head: Parameters of the output matrix.
        per_pair: Multiplications and additions for one token that attends to one other, over all layers.
        kv_bytes: Keys and values of one token, over all layers.
    """

    in_layers: int
    in_head: int
    per_pair: int
    kv_bytes: int

    @classmethod
    def of(cls, model: Any) -> "Model":
        """Reads the sizes from a model."""
        config = model.config
        return cls(
            sum(w.numel() for name, w in model.named_parameters() if w.ndim == 2 and "layers." in name),
            model.get_output_embeddings().weight.numel(),
            4 * config.hidden_size * config.num_hidden_layers,
            8 * config.num_key_value_heads * config.head_dim * config.num_hidden_layers,
        )


@dataclass
class Machine:
    """What the machine can do.

    Attributes:
        rates: Operations in a second of products with so many rows.
        bytes: Bytes read in a second.
    """

    rates: dict[int, float]
    bytes: float

    @property
    def operations(self) -> float:
        """Operations in a second at best."""
        return max(self.rates.values())

    def rate(self, rows: int) -> float:
        """Operations in a second of products with any number of rows: between the measured ones, never falling."""
        best = np.maximum.accumulate(list(self.rates.values()))
        return float(np.interp(np.log2(rows), np.log2(list(self.rates)), best))


@dataclass
class Counted:
    """What the passes of one run cannot avoid.

    Attributes:
        passes: Calls of the model.
        tokens: Tokens fed.
        operations: Multiplications and additions.
        bytes: Weights, keys and values read.
        seconds: The least time: of each pass, the larger one of its operations' and its bytes' time.
        torch_seconds: The same with products at torch's rate for their number of rows, and attention on top.
    """

    passes: int = 0
    tokens: int = 0
    operations: int = 0
    bytes: int = 0
    seconds: float = 0.0
    torch_seconds: float = 0.0

    def add(self, model: Model, machine: Machine, rows: Sequence[tuple[int, int]], predicted: int) -> None:
        """Counts one pass of rows given as (tokens fed, tokens before them)."""
        tokens = sum(fed for fed, _ in rows)
        pairs = sum(fed * before + fed * (fed + 1) // 2 for fed, before in rows)
        layers, head, attention = 2 * model.in_layers * tokens, 2 * model.in_head * predicted, model.per_pair * pairs
        operations = layers + head + attention
        cached = model.kv_bytes * sum(before for _, before in rows)
        read = 4 * (model.in_layers + model.in_head) + cached
        self.passes, self.tokens = self.passes + 1, self.tokens + tokens
        self.operations, self.bytes = self.operations + operations, self.bytes + read
        self.seconds += max(operations / machine.operations, read / machine.bytes)
        self.torch_seconds += layers / machine.rate(tokens) + head / machine.rate(predicted)
        self.torch_seconds += max(attention / machine.operations, cached / machine.bytes)


@contextmanager
def counting(model: Model, machine: Machine) -> Iterator[Counted]:
    """Counts what packed passes do while the block lasts."""
    counted, feed = Counted(), PackedModel.feed

    def counted_feed(
        self: PackedModel, store: RowStore, feeds: Sequence[Feed], wanted: Sequence[int] | None = None
    ) -> Tensor:
        before = [store.lengths[f.slot] + (f.prefix.end if f.prefix is not None else 0) for f in feeds]
        logits = feed(self, store, feeds, wanted)
        if store.slots > 1 or len(feeds[0].tokens) > 1:  # not the token fed to learn the size of a token
            rows = [(len(f.tokens), b) for f, b in zip(feeds, before, strict=True)]
            counted.add(model, machine, rows, max(1, len(feeds) if wanted is None else len(wanted)))
        return logits

    PackedModel.feed = counted_feed  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        PackedModel.feed = feed  # type: ignore[method-assign]


def bound(comparison: Comparison, model: Model, machine: Machine, rounds: int) -> dict[str, Any]:
    """The least ratio that our passes allow, beside the measured one."""
    with counting(model, machine) as counted:
        comparison.ours()
    sides = {"ours": comparison.ours, "theirs": comparison.theirs}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, run in sides.items():
            started = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - started)
    ours, theirs = (statistics.median(times[side]) for side in sides)
    return {
        "work": comparison.work,
        "against": comparison.against,
        "target": comparison.target,
        **asdict(counted),
        "ours_seconds": ours,
        "theirs_seconds": theirs,
        "bound_ratio": counted.seconds / theirs,
        "torch_bound_ratio": counted.torch_seconds / theirs,
        "ratio": ours / theirs,
    }


def main() -> None:
    """Measures, counts, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=BOUNDED, help="names of comparisons")
    parser.add_argument("--rounds", type=int, default=1, help="timed runs of each side")
    parser.add_argument("--scale", type=float, default=0.5, help="factor on the number of requests")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    bench = Bench("cpu", "float32", arguments.scale)
    model = Model.of(bench.loaded.model)
    with torch.inference_mode():
        weights = [p for name, p in bench.loaded.model.named_parameters() if p.ndim == 2 and "embed" not in name]
        rates = {rows: product_rate(weights, rows) for rows in ROWS}
        reading = read_rate()
    machine = Machine(rates, reading)
    measured: dict[str, Any] = {
        "product_gflops_by_rows": {rows: rate / 1e9 for rows, rate in rates.items()},
        "read_gb_per_second": reading / 1e9,
        "weights_gb": 4 * (model.in_layers + model.in_head) / 1e9,
        "decode_step_bound_ms": 1000 * 4 * (model.in_layers + model.in_head) / reading,
    }
    path = arguments.out / "ceilings-cpu.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    measured["bounds"] = earlier.get("bounds", {})
    comparisons = bench.comparisons()
    for name in arguments.only:
        measured["bounds"][name] = bound(comparisons[name](), model, machine, arguments.rounds)
        save(path, measured)
    print(json.dumps({name: found for name, found in measured.items() if name != "bounds"}, indent=2))
    print(
        markdown(
            [
                "work",
                "tokens fed",
                "passes",
                "bound, s",
                "ours, s",
                "theirs, s",
                "least ratio",
                "least with torch",
                "ratio",
                "target",
            ],
            [
                [
                    found["work"],
                    found["tokens"],
                    found["passes"],
                    *(f"{found[name]:.1f}" for name in ("seconds", "ours_seconds", "theirs_seconds")),
                    *(f"{found[name]:.2f}" for name in ("bound_ratio", "torch_bound_ratio", "ratio", "target")),
                ]
                for found in (measured["bounds"][name] for name in arguments.only)
            ],
        )
    )


if __name__ == "__main__":
    main()
