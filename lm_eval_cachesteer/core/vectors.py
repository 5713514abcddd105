"""Steering vectors: what extraction produces and the edit adds."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import VectorFileError
from .architecture import Architecture


@dataclass(frozen=True)
class VectorMetadata:
    """Where vectors come from and how they are meant to be used.

    Attributes:
        kind: What they induce, such as "stepwise".
        model_id: Hub id, or folder name, of the model they were extracted from.
        architecture: What the model must share to be steered by them; None if unknown.
        chat_template_sha256: Hash of the chat template of the extraction prompts; "" for plain-text prompts.
        contrast_set: Name of the contrast set.
        contrast_sha256: SHA-256 of the contrast set's file.
        pair_count: Number of contrast pairs averaged.
        fewshot_count: Few-shot examples in each prompt.
        fewshot_selection: "random:SEED", "similar", or "none" for ready-made prompts.
        token_position: Captured prompt token, -1 is the last.
        offset_token: Token appended to prompts when these vectors are applied; None for none.
        offset_token_id: Its id in the model's vocabulary; None for none.
        key_space: "post_rope": keys as the model caches them, after rotary embedding (the paper's).
        recommended_c_keys: Recommended coefficient of the keys; None if unknown.
        recommended_c_values: Recommended coefficient of the values; None if unknown.
        tool_version: Version of lm_eval_cachesteer that extracted them.
        license: Licence note.
    """

    kind: str
    model_id: str
    architecture: Architecture | None = None
    chat_template_sha256: str = ""
    contrast_set: str = ""
    contrast_sha256: str = ""
    pair_count: int = 0
    fewshot_count: int = 0
    fewshot_selection: str = "none"
    token_position: int = -1
    offset_token: str | None = None
    offset_token_id: int | None = None
    key_space: str = "post_rope"
    recommended_c_keys: float | None = None
    recommended_c_values: float | None = None
    tool_version: str = ""
    license: str = ""

    def summary(self) -> dict[str, object]:
        """All fields by name, the architecture as a plain dictionary."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "architecture": asdict(self.architecture) if self.architecture else None
        }


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
        """Writes the vectors to a `.safetensors` file (see docs/vector-format.md)."""
        from .format import save_vectors

        save_vectors(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "SteeringVectors":
        """Reads vectors from a `.safetensors` file.

        Raises:
            VectorFileError: The file is missing, corrupt, or of an unknown format version.
        """
        from .format import load_vectors

        return load_vectors(path)
