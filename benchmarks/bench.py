"""Times whole runs of hf-cachesteer against what people run today: `make bench`.

Each comparison runs both sides in this process on the same loaded model, one after the other and again, and reports
medians. Outputs are compared as well. Prints one Markdown table and writes
bench-DEVICE.json; plot.py draws it.
"""

import argparse
import gc
import json
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from rivals import ANSWER_PROMPT, ANSWER_TOKENS, PaperLM, activation_steered, paper_extraction, stock
from tables import RESULTS, markdown
from tables import save as write
from tqdm import tqdm
from work import Work

from lm_eval_cachesteer.core.prompts import PromptSettings, TokenPair, build_pairs
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.extraction import extract
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.sources.models import load_model
from lm_eval_cachesteer.sources.resolve import resolve_contrast_set, resolve_vectors

STEERING = {"vectors": "stepwise"}
BATCH = 16


@dataclass
class Comparison:
    """One row of the table.

    Attributes:
        work: What is done.
        against: The other side.
        target: Largest time ratio aimed at.
        ours: Does the work once with us.
        theirs: Does it once with the other side.
        agree: Compares the outputs; returns what is reported.
        more_rounds: Factor on the number of rounds, for short work whose ratio must be known closely.
    """

    work: str
    against: str
    target: float
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[Any, Any], str]
    more_rounds: int = 1


@dataclass
class Result:
    """What was measured of one comparison; seconds."""

    work: str
    against: str
    target: float
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    agreement: str = ""

    @property
    def ratio(self) -> float:
        """Median over the pairs of runs of ours / theirs."""
        return statistics.median(o / t for o, t in zip(self.ours, self.theirs, strict=True))


