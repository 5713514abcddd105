"""What each process of the test run does; the reference runs use the same functions in one process.

Run as a program by a launcher: evaluates some tasks, answers requests tensor parallel, then fails on rank 1 only.
"""

import json
import os
import sys
from pathlib import Path

import lm_eval
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from lm_eval_cachesteer.harness.backend import CacheSteerLM

from ..conftest import random_texts
from ..harness.support import generation, likelihood, rolling

TASKS = ["tiny_text", "tiny_sampled", "tiny_choice", "tiny_rolling"]
BROKEN = "tiny_broken"

TEXTS = random_texts(5, 2, 40)
PAIRS = [(text, ending) for text in TEXTS for ending in (" yes", " n")]
LONG = random_texts(2, 300, 500)
STEERING = {"c_keys": 0.5, "c_values": 2.0, "heads": 5}  # five of six edited heads: not alike in both processes


def evaluate(folder, names, output, **arguments):
    """Evaluates tasks as the harness's command line does, and has its tracker write results and samples.

    Args:
        folder: Folder of the task files.
        names: The tasks.
        output: Where results go.
        **arguments: Further arguments of `simple_evaluate`, model_args among them.
    """
    tracker = EvaluationTracker(output_path=str(output))
    results = lm_eval.simple_evaluate(
        model="hf-cachesteer",
        tasks=names,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        batch_size=2,
        device="cpu",
        evaluation_tracker=tracker,
        **arguments,
    )
    if results is None:  # not the first rank
        return
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in names:
        tracker.save_results_samples(task_name=name, samples=samples[name])


def answer(model, vectors, **arguments):
    """Answers to all kinds of requests, what was counted, and how many heads of each layer are edited here."""
    lm = CacheSteerLM(str(model), vectors=str(vectors), device="cpu", batch_size=4, **STEERING, **arguments)
    return {
        "texts": lm.generate_until(generation(TEXTS), disable_tqdm=True),
        "scores": lm.loglikelihood(likelihood(PAIRS), disable_tqdm=True),
        "rolling": lm.loglikelihood_rolling(rolling(LONG), disable_tqdm=True),
        "counts": lm.counts.summary(),
        "heads": sorted({len(delta) for delta in lm.plan.edit.values.values()}),
    }


def main(tasks, model, vectors, output):
    """One rank's work."""
    model_args = f"pretrained={model},vectors={vectors},c_values=2"
    evaluate(tasks, TASKS, f"{output}/run", model_args=model_args, use_cache=f"{output}/responses")
    answers = answer(model, vectors, tp_plan="auto")
    Path(f"{output}/answers_{os.environ['RANK']}.json").write_text(json.dumps(answers))
    evaluate(tasks, [BROKEN], f"{output}/broken", model_args=model_args)


if __name__ == "__main__":
    main(*sys.argv[1:])
