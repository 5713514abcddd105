"""KVSteerer: steer any transformers model in two lines."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from .core.architecture import Architecture, check_architecture, check_chunks
from .core.decode import PaddedBatch, continue_generation, prefill
from .core.edit import CacheEdit, WeightedVectors
from .core.generation import GenerateSettings
from .core.vectors import SteeringVectors
from .errors import ArgumentError, SteeringError
from .sources.resolve import VECTORS_FILE, resolve_vectors

# What `generate` decodes unless told otherwise.
_DEFAULT_NEW_TOKENS = 20


class KVSteerer:
    """Steering vectors together with how they are applied.

    Args:
        vectors: Steering vectors, or a weighted sum of several.
        ck: Coefficient of the keys; None for what the vectors recommend (0 if they recommend none).
        cv: Coefficient of the values; None for what the vectors recommend.
        layers: Layers to steer: "1-" (all but the first), "4-20", a list, see `select_layers`.
        heads: "all", or k for the k KV heads of largest norm.
        position: The edited prompt token among the cached ones; -1 is the last.
        offset_token: Token id appended to prompts so that the real last token is in the cache when it is edited;
            "auto" for what the vectors record, None for none.

    Raises:
        ArgumentError: A setting is malformed or out of range, or summed vectors record different offset tokens.
    """

    def __init__(
        self,
        vectors: SteeringVectors | Sequence[WeightedVectors],
        *,
        ck: float | None = None,
        cv: float | None = None,
        layers: str | int | Iterable[int] = "1-",
        heads: str | int = "all",
        position: int = -1,
        offset_token: int | Literal["auto"] | None = "auto",
    ) -> None:
        if isinstance(vectors, SteeringVectors):
            vectors = [WeightedVectors(vectors.metadata.kind, 1.0, vectors)]
        self.terms = tuple(vectors)
        self.ck, self.cv = ck, cv
        self.layers, self.heads, self.position = layers, heads, position
        self.offset_token = self._recorded_offset() if offset_token == "auto" else offset_token

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str,
        *,
        model: PreTrainedModel | None = None,
        device: str | torch.device | None = None,
        revision: str | None = None,
        **settings: Any,
    ) -> "KVSteerer":
        """Loads vectors by shipped name, from a file or folder, or from the hub.

        Args:
            name_or_path: A file, a folder, a name such as "stepwise", "hub-id[:file]", or a sum such as
                "0.5*stepwise+causal_chain".
            model: The model to be steered; picks among vectors of one name and checks that they fit.
            device: Where the vectors are kept; by default where each edit needs them.
            revision: Hub revision.
            **settings: Passed to `KVSteerer`.

        Raises:
            ArgumentError: The name is unknown or malformed.
            VectorFileError: The file is missing or damaged.
            VectorMismatchError: The vectors do not fit the model.
        """
        architecture = Architecture.of(model.config) if model is not None else None
        terms = resolve_vectors(name_or_path, architecture=architecture, revision=revision)
        steerer = cls([term.to(device) for term in terms] if device is not None else terms, **settings)
        if model is not None:
            steerer.check(model)
        return steerer

    def check(self, model: PreTrainedModel) -> None:
        """Refuses a model that the vectors do not fit.

        Raises:
            VectorMismatchError: Names what differs.
        """
        architecture = Architecture.of(model.config)
        for term in self.terms:
            check_architecture(term.name, term.vectors.metadata.architecture, architecture)

    def cache_edit(self, *, ck: float | None = None, cv: float | None = None) -> CacheEdit:
        """The edit for these coefficients (by default the steerer's own): ck * S_K and cv * S_V per layer."""
        recorded = [t.vectors.metadata.architecture for t in self.terms]
        return CacheEdit.build(
            self.terms,
            c_keys=self.ck if ck is None else ck,
            c_values=self.cv if cv is None else cv,
            layers=self.layers,
            heads=self.heads,
            position=self.position,
            n_layers=next((architecture.n_layers for architecture in recorded if architecture), None),
        )

    def edit(
        self, cache: Cache, attention_mask: Tensor | None = None, *, ck: float | None = None, cv: float | None = None
    ) -> int:
        """The bare edit, in place, for people with their own decoding loop.

        Feed the prompt without its last token (or with an offset token appended, all but that), edit, go on.

        Args:
            cache: A filled cache of transformers.
            attention_mask: (batch, columns), 1 for real tokens; None if nothing is padded.
            ck: Coefficient of the keys; None for the steerer's own.
            cv: Coefficient of the values; None for the steerer's own.

        Returns:
            The number of rows edited.
        """
        return self.cache_edit(ck=ck, cv=cv).apply(cache, attention_mask)

    def steer(
        self,
        model: PreTrainedModel,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        ck: float | None = None,
        cv: float | None = None,
        cache_implementation: str | None = None,
        **generate_arguments: Any,
    ) -> Any:
        """Generates with one edit of the cache; the model itself is not touched.

        Args:
            model: A decoder-only model.
            input_ids: (batch, columns) prompts, left-padded if their lengths differ.
            attention_mask: (batch, columns), 1 for real tokens; None if nothing is padded.
            ck: Coefficient of the keys; None for the steerer's own.
            cv: Coefficient of the values; None for the steerer's own.
            cache_implementation: "dynamic", "static", "offloaded" or "offloaded_static".
            **generate_arguments: Passed to `model.generate`.

        Returns:
            What `model.generate` would return for the prompts; the offset token is not in it.

        Raises:
            ArgumentError: A setting is out of range, or nothing would be steered.
            SteeringError: A prompt is too short to be steered, or padded on the right.
            VectorMismatchError: The vectors do not fit the model.
        """
        self.check(model)
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if not attention_mask[:, -1].all():
            raise SteeringError('Prompts are padded on the right. Generation needs padding_side="left".')
        width = input_ids.shape[1]
        batch = PaddedBatch(input_ids, attention_mask)
        if self.offset_token is not None:
            batch = batch.append(self.offset_token)
            if generate_arguments.get("max_length") is not None:
                generate_arguments["max_length"] += 1
        cache = _empty_cache(cache_implementation, model, batch, generate_arguments)
        edit = self.cache_edit(ck=ck, cv=cv)
        if not edit.is_zero:
            check_chunks(model.config, batch.input_ids.shape[1])
        prompt = batch.without_last()
        if prompt.input_ids.shape[1] == 0:
            raise SteeringError(_TOO_SHORT.format(rows=list(range(len(input_ids))), position=self.position))
        prefilled = prefill(model, prompt, edit, cache)
        if not prefilled.steered.all():
            rows = (~prefilled.steered).nonzero().squeeze(1).tolist()
            raise SteeringError(_TOO_SHORT.format(rows=rows, position=self.position))
        output = continue_generation(model, batch, prefilled, **generate_arguments)
        return output if self.offset_token is None else _without_column(output, width)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the vectors to `folder`/steering.safetensors, for `from_pretrained`.

        The steerer's own coefficients, if any, become the recommended ones.

        Raises:
            ArgumentError: The steerer is a sum; save its parts.
        """
        self._single().save(Path(folder) / VECTORS_FILE)

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Uploads the vectors to a hub repository, for `from_pretrained(repo_id)`.

        Returns:
            The address of the commit.
        """
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder))

    def _single(self) -> SteeringVectors:
        if len(self.terms) > 1 or self.terms[0].weight != 1.0:
            raise ArgumentError("A weighted sum of vectors cannot be saved as one file. Save its parts.")
        return self.terms[0].vectors.recommend(self.ck, self.cv)

    def _recorded_offset(self) -> int | None:
        recorded = {term.name: term.vectors.metadata.offset_token_id for term in self.terms}
        if len(set(recorded.values())) > 1:
            raise ArgumentError(
                f"The summed vectors record different offset tokens ({recorded}). Choose one with offset_token=."
            )
        return next(iter(recorded.values()))


_TOO_SHORT = (
    "Rows {rows} have no cached token at position {position} and cannot be steered. Use a longer prompt, or an "
    "offset token, which puts the whole prompt into the cache."
)


def _empty_cache(
    implementation: str | None, model: PreTrainedModel, batch: PaddedBatch, generate_arguments: dict[str, Any]
) -> Cache | None:
    given = generate_arguments.pop("past_key_values", None)
    if given is not None:
        if implementation is not None or given.get_seq_length() > 0:
            raise ArgumentError("Pass either an empty past_key_values or a cache_implementation, not a filled cache.")
        return given
    settings = GenerateSettings.of(model, generate_arguments, implementation)
    columns = batch.input_ids.shape[1] + (settings.config.max_new_tokens or _DEFAULT_NEW_TOKENS)
    if settings.config.max_new_tokens is None:
        columns = max(columns, settings.config.max_length or 0)
    return settings.empty_cache(model, columns)


def _without_column(output: Any, column: int) -> Any:
    """Removes the offset token from the sequences that `generate` returned."""
    if isinstance(output, Tensor):
        return torch.cat([output[:, :column], output[:, column + 1 :]], dim=1)
    output.sequences = _without_column(output.sequences, column)
    return output
