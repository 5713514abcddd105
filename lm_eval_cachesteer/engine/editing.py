"""The one edit, made on rows of a store."""

from collections.abc import Sequence

from ..core.addition import Place
from ..core.edit import CacheEdit
from ..errors import CacheLayoutError, VectorMismatchError
from .storage import RowStore, on_device


def edit_rows(edit: CacheEdit, store: RowStore, tokens: Sequence[tuple[int, int]]) -> None:
    """Adds the steering vectors to the cached keys and values of one token in each of some rows.

    Args:
        edit: What is added.
        store: The rows.
        tokens: (slot, column) of each edited token.

    Raises:
        CacheLayoutError: A token has left a layer's sliding window, so that nothing would come of its edit.
        VectorMismatchError: The vectors do not fit the model.
        SteeringError: The sum cannot be represented in the states' dtype.
    """
    if not tokens:
        return
    missing = [layer for layer in edit.keys if layer not in store.keys]
    if missing:
        raise VectorMismatchError(
            f"The vectors steer layers {missing}, but the model keeps keys and values for layers {sorted(store.keys)} "
            "only. Use vectors extracted from this model, or choose other layers."
        )
    age = max(store.lengths[slot] - column for slot, column in tokens)
    places = {}
    for layer in edit.keys:
        window = store.windows.get(layer)
        if window is not None and age >= window:
            raise CacheLayoutError(
                f"Layer {layer} attends to the last {window} tokens only, but a token {age} before the next one was to "
                "be edited. Use a position closer to the end of the prompt, or leave this layer out of `layers`."
            )
        device = store.keys[layer].device
        slots, columns = (on_device(list(index), device) for index in zip(*tokens, strict=True))
        places[layer] = Place(store.keys[layer], store.values[layer], slots, columns)
    edit.add_to(places)