class Bench:
    """Builds the comparisons on one loaded model."""

    def __init__(self, device: str | None, dtype: str, scale: float) -> None:
        self.loaded = load_model(device=device, dtype=dtype)
        self.scale = scale
        self.stock = stock(self.loaded.model, self.loaded.tokenizer, BATCH)
        self.work = Work(self.stock)
        self.folder = tempfile.TemporaryDirectory()

    def ours(self, **arguments: Any) -> CacheSteerLM:
        """Our backend on the same model."""
        settings: dict[str, Any] = {"batch_size": BATCH, "device": str(self.loaded.model.device)} | arguments
        return CacheSteerLM(self.loaded.model, tokenizer=self.loaded.tokenizer, **settings)

    @cached_property
    def pairs(self) -> list[TokenPair]:
        """100 contrast pairs with 5 shots."""
        return build_pairs(resolve_contrast_set("stepwise"), self.loaded.tokenizer, PromptSettings(fewshot=5))[:100]

    @cached_property
    def vectors(self) -> SteeringVectors:
        """The shipped vectors."""
        return resolve_vectors("stepwise")[0].vectors

    def count(self, number: int) -> int:
        """A number of requests, scaled."""
        return max(1, round(number * self.scale))

    def comparisons(self) -> dict[str, Callable[[], Comparison]]:
        """All comparisons by name; each is built when its turn comes."""
        return {
            "decode-1": lambda: self._decode(1),
            "decode-16": lambda: self._decode(BATCH),
            "compile": self._compile,
            "gsm8k": lambda: self._generation("zero-shot GSM8K, 256 tokens", 0.80, self.count(32)),
            "gsm8k-cot": lambda: self._generation("8-shot CoT GSM8K, 256 tokens", 0.50, self.count(16), shots=8),
            "arc-0": lambda: self._likelihood(0, 0.35, self.count(64)),
            "arc-10": lambda: self._likelihood(10, 0.10, self.count(8)),
            "arc-10-fixed": lambda: self._likelihood(10, 0.10, self.count(8), fixed=True),
            "arc-25": lambda: self._likelihood(25, 0.05, self.count(4)),
            "arc-25-fixed": lambda: self._likelihood(25, 0.05, self.count(8), fixed=True),
            "repeats": lambda: self._generation(
                "self-consistency, 8 repeats, 128 tokens", 0.60, self.count(6), repeats=8, max_gen_toks=128,
                do_sample=True, temperature=0.7,
            ),
            "paper": self._paper,
            "activation": self._activation,
            "extraction": self._extraction,
        }  # fmt: skip

    def _decode(self, batch_size: int) -> Comparison:
        requests = self.work.word_problems(batch_size, until=[], max_gen_toks=96, min_new_tokens=96)
        one_by_one = {"batch_size": batch_size, "draft_tokens": 0}  # how many drafts hold depends on the text
        steered = self.ours(**one_by_one, **STEERING)
        plain = self.ours(**one_by_one, offset_token=steered.plan.offset_text)
        return Comparison(
            f"decode, 96 tokens, batch {batch_size}", "our engine, unsteered", 1.01,
            lambda: steered.generate_until(requests, disable_tqdm=True),
            lambda: plain.generate_until(requests, disable_tqdm=True),
            lambda one, two: f"{_equal(one, two)}/{len(one)} texts equal: steering changes the others",
            more_rounds=2,
        )  # fmt: skip

    def _compile(self) -> Comparison:
        requests = self.work.word_problems(BATCH, until=[], max_gen_toks=96, min_new_tokens=96)
        compiled, eager = self.ours(compile=True, **STEERING), self.ours(draft_tokens=0, **STEERING)
        started = time.perf_counter()
        compiled.generate_until(requests, disable_tqdm=True)
        first = time.perf_counter() - started
        return Comparison(
            f"decode, 96 tokens, batch {BATCH}, compile=true", "our engine, not compiled", 1.0,
            lambda: compiled.generate_until(requests, disable_tqdm=True),
            lambda: eager.generate_until(requests, disable_tqdm=True),
            lambda one, two: f"{_equal(one, two)}/{len(one)} texts equal; the first run, which compiles, {first:.0f} s",
        )  # fmt: skip

    def _generation(self, work: str, target: float, count: int, *, shots: int = 0, **settings: Any) -> Comparison:
        requests = self.work.word_problems(count, shots=shots, **settings)
        steered, plain = self.ours(**STEERING), self.ours()
        greedy = not settings.get("do_sample")

        def agree(_: Sequence[str], theirs: Sequence[str]) -> str:
            if not greedy:
                return "sampled: texts are not comparable"
            same = plain.generate_until(requests, disable_tqdm=True)
            near_ties = plain.counts.of("generate_until").near_ties
            return f"unsteered: {_equal(same, theirs)}/{len(theirs)} texts equal, {near_ties} near-ties"

        return Comparison(
            f"generate_until, {work}, {len(requests)} requests", "hf, unsteered", target,
            lambda: steered.generate_until(requests, disable_tqdm=True),
            lambda: self.stock.generate_until(requests, disable_tqdm=True),
            agree,
        )  # fmt: skip

    def _likelihood(self, shots: int, target: float, count: int, *, fixed: bool = False) -> Comparison:
        requests = self.work.choices(count, shots=shots, fixed=fixed)
        steered, plain = self.ours(**STEERING), self.ours()

        def agree(_: Any, theirs: Sequence[tuple[float, bool]]) -> str:
            same = plain.loglikelihood(requests, disable_tqdm=True)
            largest = max(abs(a[0] - b[0]) for a, b in zip(same, theirs, strict=True))
            greedy = sum(a[1] == b[1] for a, b in zip(same, theirs, strict=True))
            return f"unsteered: largest difference {largest:.1e}, is_greedy equal {greedy}/{len(theirs)}"

        return Comparison(
            f"loglikelihood, ARC-Challenge {shots}-shot{' fixed' if fixed else ''}, {len(requests)} requests",
            "hf, unsteered", target,
            lambda: steered.loglikelihood(requests, disable_tqdm=True),
            lambda: self.stock.loglikelihood(requests, disable_tqdm=True),
            agree,
        )  # fmt: skip

    def _paper(self) -> Comparison:
        requests = self.work.word_problems(self.count(32), max_gen_toks=256)
        ours = self.ours(**STEERING, answer_prompt=ANSWER_PROMPT, answer_tokens=ANSWER_TOKENS)
        theirs = PaperLM(self.loaded.model, self.loaded.tokenizer, self.vectors, BATCH)
        return Comparison(
            f"zero-shot GSM8K, 256 tokens and an answer stage, {len(requests)} requests", "the paper's algorithm", 0.50,
            lambda: ours.generate_until(requests, disable_tqdm=True),
            lambda: theirs.generate_until(requests),
            lambda one, two: f"steered: {_equal(one, two)}/{len(one)} texts equal",
        )  # fmt: skip

    def _activation(self) -> Comparison:
        requests = self.work.word_problems(self.count(32), max_gen_toks=256)
        ours = self.ours(**STEERING)
        theirs = activation_steered(
            self.loaded.model, self.loaded.tokenizer, BATCH, self.pairs[:10], Path(self.folder.name)
        )
        return Comparison(
            f"generate_until, zero-shot GSM8K, 256 tokens, {len(requests)} requests", "the harness's `steered`", 0.75,
            lambda: ours.generate_until(requests, disable_tqdm=True),
            lambda: theirs.generate_until(requests, disable_tqdm=True),
            lambda *_: "other steering, other texts",
        )  # fmt: skip

    def _extraction(self) -> Comparison:
        pairs = self.pairs[: self.count(100)]
        model, pad = self.loaded.model, self.loaded.tokenizer.pad_token_id
        metadata = self.vectors.metadata

        def agree(ours: SteeringVectors, theirs: dict[str, torch.Tensor]) -> str:
            tensors = {f"keys.{i}": t for i, t in ours.keys.items()} | {
                f"values.{i}": t for i, t in ours.values.items()
            }
            largest = max(
                float((tensors[name] - state).abs().max() / state.abs().max()) for name, state in theirs.items()
            )
            return f"largest relative difference {largest:.1e}"

        return Comparison(
            f"extraction, {len(pairs)} pairs, 5 shots", "the paper's loop", 0.50,
            lambda: extract(model, pairs, metadata, pad_token_id=pad),
            lambda: paper_extraction(model, pairs),
            agree,
        )  # fmt: skip


