"""Makes the shipped vectors of the embedded model from the shipped contrast sets: `make vectors`.

For each contrast set: extract by its recipe, then choose the recommended coefficient on the development prompts
(development.jsonl beside this script), which are in no contrast set and in no task. The rule: the smallest
coefficient at which at least 95 % of the answers adhere and at most 5 points more of them loop than unsteered; if there
is none, the one with the highest adherence among those that keep the cap on loops; if none keeps it, the one with the
fewest loops. Everything tried is kept in
development.json beside the vectors, and drawn in sweeps.svg.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plot_sweeps import plot_sweeps
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from lm_eval_cachesteer import KVSteerer, SteeringVectors
from lm_eval_cachesteer.cli.extract import extract
from lm_eval_cachesteer.core.decode import PaddedBatch
from lm_eval_cachesteer.metrics import ADHERENCE, is_looping
from lm_eval_cachesteer.sources.folders import contrast_folder, vectors_folder
from lm_eval_cachesteer.sources.models import LoadedModel, load_model
from lm_eval_cachesteer.sources.resolve import model_folder

COEFFICIENTS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
MIN_ADHERENCE = 0.95
MAX_MORE_LOOPS = 0.05
NEW_TOKENS = 128


@dataclass(frozen=True)
class Recipe:
    """How a set's vectors are extracted; the names are the options of `cachesteer extract`."""

    items: str = "*"
    pairs: int | None = None
    against: str | None = None
    fewshot: int = 5


# Multiple choice and word problems, reasoning against the answer alone: the paper's contrast.
REASONING = Recipe(items="[mw]*", pairs=60)
# Open questions, one form of reasoning against plain reasoning: what is left is the form.
FORM = Recipe(items="open-*", against="cot", fewshot=6)
RECIPES = {
    "cot": REASONING,
    "stepwise": REASONING,
    "strategy_execution": FORM,
    "causal_chain": FORM,
    "annotated_deduction": FORM,
    "analogical_reasoning": FORM,
}


@dataclass(frozen=True)
class Trial:
    """What one coefficient did on the development prompts."""

    c_values: float
    adherence: float
    looping: float


def main() -> None:
    """Makes all vectors, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in contrast_folder().glob("*.jsonl"))
    parser.add_argument("kinds", nargs="*", default=known, help=f"contrast sets; by default all: {', '.join(known)}")
    parser.add_argument("--keep", action="store_true", help="keep vectors that are there, choose coefficients anew")
    arguments = parser.parse_args()
    transformers_logging.disable_progress_bar()
    loaded = load_model(device="cpu", dtype="float32")
    folder = vectors_folder() / model_folder(loaded.model_id)
    for kind in arguments.kinds:
        path, recipe = folder / f"{kind}.safetensors", RECIPES.get(kind, Recipe())
        if not (arguments.keep and path.is_file()):
            extract(contrast=kind, out=path, **asdict(recipe))
        vectors = SteeringVectors.load(path)
        trials = try_coefficients(loaded, vectors, development_prompts())
        best = choose(trials)
        vectors.recommend(0.0, best.c_values).save(path)
        record(folder / "development.json", kind, trials, best)
        plot_sweeps(folder / "development.json")
        print(f"{kind}: c_values {best.c_values:g}, adherence {best.adherence:.0%}, looping {best.looping:.0%}")


def development_prompts() -> list[str]:
    """The development prompts."""
    lines = Path(__file__).with_name("development.jsonl").read_text(encoding="utf-8").strip().split("\n")
    return [json.loads(line)["prompt"] for line in lines]


def try_coefficients(loaded: LoadedModel, vectors: SteeringVectors, prompts: list[str]) -> list[Trial]:
    """Tries no steering, and all coefficients."""
    trials: list[Trial] = []
    for coefficient in tqdm((0.0, *COEFFICIENTS), desc=f"Trying {vectors.metadata.kind}", unit="coefficient"):
        answers = respond(loaded, vectors, prompts, coefficient)
        adherence = sum(map(ADHERENCE[vectors.metadata.kind], answers)) / len(answers)
        trials.append(Trial(coefficient, adherence, sum(map(is_looping, answers)) / len(answers)))
    return trials


def respond(loaded: LoadedModel, vectors: SteeringVectors, prompts: list[str], coefficient: float) -> list[str]:
    """Greedy answers to chat prompts; at coefficient 0 those of the model as it is, without an offset token."""
    tokenizer = loaded.tokenizer
    rows = [
        tokenizer.apply_chat_template([{"role": "user", "content": p}], add_generation_prompt=True, tokenize=True)[
            "input_ids"
        ]
        for p in prompts
    ]
    batch = PaddedBatch.of(rows, tokenizer.pad_token_id, loaded.model.device)
    settings: dict[str, Any] = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
    if coefficient:
        steerer = KVSteerer(vectors)
        tokens = steerer.steer(loaded.model, batch.input_ids, batch.attention_mask, ck=0.0, cv=coefficient, **settings)
    else:
        tokens = loaded.model.generate(batch.input_ids, attention_mask=batch.attention_mask, **settings)
    answers: list[str] = tokenizer.batch_decode(tokens[:, batch.input_ids.shape[1] :], skip_special_tokens=True)
    return answers


def meets_rule(trial: Trial, unsteered: Trial) -> bool:
    """Whether a coefficient has the adherence asked for and keeps the cap on loops."""
    return trial.adherence >= MIN_ADHERENCE and keeps_cap(trial, unsteered)


def keeps_cap(trial: Trial, unsteered: Trial) -> bool:
    """Whether a coefficient makes at most the allowed share of answers loop."""
    return trial.looping <= unsteered.looping + MAX_MORE_LOOPS


def choose(trials: list[Trial]) -> Trial:
    """The recommended trial by the rule; `trials` are ascending and begin with the unsteered one."""
    unsteered, *steered = trials
    capped = [trial for trial in steered if keeps_cap(trial, unsteered)]
    if not capped:
        return min(steered, key=lambda t: t.looping)
    return next((t for t in capped if meets_rule(t, unsteered)), max(capped, key=lambda t: t.adherence))


def record(path: Path, kind: str, trials: list[Trial], best: Trial) -> None:
    """Keeps everything tried, by kind."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept[kind] = {"recommended": asdict(best), "trials": [asdict(trial) for trial in trials]}
    path.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
