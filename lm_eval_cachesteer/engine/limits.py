"""How much memory a run may take, and what happens when it is not there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import psutil
import torch

from ..errors import ArgumentError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

_SHARE_OF_FREE_MEMORY = 0.5
_GIB = 1 << 30

# New tokens in one pass over prompts: enough for full speed, few enough for a CPU's caches and allocator.
_PASS_TOKENS_ON_CPU = 1024
_PASS_TOKENS = 16384
# New tokens in one decode step, drafts included. On a CPU a further token takes a sixth of what a row takes by itself.
_STEP_TOKENS_OF_A_ROW_ON_CPU = 2.5
_FEWEST_STEP_TOKENS_ON_CPU, _MOST_STEP_TOKENS_ON_CPU = 16, 64
_STEP_TOKENS = 512


@dataclass
class Limits:
    """What one run may take at a time; halved when memory runs out.

    Attributes:
        rows: Rows decoded side by side.
        kv_bytes: Memory of all cached keys and values, shared prefixes and rows together.
        share_prefixes: Whether requests share the prefill of what they have in common.
    """

    rows: int
    kv_bytes: int
    share_prefixes: bool = True

    def halve(self) -> None:
        """Allows half as much.

        Raises:
            ArgumentError: There is only one row left.
        """
        if self.rows <= 1:
            raise ArgumentError(
                "Out of memory with a single row. Use a smaller model, dtype=bfloat16, fewer new tokens, or a device "
                "with more memory."
            )
        self.rows //= 2
        self.kv_bytes //= 2
        logger.warning(
            "Out of memory: going on with %d rows and %.2f GiB for keys and values.", self.rows, self.kv_bytes / _GIB
        )

    def halving(self, work: Callable[[], Result]) -> Result:
        """Does work, again with half the limits each time memory runs out; the work must be safe to repeat."""
        while True:
            try:
                return work()
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
            self.halve()  # outside the handler, which keeps the failed work's tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    message = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in message or "can't allocate memory" in message


def tokens_in_a_pass(device: torch.device) -> int:
    """New tokens that one pass over prompts should hold."""
    return _PASS_TOKENS_ON_CPU if device.type == "cpu" else _PASS_TOKENS


def tokens_in_a_step(device: torch.device, rows: int) -> int:
    """New tokens that one decode step may hold with drafts; never fewer than rows."""
    if device.type != "cpu":
        return max(rows, _STEP_TOKENS)
    wanted = max(int(_STEP_TOKENS_OF_A_ROW_ON_CPU * rows), _FEWEST_STEP_TOKENS_ON_CPU)
    return max(rows, min(wanted, _MOST_STEP_TOKENS_ON_CPU))


def default_kv_bytes(device: torch.device) -> int:
    """Half of the memory that is free on a device."""
    on_cuda = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_cuda else psutil.virtual_memory().available
    return int(free * _SHARE_OF_FREE_MEMORY)
