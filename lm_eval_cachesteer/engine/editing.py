"""The one edit, made on rows of a store."""

from collections.abc import Sequence

from ..core.edit import CacheEdit, add_to
from ..errors import VectorMismatchError
from .storage import RowStore, on_device


def edit_rows(edit: CacheEdit, store: RowStore, tokens: Sequence[tuple[int, int]]) -> None:
    """Adds the steering vectors to the cached keys and values of one token in each of some rows.

    Args:
        edit: What is added.
        store: The rows.
        tokens: (slot, column) of each edited token.

    Raises:
        VectorMismatchError: The vectors do not fit the model.
        SteeringError: An edited key or value overflows its dtype.
    """
    if not tokens:
        return
    missing = [layer for layer in edit.keys if layer not in store.keys]
    if missing:
        raise VectorMismatchError(
            f"The vectors steer layers {missing}, but the model keeps keys and values for layers {sorted(store.keys)} "
            "only. Use vectors extracted from this model, or choose other layers."
        )
    for layer, delta in edit.keys.items():
        device = store.keys[layer].device
        slots, columns = (on_device(list(index), device) for index in zip(*tokens, strict=True))
        add_to(store.keys[layer], slots, columns, delta, f"keys of layer {layer}")
        add_to(store.values[layer], slots, columns, edit.values[layer], f"values of layer {layer}")
