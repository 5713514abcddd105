"""Choosing the next token: greedily or by sampling, with every logits processor of `generate`, row by row.

A row's choice depends on that row alone: processors see its own tokens without padding, and sampling draws from a
generator of its own.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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

    def choose(self, logits: Tensor, rows: Sequence[Row]) -> list[int]:
        """Chooses one token for each row.

        Args:
            logits: (rows, vocab); overwritten.
            rows: The rows, whose near_tie is updated.
        """
        scores = self._processed(logits.float(), rows)
        if not self.samples:
            best, tokens = scores.max(dim=-1, keepdim=True)
            second = scores.scatter_(1, tokens, -torch.inf).amax(dim=-1, keepdim=True)
            ties = second >= best - _margin(best, logits.dtype)
            for row, tie in zip(rows, ties[:, 0].tolist(), strict=True):
                row.near_tie |= tie
            return list(tokens[:, 0].tolist())
        cumulative = scores.softmax(dim=-1).double().cumsum(dim=-1)
        draws = torch.tensor([row.generator.random() for row in rows], dtype=torch.float64, device=scores.device)
        drawn = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
        return drawn[:, 0].clamp(max=scores.shape[1] - 1).tolist()

    def _processed(self, scores: Tensor, rows: Sequence[Row]) -> Tensor:
        processors = rows[0].processors
        if not processors:
            return scores
        if all(type(processor) in _PLAIN_WARPERS for processor in processors):
            processed: Tensor = processors(None, scores)
            return processed
        device = scores.device
        return torch.cat(
            [
                row.processors(torch.tensor([[*row.prompt, *row.tokens]], device=device), scores[i : i + 1])
                for i, row in enumerate(rows)
            ]
        )


def _generation_config(model: PreTrainedModel, settings: dict[str, Any]) -> tuple[GenerationConfig, dict[str, Any]]:
    """The settings over the model's own defaults, as `generate` combines them, and what is no setting."""
    config, unknown = model._prepare_generation_config(None, **settings)
    model._prepare_special_tokens(config, True, device=model.device)
    return config, unknown


def _margin(best: Tensor, dtype: torch.dtype) -> float | Tensor:
    if dtype in (torch.float32, torch.float64):
        return NEAR_TIE_FLOAT32
    return _NEAR_TIE_EPSILONS * torch.finfo(dtype).eps * best.abs()
