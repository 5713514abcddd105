"""Which KV heads a tensor parallel process holds."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ..core.edit import CacheEdit
from ..errors import VectorMismatchError


def local_heads(total: int, rank: int, size: int) -> slice:
    """The heads of one process, as vLLM distributes them: equal shares in order, or copies where there are too few.

    Args:
        total: KV heads of the model.
        rank: The process.
        size: Number of processes.

    Raises:
        VectorMismatchError: The heads cannot be distributed.
    """
    if total % size and size % total:
        raise VectorMismatchError(
            f"{total} KV heads cannot be distributed over {size} processes. Choose a tensor_parallel_size that divides "
            "them, or is a multiple of them."
        )
    share = max(1, total // size)
    first = rank * share if total >= size else rank // (size // total)
    return slice(first, first + share)


def local_edit(edit: CacheEdit, held: Mapping[int, int], rank: int, size: int, device: str) -> CacheEdit:
    """The part of an edit that concerns the layers and heads of one process, on its device.

    Args:
        edit: The whole edit.
        held: Layer -> number of KV heads in this process; other layers are another process's.
        rank: The process among those that share each layer.
        size: Number of these.
        device: Where the cache is.

    Raises:
        VectorMismatchError: The process holds another number of heads than the vectors imply.
    """

    def part(deltas: Mapping[int, Tensor]) -> dict[int, Tensor]:
        return {layer: delta[_mine(delta, layer)].to(device) for layer, delta in deltas.items() if layer in held}

    def _mine(delta: Tensor, layer: int) -> slice:
        mine = local_heads(len(delta), rank, size)
        if mine.stop - mine.start != held[layer]:
            raise VectorMismatchError(
                f"Layer {layer} has {held[layer]} KV heads in process {rank} of {size}, but the vectors have "
                f"{len(delta)} in all. Use vectors extracted from this model."
            )
        return mine

    return replace(edit, keys=part(edit.keys), values=part(edit.values))
