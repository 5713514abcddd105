"""Reading and writing vector files. The format is specified in docs/vector-format.md."""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import VectorFileError
from ..files import write_atomically
from ..strict_json import parse_json
from .metadata import VectorMetadata

FORMAT = "cachesteer-vectors"
FORMAT_VERSION = "1"
KEY_SPACES = ("post_rope",)
# Bytes. Keys and values of 128 layers of 128 heads, each 192 wide, have 25 million.
LARGEST_FILE = 1 << 28
LARGEST_HEADER = 1 << 20

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
        StorageError: The file cannot be written; nothing is left half-written.
    """
    tensors = {
        f"{name}.{layer}": tensor.detach().cpu().contiguous().clone()  # the library refuses shared memory
        for name, by_layer in (("keys", keys), ("values", values))
        for layer, tensor in by_layer.items()
    }
    strings = {"format": FORMAT, "format_version": FORMAT_VERSION} | metadata.to_strings()
    write_atomically(path, canonical_bytes(tensors, strings))


def read_tensors(path: str | Path) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Reads the keys and values of a vector file whose metadata has been read.

    Raises:
        VectorFileError: The file holds other tensors.
    """
    tensors: dict[str, dict[int, Tensor]] = {"keys": {}, "values": {}}
    with _reading(Path(path)) as file:
        for name in file.keys():  # noqa: SIM118 - safe_open has no iterator
            match = _TENSOR_NAME.fullmatch(name)
            if match is None:
                raise VectorFileError(
                    f"{path}: unexpected tensor {name!r}; a vector file holds keys.N and values.N only. "
                    "Extract the vectors again with `cachesteer extract`."
                )
            dtype = file.get_slice(name).get_dtype()  # torch does not know every dtype of the format
            if dtype != "F32":
                raise VectorFileError(
                    f"{path}: {name} must be float32, got {dtype}. Extract the vectors again with `cachesteer extract`."
                )
            tensors[match[1]][int(match[2])] = file.get_tensor(name)
    return tensors["keys"], tensors["values"]


def read_metadata(path: str | Path) -> VectorMetadata:
    """Reads the metadata of a vector file alone.

    Raises:
        VectorFileError: The file is missing, corrupt, not a vector file, or of an unknown format version.
    """
    path = Path(path)
    with _reading(path) as file:
        strings = file.metadata() or {}
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
    except (KeyError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise VectorFileError(f"{path}: metadata is malformed ({reason}). Extract the vectors again.") from None
    if metadata.key_space not in KEY_SPACES:
        raise VectorFileError(
            f"{path}: key space {metadata.key_space!r} is unknown, this release reads {', '.join(KEY_SPACES)}. "
            "Upgrade lm-eval-cachesteer, or extract the vectors again."
        )
    return metadata


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """The library's reader of a file whose sizes and header have been checked, and what it says in our words.

    Raises:
        VectorFileError: It is no regular file, cannot be read, is too large, or is not safetensors.
    """
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise VectorFileError(
            f"{path}: no such vector file. `cachesteer vectors` lists those that are known by name."
        ) from None
    except OSError as error:
        raise VectorFileError(
            f"{path}: cannot be read ({error.strerror or error}). Name a vector file that you may read."
        ) from None
    except (SafetensorError, _UnsafeError) as error:
        raise VectorFileError(
            f"{path}: not a readable safetensors file ({error}). Extract the vectors again with `cachesteer extract`."
        ) from None


class _UnsafeError(Exception):
    """Why a file is not handed to the library."""


def _check_header(path: Path) -> None:
    """Checks what the library does not: that nothing large is claimed, and that no name is there twice.

    Raises:
        OSError: The file cannot be read.
        _UnsafeError: It is not what it should be.
    """
    if "\0" in str(path):
        raise FileNotFoundError
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write to it
        raise OSError("a folder" if path.is_dir() else "not a regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size > LARGEST_FILE:
            raise _UnsafeError(f"it has {size} bytes, vector files at most {LARGEST_FILE}")
        if not 2 <= length <= min(size - 8, LARGEST_HEADER):
            raise _UnsafeError(f"it has {size} bytes, and claims that {length} of them are its header")
        header = file.read(length)
    try:
        parse_json(header.decode(), strict=True)
    except ValueError as error:
        raise _UnsafeError(f"its header is no JSON of distinct names: {error}") from None


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
