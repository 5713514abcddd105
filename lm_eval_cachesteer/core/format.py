"""Reading and writing vector files. The format is specified in docs/vector-format.md."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import VectorFileError
from ..files import write_atomically
from .metadata import VectorMetadata

FORMAT = "cachesteer-vectors"
FORMAT_VERSION = "1"
KEY_SPACES = ("post_rope",)

_TENSOR_NAME = re.compile(r"(keys|values)\.(0|[1-9][0-9]{0,5})")


def write_vectors(
    path: Path, keys: Mapping[int, Tensor], values: Mapping[int, Tensor], metadata: VectorMetadata
) -> None:
    """Writes a vector file, atomically and with the same bytes every time.

    Args:
        path: The file.
        keys: Layer -> (n_kv_heads, head_dim), float32.
        values: Layer -> (n_kv_heads, head_dim of the values), float32.
        metadata: What the file says about them.

    Raises:
        OSError: The file cannot be written; nothing is left half-written.
    """
    tensors = {
        f"{name}.{layer}": tensor.detach().cpu().contiguous()
        for name, by_layer in (("keys", keys), ("values", values))
        for layer, tensor in by_layer.items()
    }
    strings = {"format": FORMAT, "format_version": FORMAT_VERSION} | metadata.to_strings()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, canonical_bytes(tensors, strings))


def read_tensors(path: str | Path) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Reads the keys and values of a vector file whose metadata has been read.

    Raises:
        VectorFileError: The file holds other tensors.
    """
    tensors: dict[str, dict[int, Tensor]] = {"keys": {}, "values": {}}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - safe_open has no iterator
            match = _TENSOR_NAME.fullmatch(name)
            if match is None:
                raise VectorFileError(
                    f"{path}: unexpected tensor {name!r}; a vector file holds keys.N and values.N only. "
                    "Extract the vectors again with `cachesteer extract`."
                )
            tensors[match[1]][int(match[2])] = file.get_tensor(name)
    return tensors["keys"], tensors["values"]


def read_metadata(path: str | Path) -> VectorMetadata:
    """Reads the metadata of a vector file alone.

    Raises:
        VectorFileError: The file is missing, corrupt, not a vector file, or of an unknown format version.
    """
    path = Path(path)
    if not path.is_file():
        raise VectorFileError(f"{path}: no such vector file. `cachesteer vectors` lists those that are known by name.")
    try:
        with safe_open(path, framework="pt") as file:
            strings = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise VectorFileError(
            f"{path}: not a readable safetensors file ({error}). Extract the vectors again with `cachesteer extract`."
        ) from None
    if strings.get("format") != FORMAT:
        raise VectorFileError(
            f"{path}: not a vector file (metadata 'format' is {strings.get('format')!r}, expected {FORMAT!r}). "
            "Make one with `cachesteer extract`."
        )
    if strings.get("format_version") != FORMAT_VERSION:
        raise VectorFileError(
            f"{path}: vector format version {strings.get('format_version')!r} is unknown, this release reads "
            f"version {FORMAT_VERSION!r}. Upgrade lm-eval-cachesteer, or extract the vectors again."
        )
    try:
        metadata = VectorMetadata.from_strings(strings)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise VectorFileError(
            f"{path}: metadata is malformed ({type(error).__name__}: {error}). Extract the vectors again."
        ) from None
    if metadata.key_space not in KEY_SPACES:
        raise VectorFileError(
            f"{path}: key space {metadata.key_space!r} is unknown, this release reads {', '.join(KEY_SPACES)}. "
            "Upgrade lm-eval-cachesteer, or extract the vectors again."
        )
    return metadata


def canonical_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Serializes to safetensors with the metadata in sorted order, so that equal contents give equal bytes.

    The library orders metadata by a hash that changes from process to process; only the header is rewritten.
    """
    content = save(tensors, metadata=metadata)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
