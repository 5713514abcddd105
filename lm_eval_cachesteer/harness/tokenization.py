"""Counting the tokens of a response where the harness hands over text alone."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

_running: Any = None  # the tokenizer of the steered backend built last in this process


def remember_tokenizer(tokenizer: Any) -> None:
    """Lets tasks count with the tokenizer of the running backend."""
    global _running
    _running = tokenizer


def count_tokens(response: str, model_args: Mapping[str, Any]) -> int | None:
    """Tokens of a response, tokenized again without special tokens.

    Args:
        response: The response.
        model_args: The model's arguments, as the harness keeps them in a task's metadata. Their `tokenizer`, or else
            their `pretrained`, says whose tokens are counted; without either it is the running steered backend.

    Returns:
        The number of tokens; None if no tokenizer is known (said once in the log).
    """
    name = str(model_args.get("tokenizer") or model_args.get("pretrained") or "")
    known = _running is not None and name in ("", _running.name_or_path)
    tokenizer = _running if known else _named_tokenizer(name)
    return None if tokenizer is None else len(tokenizer.encode(response, add_special_tokens=False))


@functools.lru_cache(maxsize=4)
def _named_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        if not name:
            raise ValueError("the model arguments name none")
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        logger.warning("No tokenizer for the task's figures `tokens` and `truncated`, which are left out: %s", error)
        return None
