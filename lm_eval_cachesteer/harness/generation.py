"""Answering the harness's generation requests: text to tokens, the fast path or `generate`, tokens to text."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from ..core.adapters import check_adapter
from ..core.cache import check_continued
from ..core.decode import PaddedBatch, Prefilled, forward, prefill
from ..core.generation import GenerateSettings
from ..engine.choosing import TokenChoice
from ..engine.decoding import Decoder
from ..engine.requests import DecodeRule, GenerationRequest, Response
from ..engine.stopping import StopRule
from ..errors import ArgumentError
from .requests import answer_start, prompt_path

if TYPE_CHECKING:
    from .backend import CacheSteerLM

logger = logging.getLogger(__name__)
Tokens = list[int]

# Where stages cannot follow each other within a row, this many batches are answered before their second stages are.
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
        check_adapter(lm.model)
        self.lm = lm
        self.plan = lm.plan
        self.settings = Settings.of(gen_kwargs, default_new_tokens=lm.max_gen_toks, eos=lm.eos)
        self._answer_prompt = self.plan.arguments.answer_prompt or ""
        self._answer_is_steered = self.plan.arguments.answer_stage == "steered" and self.plan.edits

    def respond(self, contexts: Sequence[str], on_done: Callable[[int, str, int], None]) -> None:
        """Answers contexts.

        Args:
            contexts: The prompts.
            on_done: Called with the index of each context, its answer, and how many tokens were decoded for it.
        """
        prompts = [self._encode(context) for context in contexts]
        if self.plan.arguments.answer_prompt is not None:
            self._in_two_stages(prompts, on_done)
            return
        self._generate(
            "generate_until",
            [(prompt, []) for prompt in prompts],
            self.plan.edits,
            self.settings,
            lambda i, tokens: on_done(i, self._text(tokens), len(tokens)),
        )

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

    def _answer_start(self, prompt: Tokens, response: Tokens) -> tuple[Tokens, Tokens]:
        """What the second stage is asked: a prompt, edited if the stage is steered, and what follows the edit."""
        text = self._text_before_stop(response, self.settings.stop) + self._answer_prompt
        tail: Tokens = self.lm.tok_encode(text, add_special_tokens=False)
        room = self.lm.max_length - self.plan.arguments.answer_tokens
        return answer_start(prompt, tail, self.plan.offset, room, steered=self._answer_is_steered)

    def _in_two_stages(self, prompts: Sequence[Tokens], on_done: Callable[[int, str, int], None]) -> None:
        """The paper's second stage for multiple choice: response, answer prompt, a few greedy tokens."""
        answers = Settings([self.lm.eos], self.plan.arguments.answer_tokens, {"do_sample": False})

        def finish(i: int, response: Tokens, answer: Tokens) -> None:
            text = self._text(response) + self._answer_prompt + self._text_before_stop(answer, answers.stop)
            on_done(i, text, len(response) + len(answer))

        steered = self._answer_is_steered
        first, second = self._rule(self.settings), self._rule(answers)
        packed = self.lm.packed_model(first.choice.why_not() or second.choice.why_not())
        if packed is None or self.lm.compiled is not None:
            self._stage_after_stage(prompts, answers, finish)
            return

        def following(prompt: Tokens) -> Callable[[Tokens], GenerationRequest]:
            return lambda response: self._request(*self._answer_start(prompt, response), steered, second)

        later = len(self.lm.tok_encode(self._answer_prompt, add_special_tokens=False)) + answers.new_tokens
        requests = [
            replace(self._request(prompt, [], self.plan.edits, first), then=following(prompt), later_tokens=later)
            for prompt in prompts
        ]

        def count(i: int, answer: Response) -> None:
            response = answer.before
            if response is None:
                raise RuntimeError("An answer stage ended without a response before it.")
            self._count("generate_until", response, self.plan.edits)
            self._count("answer_stage", answer, steered)
            finish(i, response.tokens, answer.tokens)

        Decoder(packed, self.plan.edit, self.lm.limits).decode(requests, count)

    def _stage_after_stage(
        self, prompts: Sequence[Tokens], answers: Settings, finish: Callable[[int, Tokens, Tokens], None]
    ) -> None:
        """Some batches' responses, then their answers."""
        size = _BATCHES_PER_STAGE * self.lm.rows_per_batch
        for start in range(0, len(prompts), size):
            part, first = prompts[start : start + size], dict[int, Tokens]()
            starts = [(prompt, Tokens()) for prompt in part]
            self._generate("generate_until", starts, self.plan.edits, self.settings, first.__setitem__)
            starts = [self._answer_start(prompt, first[i]) for i, prompt in enumerate(part)]
            done: dict[int, Tokens] = {}
            self._generate("answer_stage", starts, self._answer_is_steered, answers, done.__setitem__)
            for i, answer in done.items():
                finish(start + i, first[i], answer)

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
        rule = self._rule(settings)
        packed = self.lm.packed_model(rule.choice.why_not())
        if packed is None:
            counts = self.lm.counts.of(request_type)
            for i, tokens, edited in self._generate_plainly(prompts, steered, settings):
                counts.add(requests=1, steered=edited, wanted=steered)
                on_done(i, tokens)
            return

        def finish(i: int, response: Response) -> None:
            self._count(request_type, response, steered)
            on_done(i, response.tokens)

        requests = [self._request(prompt, tail, steered, rule) for prompt, tail in prompts]
        Decoder(packed, self.plan.edit, self.lm.limits, self.lm.compiled).decode(requests, finish)

    def _rule(self, settings: Settings) -> DecodeRule:
        choice = TokenChoice(self.lm.model, settings.generate)
        stop = StopRule(choice.end_tokens, settings.stop, self.lm.tokenizer)
        return DecodeRule(choice, stop, settings.new_tokens, self.lm.engine.most_drafted(choice.samples))

    def _request(self, prompt: Tokens, tail: Tokens, steered: bool, rule: DecodeRule) -> GenerationRequest:
        """Decoding after a prompt, edited if `steered`, and a tail that is fed after the edit."""
        fed = [*prompt, *tail]
        position = self.plan.arguments.position if steered else None
        return GenerationRequest(prompt_path(prompt[:-1], fed[len(prompt) - 1 : -1], position), fed[-1], rule)

    def _count(self, request_type: str, response: Response, wanted: bool) -> None:
        counts = self.lm.counts.of(request_type)
        counts.add(requests=1, steered=response.edited, wanted=wanted, near_ties=response.near_tie)

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
        start = PaddedBatch.of([prompt for prompt, _ in prompts], lm.pad, lm.device)
        tailed = any(tail for _, tail in prompts)
        whole = start.join(PaddedBatch.of([tail for _, tail in prompts], lm.pad, lm.device)) if tailed else start
        width = whole.input_ids.shape[1]
        arguments = settings.generate
        cached: Prefilled | None = None
        if has_cache:
            wanted = GenerateSettings.of(lm.model, arguments)
            empty = wanted.empty_cache(lm.model, width + settings.new_tokens)
            with lm.autocast():
                cached = prefill(lm.model, start.without_last(), self.plan.edit if steered else None, empty)
                fed = cached.attention_mask.shape[1]
                if fed < width - 1:  # generate is left one column: not all models take several after a cache
                    ids, mask = whole.input_ids[:, fed:-1], whole.attention_mask[:, :-1]
                    forward(lm.model, ids, mask, cached.cache, keep=1)
            arguments = arguments | {"past_key_values": wanted.branch(cached.cache), "cache_implementation": None}
        tokens = lm._model_generate(
            context=whole.input_ids,
            attention_mask=whole.attention_mask,
            stop=settings.stop,
            max_length=width + settings.new_tokens,
            **arguments,
        )
        if cached and cached.steered.any():
            check_continued(cached.cache, tokens.shape[1] - 1, type(lm.model).__name__)
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
