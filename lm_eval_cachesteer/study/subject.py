"""What a study is about: a model, its steering vectors, and an activation vector of the same pairs."""

import gc
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from ..activation import extract_activation, save_for_harness
from ..core.architecture import Architecture
from ..core.metadata import VectorMetadata
from ..errors import ArgumentError
from ..harness.arguments import SteeringArguments
from ..harness.plan import SteeringPlan
from ..sources.embedded import ensure_embedded_model
from ..sources.models import default_device, loading, model_id_of
from ..sources.resolve import resolve_vectors
from .pairs import Source

# Model arguments that decide which checkpoint is loaded.
_WHICH = ("revision", "trust_remote_code")


@dataclass(frozen=True)
class Subject:
    """A model and its steering.

    Attributes:
        common: Model arguments of all arms, `pretrained` among them.
        plan: The steering, checked against the model.
        tokenizer: The model's tokenizer.
    """

    common: Mapping[str, Any]
    plan: SteeringPlan
    tokenizer: Any

    @classmethod
    def of(cls, common: Mapping[str, Any], steering: Mapping[str, Any]) -> "Subject":
        """Reads the model's configuration and tokenizer, not its weights.

        Args:
            common: Model arguments of all arms; without `pretrained`, the embedded model is meant.
            steering: The steering arguments.

        Raises:
            CachesteerError: There is no such model, there are no such vectors, or they do not fit each other.
        """
        arguments = SteeringArguments.take_from(dict(common) | dict(steering))
        if arguments.vectors is None:
            raise ArgumentError("A study needs vectors to steer with, such as --vectors stepwise.")
        resolve_vectors(arguments.vectors)  # before a model is obtained for them
        common = dict(common) | {"pretrained": common.get("pretrained") or str(ensure_embedded_model())}
        name, which = str(common["pretrained"]), _which(common)
        with loading(name):
            config = AutoConfig.from_pretrained(name, **which)
            tokenizer = AutoTokenizer.from_pretrained(str(common.get("tokenizer") or name), **which)
        plan = SteeringPlan.resolve(arguments, Architecture.of(config), model_id_of(name), tokenizer)
        return cls(common, plan, tokenizer)

    @property
    def vectors(self) -> list[str]:
        """SHA-256 of each of the steering vectors."""
        return [term.vectors.sha256 for term in self.plan.terms]

    @property
    def metadata(self) -> VectorMetadata:
        """What the steering vectors, the first of a sum, say about themselves."""
        return self.plan.terms[0].vectors.metadata


@dataclass(frozen=True)
class Activation:
    """An activation vector, for the harness's `steered`.

    Attributes:
        subject: The model.
        source: The pairs.
        layer: The layer after which it is read and added; None for the middle one.
        coefficient: Its coefficient.
        folder: Where it is kept.
    """

    subject: Subject
    source: Source
    layer: int | None
    coefficient: float
    folder: Path

    @property
    def path(self) -> Path:
        """Its file; the name follows from everything that decides its content."""
        common = self.subject.common
        recipe = [common["pretrained"], _which(common), self.source.identity, self.layer, self.coefficient]
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode()).hexdigest()
        return self.folder / f"activation-{digest[:16]}.pt"

    def extract(self) -> None:
        """Makes it, unless it is there.

        Raises:
            CachesteerError: The model cannot be loaded or has no such layer, or the pairs cannot be built.
        """
        if self.path.is_file():
            return
        pairs = self.source.pairs(self.subject.tokenizer)
        name, which = self.subject.common["pretrained"], _which(self.subject.common)
        with loading(name):
            model = AutoModelForCausalLM.from_pretrained(name, dtype="float32", **which)
        with tqdm(total=len(pairs), desc="Extracting the activation vector", unit="pair") as bar:
            layer, vector = extract_activation(
                model.to(default_device()).eval(), pairs, self.layer, lambda: bar.update() and None
            )
        del model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # for the processes to come
        save_for_harness(self.path, layer, vector, self.coefficient)


def _which(common: Mapping[str, Any]) -> dict[str, Any]:
    return {name: common[name] for name in _WHICH if common.get(name) is not None}
