"""Steering vectors: what extraction produces and the edit adds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import VectorFileError
from .format import read_metadata, read_tensors, write_vectors
from .metadata import VectorMetadata


@dataclass(frozen=True)
class SteeringVectors:
    """Steering vectors of a model: per layer, one key and one value vector for each KV head.

    S_K[l] and S_V[l] of the paper (arXiv 2507.08799, section 3): the mean over contrast pairs of the difference
    between the cached keys (values) of the last token of the positive and of the negative prompt.

    Attributes:
        keys: Layer -> (n_kv_heads, head_dim), float32.
        values: Layer -> (n_kv_heads, head_dim of the values), float32.
        metadata: Provenance and recommended use.

    Raises:
        VectorFileError: Keys and values cover different layers, have impossible shapes, or are not finite.
    """

    keys: Mapping[int, Tensor]
    values: Mapping[int, Tensor]
    metadata: VectorMetadata = field(default_factory=lambda: VectorMetadata(kind="custom", model_id=""))

    def __post_init__(self) -> None:
        if not self.keys or self.keys.keys() != self.values.keys():
            raise VectorFileError(
                f"Steering vectors need keys and values for the same layers, got keys for {sorted(self.keys)} and "
                f"values for {sorted(self.values)}. Extract them again with `cachesteer extract`."
            )
        for name, tensors in (("keys", self.keys), ("values", self.values)):
            for layer, tensor in tensors.items():
                if tensor.ndim != 2 or tensor.dtype != torch.float32 or 0 in tensor.shape:
                    raise VectorFileError(
                        f"{name}.{layer} must be float32 of shape (n_kv_heads, head_dim), got {tensor.dtype} of "
                        f"shape {tuple(tensor.shape)}. Extract the vectors again with `cachesteer extract`."
                    )
                if not torch.isfinite(tensor).all():
                    raise VectorFileError(
                        f"{name}.{layer} holds NaN or infinity. Extract the vectors again, in float32."
                    )
                if tensor.shape[0] != self.keys[layer].shape[0]:
                    raise VectorFileError(
                        f"Layer {layer} has {self.keys[layer].shape[0]} KV heads in keys and {tensor.shape[0]} in "
                        "values. Extract the vectors again with `cachesteer extract`."
                    )

    @property
    def layers(self) -> list[int]:
        """The layers the vectors cover, ascending."""
        return sorted(self.keys)

    @property
    def sha256(self) -> str:
        """SHA-256 of the tensors alone (layer numbers, shapes, float32 little-endian bytes), not of the metadata."""
        digest = hashlib.sha256()
        for name, tensors in (("keys", self.keys), ("values", self.values)):
            for layer in self.layers:
                tensor = tensors[layer].detach().cpu().contiguous()
                digest.update(f"{name}.{layer}:{tuple(tensor.shape)};".encode())
                digest.update(tensor.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def to(self, device: str | torch.device) -> "SteeringVectors":
        """The same vectors on a device."""
        return replace(
            self,
            keys={layer: tensor.to(device) for layer, tensor in self.keys.items()},
            values={layer: tensor.to(device) for layer, tensor in self.values.items()},
        )

    def recommend(self, c_keys: float | None, c_values: float | None) -> "SteeringVectors":
        """The same vectors with other recommended coefficients; None keeps the recorded one."""
        recorded = self.metadata
        metadata = replace(
            recorded,
            recommended_c_keys=recorded.recommended_c_keys if c_keys is None else c_keys,
            recommended_c_values=recorded.recommended_c_values if c_values is None else c_values,
        )
        return replace(self, metadata=metadata)

    def save(self, path: str | Path) -> None:
        """Writes the vectors to a `.safetensors` file (docs/vector-format.md), atomically.

        Raises:
            StorageError: The file cannot be written; nothing is left half-written.
        """
        write_vectors(Path(path), self.keys, self.values, self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> "SteeringVectors":
        """Reads vectors from a `.safetensors` file; executes nothing.

        Raises:
            VectorFileError: The file is missing, corrupt, not a vector file, or of an unknown format version.
        """
        metadata = read_metadata(path)
        keys, values = read_tensors(path)
        try:
            vectors = cls(keys, values, metadata)
        except VectorFileError as error:
            raise VectorFileError(f"{path}: {error}") from None
        architecture = metadata.architecture
        if architecture is not None and vectors.layers[-1] >= architecture.n_layers:
            raise VectorFileError(
                f"{path}: vectors of layer {vectors.layers[-1]}, but the model they name has {architecture.n_layers} "
                "layers, counted from 0. Extract the vectors again with `cachesteer extract`."
            )
        return vectors
