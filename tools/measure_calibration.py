"""Does the dose predict how strongly to steer? Calibrates all shipped vectors: `make calibration`.

For each: the c_values of a dose of 1 nat, without labels, beside the coefficient that the sweep over judged development
answers recommends (development.json, see make_vectors.py), and the dose at that one. Writes calibration.json beside the
vectors and prints a Markdown table.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scipy.stats import spearmanr
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from lm_eval_cachesteer import SteeringVectors
from lm_eval_cachesteer.calibration import DoseMeter, calibrate
from lm_eval_cachesteer.cli.calibrate import encoded_prompt, read_prompts
from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.sources.folders import vectors_folder
from lm_eval_cachesteer.sources.models import load_model
from lm_eval_cachesteer.sources.resolve import model_folder

PROMPTS, TOKENS = 32, 16


@dataclass(frozen=True)
class Row:
    """One vector: calibrated and swept coefficient, and the dose of the latter."""

    kind: str
    calibrated: float
    recommended: float
    dose_at_recommended: float


def main() -> None:
    """Calibrates all shipped vectors of the embedded model."""
    transformers_logging.disable_progress_bar()
    loaded = load_model(device="cpu", dtype="float32")
    folder = vectors_folder() / model_folder(loaded.model_id)
    texts = read_prompts(Path(__file__).with_name("development.jsonl"))[:PROMPTS]
    rows, meters = [], {}
    for path in tqdm(sorted(folder.glob("*.safetensors")), desc="Calibrating", unit="vector"):
        vectors = SteeringVectors.load(path)
        prompts = [tuple(encoded_prompt(text, vectors, loaded.tokenizer)) for text in texts]
        if (asked := tuple(prompts)) not in meters:
            meters[asked] = DoseMeter(loaded.model, prompts, tokens=TOKENS, pad_token_id=loaded.tokenizer.pad_token_id)
        recommended = vectors.metadata.recommended_c_values or 0.0
        terms = [WeightedVectors(path.stem, 1.0, vectors)]
        edit = CacheEdit.build(terms, c_keys=0.0, c_values=recommended, n_layers=vectors.layers[-1] + 1)
        found = calibrate(meters[asked], vectors)
        rows.append(Row(path.stem, found.c_values, recommended, meters[asked].dose(edit)))
    content = [asdict(row) for row in rows]
    (folder / "calibration.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print("\n| vectors | c_values of 1 nat | c_values of the sweep | dose there, nats |\n|---|---|---|---|")
    for row in rows:
        print(f"| `{row.kind}` | {row.calibrated:.2g} | {row.recommended:g} | {row.dose_at_recommended:.2g} |")
    rank = spearmanr([row.calibrated for row in rows], [row.recommended for row in rows])
    print(f"\nSpearman's rank correlation of the two coefficients: {rank.statistic:.2f} (p = {rank.pvalue:.2f}).")


if __name__ == "__main__":
    main()
