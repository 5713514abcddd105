"""Answering the harness's generation requests: text to tokens, the fast path or `generate`, tokens to text."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from ..core.decode import PaddedBatch, Prefilled, branch, prefill
from ..engine.choosing import TokenChoice
from ..engine.decoding import Decoder, GenerationRequest, Response
from ..engine.forward import PackedModel
from ..engine.stopping import StopRule
from ..errors import ArgumentError
from .requests import prompt_path

if TYPE_CHECKING:
    from .backend import CacheSteerLM

logger = logging.getLogger(__name__)
Tokens = list[int]

# With a second stage, this many batches are answered before their second stages are.
_BATCHES_PER_STAGE = 16


@dataclass(frozen=True)
class Settings:
    """Generation arguments, taken apart.

    Attributes:
        stop: Texts that end a response.
        new_tokens: Most tokens to decode.
        generate: Arguments of `generate`.
    """

    stop: list[str]
    new_tokens: int
    generate: dict[str, Any]

    @classmethod
    def of(cls, gen_kwargs: dict[str, Any], *, default_new_tokens: int, eos: str) -> Settings:
        """Reads the harness's generation arguments as HFLM does."""
        given = normalize_gen_kwargs(gen_kwargs, default_new_tokens)
        stop = handle_stop_sequences(given.pop("until", None), eos=eos)
        new_tokens = given.pop("max_gen_toks")
        if given.pop("max_length", None) is not None:
            logger.warning("`max_length` in generation arguments is ignored. Use `max_gen_toks`.")
        return cls(stop, new_tokens, _greedy_unless_asked(given))


def _greedy_unless_asked(given: dict[str, Any]) -> dict[str, Any]:
    """As HFLM._model_generate: temperature 0, or none, means greedy decoding."""
    temperature = given.get("temperature", 0.0)
    do_sample = given.get("do_sample")
    if temperature == 0.0 and do_sample is None:
        do_sample = given["do_sample"] = False
    if do_sample is False and temperature == 0.0:
        given.pop("temperature", None)
    return given