def _equal(one: Sequence[Any], two: Sequence[Any]) -> int:
    return sum(a == b for a, b in zip(one, two, strict=True))


def measure(comparison: Comparison, rounds: int, bar: "tqdm[Any]") -> Result:
    """Times both sides in turn; the outputs of the first round are compared."""
    result = Result(comparison.work, comparison.against, comparison.target)
    bar.set_description(comparison.work)
    for number in range(rounds * comparison.more_rounds):
        sides = [(result.ours, comparison.ours), (result.theirs, comparison.theirs)]
        outputs = {}
        for seconds, run in sides if number % 2 == 0 else reversed(sides):
            gc.collect()
            started = time.perf_counter()
            outputs[run] = run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
        if not result.agreement:
            result.agreement = comparison.agree(outputs[comparison.ours], outputs[comparison.theirs])
        bar.update(1 / comparison.more_rounds)
    return result


def main() -> None:
    """Runs the comparisons asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="names of comparisons")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of requests")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    bench = Bench(arguments.device, arguments.dtype, arguments.scale)
    comparisons = {n: c for n, c in bench.comparisons().items() if arguments.only is None or n in arguments.only}
    results: dict[str, Result] = {}
    with tqdm(total=len(comparisons) * arguments.rounds, unit="round") as bar:
        for name, build in comparisons.items():
            results[name] = measure(build(), arguments.rounds, bar)
            save(results, arguments.out, bench)
            bar.write(table({name: results[name]}).split("\n")[2])
    print("\n" + table(results))


def save(results: dict[str, Result], folder: Path, bench: Bench) -> None:
    """Writes what was measured so far; results of other comparisons in the file stay."""
    path = folder / f"bench-{bench.loaded.model.device.type}.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"results": {}}
    content["machine"] = {
        "device": torch.cuda.get_device_name() if bench.loaded.model.device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": str(bench.loaded.model.dtype),
        "items": bench.work.source,
    }
    content["results"] |= {name: asdict(result) | {"ratio": result.ratio} for name, result in results.items()}
    write(path, content)


def table(results: dict[str, Result]) -> str:
    """The table."""
    rows = []
    for result in results.values():
        ours, theirs = statistics.median(result.ours), statistics.median(result.theirs)
        target = f"{result.target}{'' if result.ratio <= result.target else ' (missed)'}"
        seconds = [f"{ours:.2f}", f"{theirs:.2f}", f"{result.ratio:.2f}"]
        rows.append([result.work, result.against, *seconds, target, result.agreement])
    return markdown(["work", "against", "ours, s", "theirs, s", "ratio", "target", "outputs"], rows)


if __name__ == "__main__":
    main()
