"""How a run is steered: resolved, checked against the model, and described for the results."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from ..core.architecture import Architecture, check_architecture, text_sha256
from ..core.edit import CacheEdit, WeightedVectors
from ..core.tokens import single_token_id
from ..errors import ArgumentError, VectorMismatchError
from ..sources.resolve import resolve_vectors
from .arguments import ALLOWED, SteeringArguments

logger = logging.getLogger(__name__)

_VERSIONED = ("lm-eval-cachesteer", "lm-eval", "torch", "transformers", "accelerate", "safetensors")


@dataclass(frozen=True)
class SteeringPlan:
    """The steering of one run.

    Attributes:
        arguments: What the user asked for.
        terms: The vectors and their weights; empty for an unsteered run.
        edit: What is added to the cache; None for an unsteered run, or if the sum is zero.
        offset: The offset token's id, or nothing.
        offset_text: The offset token, for the record.
    """

    arguments: SteeringArguments
    terms: tuple[WeightedVectors, ...]
    edit: CacheEdit | None
    offset: list[int]
    offset_text: str | None

    @classmethod
    def resolve(
        cls, arguments: SteeringArguments, architecture: Architecture, model_id: str, tokenizer: Any
    ) -> "SteeringPlan":
        """Loads the vectors and checks them against the model.

        Raises:
            ArgumentError: A setting is out of range for this model, the vectors add up to zero there, or the offset is
                not one token.
            VectorFileError: A vector file is missing or damaged.
            VectorMismatchError: Vectors were made for another architecture.
        """
        if arguments.vectors is None:
            offset_text = None if arguments.offset_token in ("auto", "none") else arguments.offset_token
            return cls(arguments, (), None, _offset_ids(offset_text, tokenizer), offset_text)
        terms = tuple(resolve_vectors(arguments.vectors, architecture=architecture, model_id=model_id))
        for term in terms:
            _check_term(term, architecture, model_id, tokenizer)
        edit = CacheEdit.build(
            terms,
            c_keys=arguments.c_keys,
            c_values=arguments.c_values,
            layers=arguments.layers,
            heads=arguments.heads,
            position=arguments.position,
            n_layers=architecture.n_layers,
        )
        offset_text = _offset_text(arguments.offset_token, terms)
        offset = _offset_ids(offset_text, tokenizer)
        if arguments.offset_token == "auto":
            _check_offset(terms, offset)
        return cls(arguments, terms, None if edit.is_zero else edit, offset, offset_text)

    @property
    def edits(self) -> bool:
        """Whether generation is steered."""
        return self.edit is not None

    @property
    def edits_loglikelihood(self) -> bool:
        """Whether loglikelihoods are steered."""
        return self.edits and self.arguments.steer_loglikelihood

    @property
    def loglikelihood_offset(self) -> list[int]:
        """The offset token's id for loglikelihood requests, or nothing."""
        return self.offset if self.arguments.steer_loglikelihood else []

    def chat_mismatch(self, prompts: Sequence[str], tokenizer: Any) -> str | None:
        """A warning if the vectors come from chat prompts and these are plain text, or the reverse."""
        marker = _generation_prompt(tokenizer)
        templated = sum(marker in prompt for prompt in prompts) if marker else 0
        for term in self.terms:
            from_chat = bool(term.vectors.metadata.chat_template_sha256)
            if from_chat and templated < len(prompts):
                return (
                    f"The vectors {term.name!r} were extracted from chat-templated prompts, but "
                    f"{len(prompts) - templated} of {len(prompts)} prompts of this run are plain text. Add "
                    "--apply_chat_template, or extract vectors with --no-chat."
                )
            if not from_chat and templated:
                return (
                    f"The vectors {term.name!r} were extracted from plain-text prompts, but {templated} of "
                    f"{len(prompts)} prompts of this run are chat-templated. Leave out --apply_chat_template, or "
                    "extract vectors with --chat."
                )
        return None

    def fingerprint(self, model: Mapping[str, Any]) -> str:
        """SHA-256 over the model's description and everything that decides the edit."""
        decisive = {"model": dict(model), "arguments": asdict(self.arguments), "vectors": self._described_terms()}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """What the results record of the steering, as plain data."""
        return {
            "vectors": self._described_terms(),
            "layers": sorted(self.edit.keys) if self.edit else [],
            "heads": self.arguments.heads,
            "position": self.arguments.position,
            "offset_token": self.offset_text,
            "answer_prompt": self.arguments.answer_prompt,
            "answer_tokens": self.arguments.answer_tokens,
            "answer_stage": self.arguments.answer_stage,
            "steer_loglikelihood": self.arguments.steer_loglikelihood,
            "versions": {package: version(package) for package in _VERSIONED},
        }

    def _described_terms(self) -> list[dict[str, Any]]:
        return [
            {
                "name": term.name,
                "weight": term.weight,
                "sha256": term.vectors.sha256,
                "kind": term.vectors.metadata.kind,
                "model_id": term.vectors.metadata.model_id,
                "c_keys": term.coefficient("c_keys", self.arguments.c_keys),
                "c_values": term.coefficient("c_values", self.arguments.c_values),
            }
            for term in self.terms
        ]


def _check_term(term: WeightedVectors, architecture: Architecture, model_id: str, tokenizer: Any) -> None:
    metadata = term.vectors.metadata
    check_architecture(term.name, metadata.architecture, architecture)
    if metadata.model_id != model_id:
        logger.warning(
            "The vectors %r were extracted from %s and are applied to %s, of the same architecture.",
            term.name,
            metadata.model_id or "an unknown model",
            model_id,
        )
    template = text_sha256(getattr(tokenizer, "chat_template", None))
    if metadata.chat_template_sha256 and template and metadata.chat_template_sha256 != template:
        logger.warning(
            "The vectors %r were extracted under chat template %s, this tokenizer's is %s.",
            term.name,
            metadata.chat_template_sha256[:12],
            template[:12],
        )


def _offset_text(asked: str | None, terms: Sequence[WeightedVectors]) -> str | None:
    if asked is None or asked == "none":
        return None
    if asked != "auto":
        return asked
    recorded = {term.name: term.vectors.metadata.offset_token for term in terms}
    if len(set(recorded.values())) > 1:
        raise ArgumentError(
            f"The summed vectors record different offset tokens ({recorded}). Choose one with offset_token=. "
            f"Allowed: {ALLOWED['offset_token']}."
        )
    return next(iter(recorded.values()))


def _check_offset(terms: Sequence[WeightedVectors], offset: list[int]) -> None:
    for term in terms:
        recorded = term.vectors.metadata.offset_token_id
        if offset and recorded is not None and [recorded] != offset:
            raise VectorMismatchError(
                f"The offset token of the vectors {term.name!r} has id {recorded}, but id {offset[0]} in this "
                "tokenizer: they were made for another vocabulary. Extract vectors from this model, or set "
                "offset_token=."
            )


def _offset_ids(text: str | None, tokenizer: Any) -> list[int]:
    if text is None:
        return []
    token_id = single_token_id(text, tokenizer)
    if token_id is None:
        raise ArgumentError(
            f"offset_token={text!r} is not one token for this tokenizer. Allowed: {ALLOWED['offset_token']}."
        )
    return [token_id]


def _generation_prompt(tokenizer: Any) -> str:
    """What a chat template puts between the last user message and the answer; "" without a template."""
    if not getattr(tokenizer, "chat_template", None):
        return ""
    question = "\u2300question\u2300"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    return str(text.partition(question)[2]).strip()
