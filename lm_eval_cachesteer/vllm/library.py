"""Vectors by name, from one folder that is fixed when the engine starts."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from ..core.architecture import Architecture, check_architecture
from ..core.edit import CacheEdit, WeightedVectors
from ..core.format import read_metadata
from ..core.vectors import SteeringVectors
from ..errors import ArgumentError
from ..sources.folders import vectors_folder
from ..sources.models import model_id_of
from .launch import FOLDER
from .settings import SteeringSettings

# Edits kept built. Each takes as much memory as a vector file; building one takes milliseconds.
_KEPT = 64


class VectorLibrary:
    """The vectors of a folder: files `NAME.safetensors` in it or in its subfolders.

    Names are looked up among the files found, so that no name leads elsewhere.

    Args:
        folder: The folder.
        architecture: The model to be steered.
        model_id: Among vectors of one name that fit, those of this model are preferred.
    """

    def __init__(self, folder: Path, architecture: Architecture, model_id: str) -> None:
        self.folder, self.architecture, self.model_id = folder, architecture, model_id
        self._terms: dict[str, WeightedVectors] = {}
        self._edits: OrderedDict[tuple[object, ...], CacheEdit] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def of(cls, vllm_config: Any) -> "VectorLibrary":
        """The vectors an engine knows: those of the folder it was started with, or else the shipped ones.

        Raises:
            ArgumentError: The model has no keys and values that could be steered, or there is no such folder.
        """
        model = vllm_config.model_config
        named = vllm_config.kv_transfer_config.kv_connector_extra_config.get(FOLDER)
        folder = Path(named) if named else vectors_folder()
        if not folder.is_dir():
            raise ArgumentError(f"{folder}: no such folder of vectors. Name one with files NAME.safetensors.")
        return cls(folder, Architecture.of(model.hf_config), model_id_of(model.model))

    def names(self) -> list[str]:
        """Names of the vectors that fit the model.

        Raises:
            VectorFileError: A file is damaged.
        """
        return sorted({path.stem for path in self._files() if self._fits(path)})

    def edit(self, settings: SteeringSettings) -> CacheEdit:
        """The edit that a request asks for; the same object as long as it is remembered.

        Raises:
            ArgumentError: The vectors are unknown, or a setting is out of range.
            VectorFileError: The file is damaged.
            VectorMismatchError: The vectors are for another model.
        """
        key = (settings.vectors, settings.c_keys, settings.c_values, settings.layers, settings.heads)
        with self._lock:
            if key not in self._edits:
                self._edits[key] = CacheEdit.build(
                    [self._term(settings.vectors)],
                    c_keys=settings.c_keys,
                    c_values=settings.c_values,
                    layers=settings.layers,
                    heads=settings.heads,
                    n_layers=self.architecture.n_layers,
                )
            self._edits.move_to_end(key)
            if len(self._edits) > _KEPT:
                self._edits.popitem(last=False)
            return self._edits[key]

    def offset(self, settings: SteeringSettings) -> list[int]:
        """The token to be appended to the prompt, or nothing.

        Raises:
            ArgumentError: The vectors are unknown.
            VectorFileError: The file is damaged.
            VectorMismatchError: The vectors are for another model.
        """
        if settings.offset == "none" or settings.cached is not None:
            return []
        with self._lock:
            recorded = self._term(settings.vectors).vectors.metadata.offset_token_id
        return [] if recorded is None else [recorded]

    def _term(self, name: str) -> WeightedVectors:
        if name not in self._terms:
            self._terms[name] = WeightedVectors(name, 1.0, SteeringVectors.load(self._locate(name)))
        return self._terms[name]

    def _locate(self, name: str) -> Path:
        named = [path for path in self._files() if path.stem == name]
        if not named:
            known = ", ".join(self.names()) or "none"
            raise ArgumentError(f"No vectors are known as {name!r}. Known for this model: {known}.")
        fitting = [path for path in named if self._fits(path)]
        if not fitting:
            check_architecture(name, read_metadata(named[0]).architecture, self.architecture)
        return min(fitting, key=lambda path: read_metadata(path).model_id != self.model_id)

    def _fits(self, path: Path) -> bool:
        return read_metadata(path).architecture in (None, self.architecture)

    def _files(self) -> Iterator[Path]:
        for pattern in ("*.safetensors", "*/*.safetensors"):
            yield from (path for path in sorted(self.folder.glob(pattern)) if not path.name.startswith("."))
