"""Vector files."""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from lm_eval_cachesteer.core.vectors import SteeringVectors

from ..cases import EDITS, JSON_VALUES, TEXTS, edited
from ..property import acts, tried
from ..support import ARCHITECTURE, BYTES, METADATA, entries, file_of, header_text, numbers

_TOKENS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"F32", b"F16", b"keys.1", b"values.2", b"keys.01", b"0", b"-1"),
    *(b"9" * 25, b'"keys.1":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},', b"NaN", b"null", b"\x00"),
    *(b"\\u001b", b"\\ud800", b"\\n", b"true", b"post_rope", b"similar"),
)
_METADATA_TEXTS = st.sampled_from(
    (
        *("0", "-1", "1.5", "null", "true", '"x"', "{}", "[]", "1e999", "NaN", "9" * 400, '"\\ud800"', '"\\n"'),
        *("random:3", "cachesteer-vectors", "1", "2", "post_rope", "similar", "../../x", "a/b", "x" * 20_000),
        *(json.dumps(ARCHITECTURE | {"n_layers": n}) for n in (0, 2, 10**9)),
    )
)
_METADATA = st.dictionaries(
    st.sampled_from((*METADATA, "key_space", "license", "contrast_set", "against_set", "tool_version", "more")),
    _METADATA_TEXTS | TEXTS | st.none(),
    max_size=3,
)
_ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(("F32", "F16", "BF16", "F64", "I32", "BOOL", "U8", "F8_E4M3", "F4", "", 3, None)),
        "shape": st.lists(st.sampled_from((0, 1, 2, 4, 8, 16, -1, 2**32, 2**62)), max_size=4) | JSON_VALUES,
        "data_offsets": st.lists(st.sampled_from((0, 4, 64, 128, 192, 256, 2**40, -1)), max_size=3) | JSON_VALUES,
        "more": JSON_VALUES,
    },
)
_NAMES = st.sampled_from(
    ("keys.0", "keys.1", "keys.2", "values.0", "values.1", "values.2", "keys.01", "keys.999999", "x")
)
_DATA = st.sampled_from((None, None, b"", bytes(BYTES), numbers(first=math.nan), numbers(first=3e38)))
_LENGTHS = st.sampled_from((None,) * 8 + (0, 1, 8, 2**20, 2**31, 2**63, 2**64 - 1))


@st.composite
def _structured(draw: Any) -> bytes:
    """Files whose header is JSON."""
    tensors = entries(draw(st.none() | st.lists(_NAMES, max_size=5, unique=True)))
    data = draw(_DATA)
    if data is None:
        data = numbers(len(tensors) * BYTES // 4) if tensors else b""
    for name in draw(st.lists(st.sampled_from(sorted(tensors)), max_size=2)) if tensors else ():
        tensors[name] = tensors[name] | draw(_ENTRY)
    return file_of(tensors, data, length=draw(_LENGTHS), **draw(_METADATA))


CASES = (
    _structured()
    | EDITS.map(lambda edits: edited(file_of(), edits, _TOKENS))
    | EDITS.map(lambda edits: file_of(header=edited(header_text().encode(), edits, _TOKENS)))
    | st.binary(max_size=64)
)


def check(content: bytes, folder: Path) -> None:
    """Vectors that are read are sound, and are the same when written and read again."""
    path, again = folder / "v.safetensors", folder / "again.safetensors"
    path.write_bytes(content)
    vectors = tried(lambda: SteeringVectors.load(path))
    assert path.read_bytes() == content
    if vectors is None:
        return
    assert vectors.layers
    assert vectors.keys.keys() == vectors.values.keys()
    for tensor in (*vectors.keys.values(), *vectors.values.values()):
        assert tensor.dtype == torch.float32
        assert tensor.ndim == 2
        assert math.isfinite(float(tensor.double().sum()))
    metadata = vectors.metadata
    assert metadata.architecture is None or max(vectors.layers) < metadata.architecture.n_layers
    for field in fields(metadata):
        value = getattr(metadata, field.name)
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, str) or field.name == "offset_token" or not any(map(acts, value))
    json.dumps(metadata.summary(), ensure_ascii=False, allow_nan=False).encode()
    vectors.save(again)
    read = SteeringVectors.load(again)
    assert (read.metadata, read.sha256) == (metadata, vectors.sha256)
