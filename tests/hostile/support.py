"""Vector files written byte by byte, so that they can say anything."""

import json
import struct

HEADER = 8  # bytes before it

ARCHITECTURE = {
    "head_dim": 8,
    "hidden_size": 32,
    "model_type": "llama",
    "n_kv_heads": 2,
    "n_layers": 4,
    "rope_base": {"": 10000.0},
}
METADATA = {
    "format": "cachesteer-vectors",
    "format_version": "1",
    "kind": "test",
    "model_id": "tiny-llama",
    "architecture": json.dumps(ARCHITECTURE),
    "pair_count": "6",
    "fewshot_count": "2",
    "fewshot_selection": "random:0",
    "token_position": "-1",
    "offset_token": "null",
    "offset_token_id": "null",
    "recommended_c_keys": "0.0",
    "recommended_c_values": "1.0",
}
LAYERS = (1, 2)
SHAPE = (2, 8)
NUMBERS = SHAPE[0] * SHAPE[1]
BYTES = 4 * NUMBERS


def entries(names=None, *, dtype="F32", shape=SHAPE, size=BYTES):
    """The header's part about tensors: one after another, all alike."""
    names = [f"{side}.{layer}" for side in ("keys", "values") for layer in LAYERS] if names is None else names
    return {
        name: {"dtype": dtype, "shape": list(shape), "data_offsets": [i * size, (i + 1) * size]}
        for i, name in enumerate(names)
    }


def numbers(count=4 * NUMBERS, first=0.5):
    """Data: `first`, then small numbers."""
    return struct.pack(f"<{count}f", first, *(i / 64 for i in range(1, count)))


def file_of(tensors=None, data=None, *, header=None, length=None, **metadata):
    """The content of a vector file.

    Args:
        tensors: The header's entries; by default those of two layers.
        data: What follows the header.
        header: The header's text, instead of that of `tensors` and `metadata`.
        length: What the first eight bytes claim, instead of the header's length.
        **metadata: Changes to `METADATA`; None takes a key out.

    Returns:
        Bytes.
    """
    if header is None:
        strings = {name: text for name, text in (METADATA | metadata).items() if text is not None}
        header = json.dumps({"__metadata__": strings} | (entries() if tensors is None else tensors))
    text = header if isinstance(header, bytes) else header.encode(errors="surrogatepass")
    text += b" " * (-len(text) % 8)
    claimed = len(text) if length is None else length
    return claimed.to_bytes(HEADER, "little") + text + (numbers() if data is None else data)


def header_text(**metadata):
    """The header of a sound file as text, to be edited."""
    content = file_of(**metadata)
    return content[HEADER : HEADER + int.from_bytes(content[:HEADER], "little")].decode()
