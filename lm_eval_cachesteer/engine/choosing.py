"""Choosing the next token: greedily or by sampling, with every logits processor of `generate`, row by row.

A row's choice depends on that row alone: processors see its own tokens without padding, and sampling draws from a
generator of its own.
"""

import hashlib
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)
from transformers.generation import GenerationMode

from ..core.devices import input_device

# Two scores closer than this can change places when sums are taken in another order (in units of the dtype's epsilon,
# relative to the larger score, for other precisions than float32).
NEAR_TIE_FLOAT32 = 1e-4
_NEAR_TIE_EPSILONS = 1.0

# Processors that look at the scores only, so that all rows can be processed at once.
_PLAIN_WARPERS = (
    TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MinPLogitsWarper, TypicalLogitsWarper,
    EpsilonLogitsWarper, EtaLogitsWarper,
)  # fmt: skip

# Settings that `generate` takes and that this path does not know: what is set here goes through `generate`.
_NOT_HERE = (
    "cache_implementation", "cache_config", "max_time", "stop_strings", "guidance_scale", "constraints",
    "force_words_ids", "forced_eos_token_id", "prompt_lookup_num_tokens", "assistant_early_exit", "compile_config",
    "token_healing", "output_scores", "output_logits", "return_dict_in_generate",
    "output_attentions", "output_hidden_states",
)  # fmt: skip


@dataclass
class Row:
    """One response being decoded.

    Attributes:
        prompt: Token ids of the prompt.
        generator: Draws for this response alone.
        processors: Its own logits processors.
        tokens: New tokens so far.
        near_tie: Whether a greedy choice so far was too close to be independent of rounding.
    """

    prompt: Sequence[int]
    generator: random.Random
    processors: LogitsProcessorList
    tokens: list[int] = field(default_factory=list)
    near_tie: bool = False
    _draws: list[float] = field(default_factory=list)

    def draws(self, count: int) -> list[float]:
        """Random numbers in [0, 1) for the next tokens, the same however many are asked for at a time."""
        self._draws += (self.generator.random() for _ in range(count - len(self._draws)))
        return self._draws[:count]

    def append(self, choice: "Choice") -> None:
        """Takes a token into the response."""
        self.tokens.append(choice.token)
        self.near_tie |= choice.near_tie
        del self._draws[:1]


class Choice(NamedTuple):
    """A chosen token, and whether it was too close to be independent of rounding."""

    token: int
    near_tie: bool


