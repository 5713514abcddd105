"""Extraction: the mean difference between the caches of positive and negative prompts."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from .core.cache import attention_layers, token_columns
from .core.decode import PaddedBatch, forward
from .core.format import canonical_bytes
from .core.metadata import VectorMetadata
from .core.prompts import TokenPair
from .core.vectors import SteeringVectors
from .engine.forward import PackedModel
from .engine.limits import Limits, default_kv_bytes, tokens_in_a_pass
from .engine.passes import Feed
from .engine.prefixes import PrefixNode, PromptPath, prefix_tree
from .engine.storage import RowStore
from .engine.support import why_not
from .engine.traversal import TreeRun
from .errors import ArgumentError
from .files import write_atomically

Sums = dict[str, Tensor]

_START_OF_WEIGHTS = 64


def extract(
    model: PreTrainedModel,
    pairs: Sequence[TokenPair],
    metadata: VectorMetadata,
    *,
    pad_token_id: int,
    batch_size: int = 4,
    padding_side: str = "left",
    progress_file: Path | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> SteeringVectors:
    """Extracts steering vectors: per layer, mean over pairs of K(positive) - K(negative), likewise for the values.

    K and V are the cached key and value of the last prompt token (arXiv 2507.08799, section 3). Sums are kept in
    float64 in the order of the pairs, so that stopping and resuming changes no bit.

    Args:
        model: A decoder-only model.
        pairs: Contrast pairs as token ids.
        metadata: Recorded with the vectors.
        pad_token_id: Any valid token.
        batch_size: Pairs in flight; changes speed and memory, not the result beyond rounding.
        padding_side: "left" or "right"; matters for models that cannot run without padding.
        progress_file: Where to keep the sums so far; an interrupted extraction with the same model, pairs and
            settings goes on from there. Removed by the caller once the vectors are saved.
        on_progress: Called with the number of pairs done so far.

    Raises:
        ArgumentError: There are no pairs, or `batch_size` or `padding_side` is out of range.
        StorageError: The sums so far cannot be written.
    """
    if not pairs:
        raise ArgumentError("No contrast pairs to extract from.")
    if batch_size < 1 or padding_side not in ("left", "right"):
        raise ArgumentError(
            f"batch_size={batch_size!r}, padding_side={padding_side!r}. Allowed: batch_size of at least 1, "
            'padding_side "left" or "right".'
        )
    job = _job_fingerprint(model, pairs, metadata)
    done, sums = _load_progress(progress_file, job)
    on_progress(done)
    while done < len(pairs):
        chunk = pairs[done : done + batch_size]
        for differences in _differences(model, chunk, pad_token_id, padding_side):
            for name, difference in differences.items():
                sums[name] = sums[name] + difference if name in sums else difference
        done += len(chunk)
        if progress_file is not None:
            write_atomically(progress_file, canonical_bytes(sums, {"job": job, "done": str(done)}))
        on_progress(done)
    means = {name: (total / len(pairs)).float() for name, total in sums.items()}
    return SteeringVectors(
        keys={int(name[5:]): mean for name, mean in means.items() if name.startswith("keys.")},
        values={int(name[7:]): mean for name, mean in means.items() if name.startswith("values.")},
        metadata=metadata,
    )


def _differences(
    model: PreTrainedModel, pairs: Sequence[TokenPair], pad_token_id: int, padding_side: str
) -> Iterator[Sums]:
    positive, negative = ([getattr(pair, side) for pair in pairs] for side in ("positive", "negative"))
    if not why_not(model):
        states = packed_states(model, [*positive, *negative])
    else:  # positive prompts are several times as long as negative ones: apart, neither is padded to the other
        states = [
            *padded_states(model, positive, pad_token_id, padding_side),
            *padded_states(model, negative, pad_token_id, padding_side),
        ]
    for one, other in zip(states[: len(pairs)], states[len(pairs) :], strict=True):
        yield {name: state - other[name] for name, state in one.items()}


def packed_states(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> list[Sums]:
    """Cached keys and values of each prompt's last token; what prompts share is fed once.

    Args:
        model: A model to which `why_not` has no objection.
        prompts: Token ids.

    Returns:
        For each prompt "keys.N" and "values.N" -> (n_kv_heads, head_dim), float64.
    """
    packed = PackedModel(model)
    limits = Limits(rows=len(prompts), kv_bytes=default_kv_bytes(packed.device))
    found: dict[int, Sums] = {}

    def visit(store: RowStore, feeds: Sequence[Feed], nodes: Sequence[PrefixNode]) -> None:
        packed.feed(store, feeds, wanted=())
        for slot, node in enumerate(nodes):
            if node.members:
                last = store.lengths[slot] - 1
                states = {f"keys.{i}": tensor[slot, :, last].double().cpu() for i, tensor in store.keys.items()}
                states |= {f"values.{i}": tensor[slot, :, last].double().cpu() for i, tensor in store.values.items()}
                found.update(dict.fromkeys(node.members, states))

    with torch.inference_mode():
        TreeRun(packed, limits, lambda: tokens_in_a_pass(packed.device), visit).run(
            prefix_tree([PromptPath(p) for p in prompts])
        )
    return [found[i] for i in range(len(prompts))]


def padded_states(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_token_id: int, padding_side: str
) -> list[Sums]:
    """As `packed_states`, in one padded batch."""
    batch = PaddedBatch.of(prompts, pad_token_id, model.device, side=padding_side)
    cache = forward(model, batch.input_ids, batch.attention_mask, None, keep=1).past_key_values
    columns = token_columns(batch.attention_mask, -1).cpu()
    captured: list[Sums] = [{} for _ in prompts]
    for layer in attention_layers(cache):
        slots = layer.slots(columns)
        rows = torch.arange(len(prompts), device=slots.device)
        for name, states in (("keys", layer.keys), ("values", layer.values)):
            for row, state in enumerate(states[rows, :, slots].double().cpu()):
                captured[row][f"{name}.{layer.index}"] = state
    return captured


def _job_fingerprint(model: PreTrainedModel, pairs: Sequence[TokenPair], metadata: VectorMetadata) -> str:
    """What must be the same for sums to be added to: pairs, settings, dtype, and weights, by the start of each."""
    described = json.dumps([[pair.positive, pair.negative] for pair in pairs]) + repr(metadata)
    digest = hashlib.sha256(described.encode())
    for name, parameter in model.named_parameters():  # two models of one name are told apart
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)};".encode())
        if type(parameter) is nn.Parameter and parameter.device.type != "meta":
            start = parameter.detach().flatten()[:_START_OF_WEIGHTS].cpu().contiguous()
            digest.update(start.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _load_progress(path: Path | None, job: str) -> tuple[int, Sums]:
    """Reads the sums of an interrupted extraction; of another job, or unreadable, they are not used."""
    if path is None or not path.is_file():
        return 0, {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("job") != job:
                return 0, {}
            return int(metadata["done"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return 0, {}
