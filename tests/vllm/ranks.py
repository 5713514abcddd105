"""Answers of an engine spread over processes, as JSON: python -m tests.vllm.ranks MODEL SHELF ENGINE_ARGUMENTS OUT."""

import json
import sys
from pathlib import Path

from vllm import LLM

from lm_eval_cachesteer.vllm.launch import engine_arguments

from .support import prompts
from .test_engine import MIXED, ask, tokens_of


def main() -> None:
    """Runs the engine."""
    model, shelf, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    settings = {"dtype": "float32", "seed": 0, "distributed_executor_backend": "mp"}
    engine = LLM(model, **settings, **arguments, **engine_arguments(Path(shelf)))
    texts = prompts(32)
    outputs = ask(engine, texts, (MIXED * len(texts))[: len(texts)])
    told = [output.kv_transfer_params for output in outputs]
    Path(sys.argv[4]).write_text(json.dumps([tokens_of(outputs), told]), encoding="utf-8")


if __name__ == "__main__":
    main()