class TokenChoice:
    """How next tokens are chosen in one run, from `generate`'s settings.

    Args:
        model: The model, whose generation defaults apply.
        settings: Arguments of `generate`, such as do_sample, temperature, repetition_penalty.
        seed: Seed of the run; by default torch's.
    """

    def __init__(self, model: PreTrainedModel, settings: dict[str, Any], seed: int | None = None) -> None:
        self.model = model
        self.settings = settings
        self.seed = torch.initial_seed() if seed is None else seed
        self.config, self._unknown = _generation_config(model, settings)
        self.samples = bool(self.config.do_sample)
        end = self.config.eos_token_id
        self.end_tokens = frozenset([end] if isinstance(end, int) else end or ())

    def why_not(self) -> str:
        """Why these settings need `generate`; "" if they do not."""
        if self._unknown:
            return f"{', '.join(sorted(self._unknown))} is for generate only"
        mode = self.config.get_generation_mode()
        if mode not in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE):
            return f"{mode.value.replace('_', ' ')} is done by generate"
        if (self.config.num_return_sequences or 1) > 1:
            return "num_return_sequences is for generate only"
        strange = [name for name in _NOT_HERE if getattr(self.config, name, None) not in (None, False, 1)]
        return f"{', '.join(strange)} is for generate only" if strange else ""

    def row(self, prompt: Sequence[int], number: int) -> Row:
        """Starts a response.

        Args:
            prompt: Token ids.
            number: 0 for the first response to this prompt, 1 for the second; each draws numbers of its own, the same
                ones in any batch.
        """
        material = f"{self.seed}:{number}:{','.join(map(str, prompt))}"
        seed = int.from_bytes(hashlib.sha256(material.encode()).digest()[:8], "big")
        processors = self.model._get_logits_processor(
            self.config,
            input_ids_seq_length=len(prompt),
            encoder_input_ids=torch.tensor([list(prompt)], device=self.model.device),
            device=self.model.device,
        )
        return Row(prompt, random.Random(seed), processors)  # noqa: S311 - sampling, not secrets

    def choose(
        self, logits: Tensor, rows: Sequence[Row], drafts: Sequence[Sequence[int]] | None = None
    ) -> list[list[Choice]]:
        """Chooses the next tokens of each row.

        Args:
            logits: (tokens, vocab) after each row's newest token and, in order, after each token of its draft;
                overwritten.
            rows: The rows.
            drafts: Guessed next tokens of each row; None for no guesses.

        Returns:
            For each row, its next token, preceded by those of its draft that were chosen as well.
        """
        drafts = drafts or [()] * len(rows)
        choices = iter(self._each(logits, rows, drafts))
        return [_agreed(list(itertools.islice(choices, len(draft) + 1)), draft) for draft in drafts]

    def _each(self, logits: Tensor, rows: Sequence[Row], drafts: Sequence[Sequence[int]]) -> list[Choice]:
        scores = self._processed(logits.float(), rows, drafts)
        if not self.samples:
            best, tokens = scores.max(dim=-1, keepdim=True)
            second = scores.scatter_(1, tokens, -torch.inf).amax(dim=-1, keepdim=True)
            ties = second >= best - _margin(best, logits.dtype)
            return [Choice(*found) for found in zip(tokens[:, 0].tolist(), ties[:, 0].tolist(), strict=True)]
        cumulative = scores.softmax(dim=-1).double().cumsum(dim=-1)
        numbers = [draw for row, draft in zip(rows, drafts, strict=True) for draw in row.draws(len(draft) + 1)]
        draws = torch.tensor(numbers, dtype=torch.float64, device=scores.device)
        drawn = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
        return [Choice(token, False) for token in drawn[:, 0].clamp(max=scores.shape[1] - 1).tolist()]

    def _processed(self, scores: Tensor, rows: Sequence[Row], drafts: Sequence[Sequence[int]]) -> Tensor:
        processors = rows[0].processors
        if not processors:
            return scores
        if all(type(processor) in _PLAIN_WARPERS for processor in processors):
            processed: Tensor = processors(None, scores)
            return processed
        histories = [
            (row, [*row.prompt, *row.tokens, *draft[:guessed]])
            for row, draft in zip(rows, drafts, strict=True)
            for guessed in range(len(draft) + 1)
        ]
        return torch.cat(
            [
                row.processors(torch.tensor([history], device=scores.device), scores[i : i + 1])
                for i, (row, history) in enumerate(histories)
            ]
        )


def _agreed(choices: list[Choice], draft: Sequence[int]) -> list[Choice]:
    """The choices up to the first that differs from the draft, that one included."""
    agreed = 0
    while agreed < len(draft) and choices[agreed].token == draft[agreed]:
        agreed += 1
    return choices[: agreed + 1]


def _generation_config(model: PreTrainedModel, settings: dict[str, Any]) -> tuple[GenerationConfig, dict[str, Any]]:
    """The settings over the model's own defaults, as `generate` combines them, and what is no setting."""
    config, unknown = model._prepare_generation_config(None, **settings)
    model._prepare_special_tokens(config, True, device=input_device(model))
    return config, unknown


def _margin(best: Tensor, dtype: torch.dtype) -> float | Tensor:
    if dtype in (torch.float32, torch.float64):
        return NEAR_TIE_FLOAT32
    return _NEAR_TIE_EPSILONS * torch.finfo(dtype).eps * best.abs()
