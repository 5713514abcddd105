import json

import pytest
import torch
from safetensors.torch import save_file

from lm_eval_cachesteer.core.architecture import Architecture
from lm_eval_cachesteer.core.format import canonical_bytes, read_metadata
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.errors import VectorFileError

ARCHITECTURE = Architecture("llama", 3, 4, 1, 2, {"": 10000.0})
METADATA = VectorMetadata(
    kind="stepwise",
    model_id="some/model",
    architecture=ARCHITECTURE,
    chat_template_sha256="ab" * 32,
    contrast_set="stepwise",
    contrast_sha256="cd" * 32,
    pair_count=60,
    fewshot_count=5,
    fewshot_selection="random:0",
    offset_token="\n",
    offset_token_id=198,
    recommended_c_keys=0.0,
    recommended_c_values=5.0,
    tool_version="0.1.0",
    license="CC0-1.0",
)


def small(metadata=METADATA):
    return SteeringVectors(
        {1: torch.tensor([[1.0, 2.0]]), 2: torch.tensor([[3.0, 4.0]])},
        {1: torch.tensor([[5.0, 6.0]]), 2: torch.tensor([[7.0, 8.0]])},
        metadata,
    )


def write(path, tensors, **metadata):
    strings = {"format": "cachesteer-vectors", "format_version": "1", "kind": "k", "model_id": "m"}
    strings |= {"architecture": "null", "offset_token": "null", "offset_token_id": "null", "pair_count": "1"}
    strings |= {"fewshot_count": "0", "token_position": "-1", "recommended_c_keys": "null"}
    strings |= {"recommended_c_values": "null"} | metadata
    save_file(tensors, path, metadata=strings)
    return path


GOOD = {"keys.1": torch.ones(1, 2), "values.1": torch.ones(1, 2)}


def test_round_trip(tmp_path):
    small().save(tmp_path / "v.safetensors")
    loaded = SteeringVectors.load(tmp_path / "v.safetensors")
    assert loaded.metadata == METADATA
    assert loaded.sha256 == small().sha256
    assert torch.equal(loaded.values[2], torch.tensor([[7.0, 8.0]]))
    assert read_metadata(tmp_path / "v.safetensors") == METADATA


def test_the_same_vectors_give_the_same_bytes_as_specified(tmp_path):
    """Reads the file by the specification alone: 8-byte length, JSON header, float32 little-endian data."""
    small().save(tmp_path / "a.safetensors")
    small().save(tmp_path / "b.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    assert content == (tmp_path / "b.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    header = json.loads(content[8 : 8 + size])
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])
    assert header["__metadata__"]["format"] == "cachesteer-vectors"
    assert header["__metadata__"]["format_version"] == "1"
    assert header["__metadata__"]["offset_token"] == '"\\n"'
    assert header["__metadata__"]["recommended_c_values"] == "5.0"
    assert header["values.2"]["dtype"] == "F32"
    assert header["values.2"]["shape"] == [1, 2]
    start, end = header["values.2"]["data_offsets"]
    assert content[8 + size + start : 8 + size + end] == torch.tensor([7.0, 8.0]).numpy().tobytes()


def test_the_content_hash_covers_tensors_and_not_metadata():
    other = VectorMetadata(kind="x", model_id="y")
    assert small(other).sha256 == small().sha256
    changed = SteeringVectors({1: torch.ones(1, 2)}, {1: torch.ones(1, 2)})
    assert changed.sha256 != small().sha256


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (GOOD, {"format": "other"}, "not a vector file"),
        (GOOD, {"format_version": "2"}, "version '2' is unknown, this release reads version '1'"),
        (GOOD, {"key_space": "folded"}, "key space 'folded' is unknown"),
        (GOOD, {"pair_count": "many"}, "metadata is malformed"),
        (GOOD, {"architecture": '{"x": 1}'}, "metadata is malformed"),
        (GOOD, {"offset_token": "3"}, "offset_token must be a JSON str or null"),
        (GOOD, {"offset_token_id": "true"}, "offset_token_id must be a JSON int or null"),
        (GOOD, {"recommended_c_values": "NaN"}, "must be a finite JSON number or null"),
        (GOOD, {"architecture": "[" * 20000 + "]" * 20000}, "metadata is malformed"),
        (GOOD | {"keys.1": torch.ones(0, 2), "values.1": torch.ones(0, 2)}, {}, "must be float32 of shape"),
        (GOOD | {"extra": torch.ones(1)}, {}, "unexpected tensor 'extra'"),
        (GOOD | {"keys.01": torch.ones(1, 2)}, {}, "unexpected tensor 'keys.01'"),
        ({"keys.1": torch.ones(1, 2)}, {}, "need keys and values for the same layers"),
        (GOOD | {"keys.1": torch.ones(2)}, {}, r"must be float32 of shape \(n_kv_heads, head_dim\)"),
        (GOOD | {"keys.1": torch.ones(1, 2).half()}, {}, "must be float32"),
        (GOOD | {"keys.1": torch.full((1, 2), float("nan"))}, {}, "NaN or infinity"),
        (GOOD | {"values.1": torch.full((1, 2), float("inf"))}, {}, "NaN or infinity"),
        (GOOD | {"values.1": torch.ones(3, 2)}, {}, "1 KV heads in keys and 3 in values"),
    ],
)
def test_bad_files_are_refused_by_name_and_reason(tmp_path, tensors, metadata, message):
    path = write(tmp_path / "bad.safetensors", tensors, **metadata)
    with pytest.raises(VectorFileError, match=message) as error:
        SteeringVectors.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 64, (2**60).to_bytes(8, "little") + b"{}"])
def test_files_that_are_not_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match="not a readable safetensors file"):
        SteeringVectors.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VectorFileError, match="no such vector file"):
        SteeringVectors.load(tmp_path / "none.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "v.safetensors"
    small().save(path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        small(VectorMetadata(kind="x", model_id="y")).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]


def test_canonical_bytes_can_be_read_by_the_library(tmp_path):
    from safetensors import safe_open

    (tmp_path / "x").write_bytes(canonical_bytes({"a": torch.arange(6.0).reshape(2, 3)}, {"z": "\n", "b": "ü"}))
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert file.metadata() == {"z": "\n", "b": "ü"}
        assert torch.equal(file.get_tensor("a"), torch.arange(6.0).reshape(2, 3))