class Responder:
    """Answers prompts with one set of generation arguments.

    Args:
        lm: The backend.
        gen_kwargs: The harness's generation arguments.
    """

    def __init__(self, lm: CacheSteerLM, gen_kwargs: dict[str, Any]) -> None:
        self.lm = lm
        self.plan = lm.plan
        self.settings = Settings.of(gen_kwargs, default_new_tokens=lm.max_gen_toks, eos=lm.eos)

    def respond(self, contexts: Sequence[str], on_done: Callable[[int, str, int], None]) -> None:
        """Answers contexts.

        Args:
            contexts: The prompts.
            on_done: Called with the index of each context, its answer, and how many tokens were decoded for it.
        """
        prompts = [self._encode(context) for context in contexts]
        if self.plan.arguments.answer_prompt is None:
            self._generate(
                "generate_until",
                [(prompt, []) for prompt in prompts],
                self.plan.edits,
                self.settings,
                lambda i, tokens: on_done(i, self._text(tokens), len(tokens)),
            )
            return
        size = _BATCHES_PER_STAGE * self.lm.rows_per_batch
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            self._respond_in_two_stages(part, lambda i, *found, start=start: on_done(start + i, *found))

    def _encode(self, context: str) -> Tokens:
        """Token ids of a prompt, cut from the left to fit, with the offset token at its end."""
        room = self.lm.max_length - self.settings.new_tokens - len(self.plan.offset)
        if room < 1:
            raise ArgumentError(
                f"max_gen_toks leaves no room for the prompt: the model's maximum length is {self.lm.max_length}. "
                "Ask for fewer tokens, or raise max_length."
            )
        ids, _ = self.lm.tok_batch_encode([context], left_truncate_len=room, truncation=self.lm.truncation)
        return (ids[0].tolist() or [self.lm.prefix_token_id]) + self.plan.offset

    # Text -------------------------------------------------------------------------------------------------------

    def _text(self, tokens: Tokens) -> str:
        """Text of a response without its thinking and without what follows a stop string, as in HFLM."""
        think_end, stop = self.lm.think_end_token, self.settings.stop
        if isinstance(think_end, int):
            if think_end in tokens:
                tokens = tokens[len(tokens) - tokens[::-1].index(think_end) :]
            return postprocess_generated_text(self.lm.tok_decode(tokens).lstrip(), stop, None)  # type: ignore[no-any-return]
        return postprocess_generated_text(self.lm.tok_decode(tokens), stop, think_end)  # type: ignore[no-any-return]

    def _text_before_stop(self, tokens: Tokens, stop: list[str]) -> str:
        return postprocess_generated_text(self.lm.tok_decode(tokens), stop, None)  # type: ignore[no-any-return]

    # The second stage -------------------------------------------------------------------------------------------

    def _respond_in_two_stages(self, prompts: Sequence[Tokens], on_done: Callable[..., None]) -> None:
        """The paper's second stage for multiple choice: response, answer prompt, a few greedy tokens."""
        first: dict[int, Tokens] = {}
        self._generate(
            "generate_until", [(prompt, []) for prompt in prompts], self.plan.edits, self.settings, first.__setitem__
        )
        answer_prompt = self.plan.arguments.answer_prompt or ""
        tails = [
            self.lm.tok_encode(
                self._text_before_stop(first[i], self.settings.stop) + answer_prompt, add_special_tokens=False
            )
            for i in range(len(prompts))
        ]
        settings = Settings([self.lm.eos], self.plan.arguments.answer_tokens, {"do_sample": False})
        room = self.lm.max_length - settings.new_tokens
        steered = self.plan.arguments.answer_stage == "steered" and self.plan.edits
        if steered:
            starts = [(p[-max(2, room - len(tail)) :], tail) for p, tail in zip(prompts, tails, strict=True)]
        else:
            plain = [prompt[: len(prompt) - len(self.plan.offset)] for prompt in prompts]
            starts = [((p + tail)[-room:], []) for p, tail in zip(plain, tails, strict=True)]

        def finish(i: int, tokens: Tokens) -> None:
            answer = self._text_before_stop(tokens, settings.stop)
            on_done(i, self._text(first[i]) + answer_prompt + answer, len(first[i]) + len(tokens))

        self._generate("answer_stage", starts, steered, settings, finish)

    # Decoding ---------------------------------------------------------------------------------------------------

    def _generate(
        self,
        request_type: str,
        prompts: Sequence[tuple[Tokens, Tokens]],
        steered: bool,
        settings: Settings,
        on_done: Callable[[int, Tokens], None],
    ) -> None:
        """Decodes after prompts (edited if `steered`) followed by tails, by the fast path if it can."""
        counts = self.lm.counts.of(request_type)
        choice = TokenChoice(self.lm.model, settings.generate)
        packed = self.lm.packed_model(choice.why_not())
        if packed is None:
            for i, tokens, edited in self._generate_plainly(prompts, steered, settings):
                counts.add(requests=1, steered=edited, wanted=steered)
                on_done(i, tokens)
            return
        position = self.plan.arguments.position if steered else None
        requests = []
        for prompt, tail in prompts:
            path = prompt_path(prompt[:-1], [*prompt[-1:], *tail][:-1], position)
            requests.append(GenerationRequest(path, (tail or prompt)[-1], settings.new_tokens))

        def finish(i: int, response: Response) -> None:
            edited = requests[i].path.edited is not None
            counts.add(requests=1, steered=edited, wanted=steered, near_ties=response.near_tie)
            on_done(i, response.tokens)

        self._decoder(packed, steered, choice, settings).decode(requests, finish)

    def _decoder(self, packed: PackedModel, steered: bool, choice: TokenChoice, settings: Settings) -> Decoder:
        stop = StopRule(choice.end_tokens, settings.stop, self.lm.tokenizer)
        edit, drafted = self.plan.edit if steered else None, self.lm.engine.most_drafted(choice.samples)
        return Decoder(packed, edit, self.lm.limits, choice, stop, self.lm.compiled, drafted)

    def _generate_plainly(
        self, prompts: Sequence[tuple[Tokens, Tokens]], steered: bool, settings: Settings
    ) -> Iterator[tuple[int, Tokens, bool]]:
        """Padded batches through the model's own `generate`; yields index, new tokens, and whether it was edited.

        Prompts of one token have nothing in the cache when the edit would be made; they run as they are.
        """
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i][0]) - len(prompts[i][1]), prompts[i][0]))
        by_kind: dict[tuple[bool, int], list[int]] = {}
        for i in order:  # windows and recurrent layers count columns: no padding between prompt and tail
            prompt, tail = prompts[i]
            kind = (len(prompt) > 1, len(tail) if self.lm.needs_contiguous_rows else 0)
            by_kind.setdefault(kind, []).append(i)
        longest = len(prompts[order[0]][0]) + len(prompts[order[0]][1]) + settings.new_tokens
        size = self.lm.plain_batch_size(longest)
        for (has_cache, _), indices in by_kind.items():
            for start in range(0, len(indices), size):
                rows = indices[start : start + size]
                new, edited = self._generate_batch([prompts[i] for i in rows], has_cache, steered, settings)
                yield from zip(rows, new, edited, strict=True)

    def _generate_batch(
        self, prompts: Sequence[tuple[Tokens, Tokens]], has_cache: bool, steered: bool, settings: Settings
    ) -> tuple[list[Tokens], list[bool]]:
        lm = self.lm
        whole = PaddedBatch.of([prompt for prompt, _ in prompts], lm.pad, lm.device)
        cached: Prefilled | None = None
        if has_cache:
            with lm.autocast():
                cached = prefill(lm.model, whole.without_last(), self.plan.edit if steered else None)
        if any(tail for _, tail in prompts):
            whole = whole.join(PaddedBatch.of([tail for _, tail in prompts], lm.pad, lm.device))
        width = whole.input_ids.shape[1]
        tokens = lm._model_generate(
            context=whole.input_ids,
            attention_mask=whole.attention_mask,
            stop=settings.stop,
            max_length=width + settings.new_tokens,
            **({"past_key_values": branch(cached.cache, settings.generate)} if cached else {}),
            **settings.generate,
        )
        edited = cached.steered.tolist() if cached else [False] * len(prompts)
        return tokens[:, width:].tolist(), edited


class TokenRate:
    """Tokens per second since it was made, for a progress bar."""

    def __init__(self) -> None:
        self.started, self.tokens = time.monotonic(), 0

    def add(self, tokens: int) -> str:
        """Counts tokens; returns the rate as text."""
        self.tokens += tokens
        return f"{self.tokens / max(1e-6, time.monotonic() - self.started):.0f} tokens/s"
