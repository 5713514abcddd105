"""One accessor for every cache layout of transformers: where the keys and values of a prompt token lie."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Cache, EncoderDecoderCache

from ..errors import CacheLayoutError, SteeringError


@dataclass(frozen=True)
class AttentionLayer:
    """The cached keys and values of one attention layer.

    A column is a position of the padded batch, counted from the first token ever cached. Sliding-window layers
    hold only the newest columns, static layers have free slots at their end; `slots` translates.

    Attributes:
        index: Layer number in the model.
        keys: (batch, n_kv_heads, slots, head_dim), the cache's own storage.
        values: (batch, n_kv_heads, slots, head_dim of the values), the cache's own storage.
        first_column: Column held in slot 0.
        end_column: One past the newest column.
    """

    index: int
    keys: Tensor
    values: Tensor
    first_column: int
    end_column: int

    def slots(self, columns: Tensor) -> Tensor:
        """Translates columns (any shape, int64) to slots of `keys` and `values`, on the layer's device.

        Raises:
            CacheLayoutError: A column is not cached, or has left the layer's sliding window.
        """
        if columns.numel() and not (self.first_column <= int(columns.min()) <= int(columns.max()) < self.end_column):
            raise CacheLayoutError(
                f"Layer {self.index} caches columns {self.first_column} to {self.end_column - 1}, but column "
                f"{int(columns.min())} to {int(columns.max())} was asked for. A sliding-window layer forgets older "
                "tokens: use a position closer to the end of the prompt, or leave this layer out of `layers`."
            )
        return (columns - self.first_column).to(self.keys.device)


def attention_layers(cache: Cache) -> list[AttentionLayer]:
    """Lists the layers of a filled cache that hold keys and values.

    Handles dynamic, static, sliding-window and offloaded caches. Layers without keys (recurrent layers of hybrid
    models, layers that reuse another layer's keys) are left out.

    Args:
        cache: A cache of transformers 5 that has seen at least one token.

    Raises:
        CacheLayoutError: The cache is of an encoder-decoder model, is quantized, keeps one tensor as keys and values,
            or is not a transformers cache.
    """
    if isinstance(cache, EncoderDecoderCache):
        raise CacheLayoutError(
            "The cache belongs to an encoder-decoder model. KV cache steering edits the prompt of a decoder-only "
            "model: use one, such as any AutoModelForCausalLM."
        )
    if not isinstance(cache, Cache) or not hasattr(cache, "layers"):
        of_its_own = type(cache).__module__.startswith("transformers.")  # hybrid models of transformers 5.0
        usual = "Run the model with use_cache=True and pass its past_key_values."
        remedy = "Use a newer transformers." if of_its_own else usual
        raise CacheLayoutError(f"Expected a transformers Cache, got {type(cache).__name__}. {remedy}")
    if getattr(cache, "offloading", False) and torch.cuda.is_available():
        torch.cuda.synchronize()  # copies to and from the host may still be under way on another stream
    layers = []
    for index, layer in enumerate(cache.layers):
        if hasattr(layer, "_quantized_keys") or hasattr(layer, "_quantize"):
            raise CacheLayoutError(
                f"Layer {index} of the cache is quantized ({type(layer).__name__}) and cannot be edited exactly. "
                "Use a dynamic or static cache."
            )
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None or keys.numel() == 0:
            continue
        if keys.data_ptr() == values.data_ptr():
            raise CacheLayoutError(
                f"Layer {index} keeps the same numbers as keys and as values ({type(layer).__name__}): one cannot be "
                "steered without the other. Use a model that keeps both."
            )
        end = int(layer.get_seq_length())
        held = min(end, keys.shape[-2])
        layers.append(AttentionLayer(index, keys, values, first_column=end - held, end_column=end))
    return layers


def check_continued(cache: Cache, columns: int, model_name: str) -> None:
    """Makes sure that a text was decoded from an edited cache to its end.

    Some models drop the cache they are given: Phi-3 does, once the text outgrows the length of its short rotary scale.

    Args:
        cache: The edited cache, after decoding.
        columns: Tokens that it holds if every step has read it.
        model_name: Names the model in the message.

    Raises:
        SteeringError: It holds fewer.
    """
    held = int(cache.get_seq_length())
    if held < columns:
        raise SteeringError(
            f"{model_name} dropped the edited cache of {held} tokens and computed the rest of the {columns} tokens "
            "from a new one, unsteered, as models do whose rotary embedding changes with the length. Use max_length= "
            "to keep prompts and answers within `original_max_position_embeddings`."
        )


def token_columns(attention_mask: Tensor, position: int) -> Tensor:
    """Finds one prompt token per row of a padded batch, whatever the padding side.

    Args:
        attention_mask: (batch, columns), 1 for real tokens and 0 for padding, covering the cached columns only.
        position: Which real token of each row: negative counts from the row's end (-1 is the last), others from
            its start.

    Returns:
        (batch,) int64 columns; -1 for rows that have no such token.
    """
    real = attention_mask.bool()
    counts = real.sum(dim=1, keepdim=True)
    wanted = counts + position if position < 0 else torch.full_like(counts, position)
    is_wanted = real & (real.long().cumsum(dim=1) - 1 == wanted)
    return torch.where(is_wanted.any(dim=1), is_wanted.long().argmax(dim=1), -1)
