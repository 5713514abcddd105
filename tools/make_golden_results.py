"""Makes the result folders in tests/results/golden: what real versions of the harness write.

    python tools/make_golden_results.py /path/to/first/venv/bin/python /path/to/second/venv/bin/python

Each interpreter has another version of lm_eval; for each, two runs of the tasks in tests/results/golden/tasks are made
with plain `lm_eval --model hf` and kept in tests/results/golden/lm_eval-VERSION, in place of what was there. The model
is a llama of 16 dimensions with random weights and a vocabulary of a few words, made here and thrown away. Its weights
are others in the second run, as if training had gone on in the same folder: both runs lie side by side and differ in
every task. Nothing is downloaded.

lm_eval 0.4.9 needs transformers 4: `pip install lm_eval==0.4.9 "transformers<5"`. The interpreter that runs this script
is that of the development environment.

What describes the machine and not the run is left out of the results: the description of the environment and the git
commits. The samples are kept as they were written.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from strip_results import refuse_paths, strip
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM

GOLDEN = Path("tests/results/golden").resolve()
TASKS = ("written", "repeats", "measured", "choice", "text", "group")
WORDS = ("<pad>", "<s>", "</s>", "<unk>", "yes", "no", "is", "even", "more", "than", "answer", "?", ".")
NUMBERS = tuple(str(number) for number in range(1, 13))
# Two models that differ in every task, up and down.
SEEDS = (8, 1)


def main() -> None:
    """Runs the tasks in every interpreter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interpreters", nargs="+", metavar="PYTHON", help="an interpreter that has lm_eval")
    for interpreter in parser.parse_args().interpreters:
        folder = GOLDEN / f"lm_eval-{version_of(interpreter)}"
        with tempfile.TemporaryDirectory() as work:
            shutil.copytree(GOLDEN / "tasks", Path(work, "tasks"))
            for seed in SEEDS:
                make_model(Path(work, "model"), seed)
                evaluate(interpreter, Path(work), seed)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(Path(work, "runs", "model"), folder / "model")
        for file in folder.rglob("results_*.json"):
            strip(file)
        refuse_paths(folder, work)
        print(f"{folder}: {sum(file.stat().st_size for file in folder.rglob('*.json*')):,} bytes")


def version_of(interpreter: str) -> str:
    """The version of lm_eval that an interpreter has."""
    code = "import importlib.metadata; print(importlib.metadata.version('lm_eval'))"
    return subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def make_model(folder: Path, seed: int) -> None:
    """Saves a random llama that says yes and no more often than other words.

    Args:
        folder: Where to.
        seed: Seed of the weights.
    """
    vocabulary = {word: number for number, word in enumerate(WORDS + NUMBERS)}
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.6,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[vocabulary["yes"] : vocabulary["no"] + 1] *= 2
    model.save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    # By hand, as versions 4 and 5 of transformers name the class differently when they save it.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64}
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special))


def evaluate(interpreter: str, work: Path, seed: int) -> None:
    """Runs lm_eval, in a folder of its own so that no path of this machine is recorded.

    Args:
        interpreter: The interpreter that has it.
        work: A folder with `model` and `tasks`; results are written to its `runs`.
        seed: Seed of the sampled responses.
    """
    tasks = ",".join(f"golden_{task}" for task in TASKS)
    options = ["--model", "hf", "--model_args", "pretrained=model,dtype=float32", "--tasks", tasks, "--device", "cpu"]
    options += ["--include_path", "tasks", "--batch_size", "4", "--seed", str(seed)]
    options += ["--output_path", "runs", "--log_samples"]
    alone = {"HF_HOME": str(work / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    alone |= {"CACHESTEER_NO_HOOK": "1", "OMP_NUM_THREADS": "1"}
    command = [str(Path(interpreter).absolute()), "-m", "lm_eval", *options]
    if subprocess.run(command, cwd=work, env=os.environ | alone, check=False).returncode:  # noqa: S603
        sys.exit(f"lm_eval failed under {interpreter}: see its message above.")


if __name__ == "__main__":
    main()
