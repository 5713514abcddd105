"""Measures the shipped vectors on the held-out open prompts: `make measure`.

Each vector at its recommended coefficients against the model as it is, over the prompts of cachesteer_offline_open,
greedy, up to 128 tokens. Prints a Markdown table and keeps the figures in measured.json beside the vectors.
"""

import argparse
import json
from pathlib import Path

from make_vectors import respond
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from lm_eval_cachesteer import SteeringVectors
from lm_eval_cachesteer.metrics import measure_response
from lm_eval_cachesteer.sources.folders import tasks_folder, vectors_folder
from lm_eval_cachesteer.sources.models import LoadedModel, load_model
from lm_eval_cachesteer.sources.resolve import model_folder

BATCH = 50

Measures = dict[str, float]


def main() -> None:
    """Measures all shipped vectors of the embedded model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="only the first N prompts")
    limit = parser.parse_args().limit
    transformers_logging.disable_progress_bar()
    loaded = load_model(device="cpu", dtype="float32")
    folder = vectors_folder() / model_folder(loaded.model_id)
    lines = (tasks_folder() / "offline" / "open_prompts.jsonl").read_text(encoding="utf-8").strip().split("\n")
    prompts = [json.loads(line)["prompt"] for line in lines][:limit]
    vectors = [SteeringVectors.load(path) for path in sorted(folder.glob("*.safetensors"))]
    with tqdm(total=len(vectors) + 1, unit="run") as bar:
        unsteered = measure(loaded, vectors[0], prompts, 0.0)
        bar.update()
        measured = {}
        for steering in vectors:
            bar.set_description(steering.metadata.kind)
            coefficient = steering.metadata.recommended_c_values or 0.0
            measured[steering.metadata.kind] = measure(loaded, steering, prompts, coefficient) | {
                "c_values": coefficient
            }
            bar.update()
    content = {"prompts": len(prompts), "unsteered": unsteered, "vectors": measured}
    (folder / "measured.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(markdown(folder / "measured.json"))


def measure(loaded: LoadedModel, vectors: SteeringVectors, prompts: list[str], coefficient: float) -> Measures:
    """Means of all measures over the answers, and of their tokens."""
    answers: list[str] = []
    for start in range(0, len(prompts), BATCH):
        answers += respond(loaded, vectors, prompts[start : start + BATCH], coefficient)
    measures = [
        measure_response(answer) | {"tokens": len(loaded.tokenizer.encode(answer, add_special_tokens=False))}
        for answer in answers
    ]
    return {name: sum(m[name] for m in measures) / len(measures) for name in measures[0]}


def markdown(path: Path) -> str:
    """The table of a measured.json."""
    content = json.loads(path.read_text(encoding="utf-8"))
    unsteered = content["unsteered"]
    rows = [
        "| vectors | c_values | adherence, unsteered | adherence, steered | looping | repetition | tokens |",
        "|---|---|---|---|---|---|---|",
        f"| none | | | | {unsteered['looping']:.0%} | {unsteered['repetition']:.2f} | {unsteered['tokens']:.0f} |",
    ]
    for kind, m in content["vectors"].items():
        rows.append(
            f"| `{kind}` | {m['c_values']:g} | {unsteered[kind]:.0%} | {m[kind]:.0%} | {m['looping']:.0%} "
            f"| {m['repetition']:.2f} | {m['tokens']:.0f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
