"""`hf-cachesteer`: the harness's HFLM, steered by one edit of the key-value cache."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import find_executable_batch_size
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import (
    Collator,
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from tqdm import tqdm

from ..core.architecture import Architecture
from ..core.decode import PaddedBatch, Prefilled, branch, forward, prefill, score
from ..errors import ArgumentError
from ..sources.embedded import MODEL_ID as EMBEDDED_MODEL_ID
from ..sources.embedded import ensure_embedded_model
from ..sources.models import default_device, model_id_of
from .arguments import SteeringArguments, check_unknown_arguments
from .counts import InterventionCounts
from .grouping import LoglikelihoodRequest, RequestGroup, group_requests
from .plan import SteeringPlan
from .response_cache import bind_response_cache
from .tokenization import remember_tokenizer

logger = logging.getLogger(__name__)

Tokens = list[int]
# Model arguments that change how fast an answer comes, not which.
_WITHOUT_INFLUENCE = {"batch_size", "max_batch_size", "logits_cache"}

# Where memory cannot be probed by running out of it, `batch_size=auto` means this.
AUTO_BATCH_SIZE_ON_CPU = 16


class CacheSteerLM(HFLM):
    """HFLM with KV cache steering (arXiv 2507.08799): prefill, one edit of the cached prompt, decode as usual.

    Without vectors it is the unsteered baseline, computed by the very same code path.

    Args:
        pretrained: What HFLM takes; None for the embedded model.
        device: torch device; by default the accelerator if there is one.
        **arguments: The steering arguments (see `SteeringArguments`) and everything HFLM takes.

    Raises:
        ArgumentError: An argument is unknown or out of range, or the model is an encoder-decoder.
        VectorFileError: The vector file is missing or damaged.
        VectorMismatchError: The vectors do not fit the model.
    """

    _max_length: int | None

    def __init__(self, pretrained: Any = None, *, device: str | None = None, **arguments: Any) -> None:
        self.arguments = SteeringArguments.take_from(arguments)
        self._passed_on = arguments
        if not isinstance(pretrained, str | None):
            check_unknown_arguments(arguments, config=pretrained.config)
        super().__init__(
            pretrained=str(ensure_embedded_model()) if pretrained is None else pretrained,
            device=device or default_device(),
            **arguments,
        )
        if not isinstance(self.pretrained, str):
            self._resolve_plan(self.model.name_or_path)
        remember_tokenizer(self.tokenizer)
        self.counts = InterventionCounts()
        self._chat_checked = False

    def _get_backend(self, config: Any, *args: Any, **kwargs: Any) -> None:
        """Checks what can be checked once the configuration is known and before weights are loaded."""
        check_unknown_arguments(self._passed_on, config)
        self.architecture = Architecture.of(config)
        super()._get_backend(config, *args, **kwargs)
        if self.backend != "causal":
            raise ArgumentError(
                f"backend={self.backend!r} is not supported: KV cache steering edits the prompt's cache of a "
                "decoder-only model. Leave backend out, or use backend=causal."
            )

    def _create_model(self, pretrained: str, *args: Any, **kwargs: Any) -> None:
        """Resolves the vectors first, so that what is wrong with them is said before weights are loaded."""
        self._resolve_plan(pretrained)
        super()._create_model(pretrained, *args, **kwargs)

    def _resolve_plan(self, name: str) -> None:
        self._model_name = name
        self.model_id = model_id_of(name)
        self.plan = SteeringPlan.resolve(self.arguments, self.architecture, self.model_id, self.tokenizer)

    # Generation -------------------------------------------------------------------------------------------------

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers generation requests: prefill without the last token, one edit, decode.

        Follows HFLM.generate_until in order, batching, truncation, stop strings and post-processing. The offset
        token is part of the prompt: never of the answer, never counted as generated.
        """
        arguments = [request.args for request in requests]
        self._check_chat(context for context, _ in arguments)
        ordered = Collator(
            arguments,
            sort_fn=lambda request: (-len(self.tok_encode(request[0])), request[0]),
            group_by="gen_kwargs",
            group_fn=lambda request: request[1],
        )
        batch_size = self._generation_batch_size(arguments)
        responses: list[str] = []
        disable = disable_tqdm or self.rank != 0
        with tqdm(total=len(requests), disable=disable, desc="Running generate_until requests") as bar:
            for chunk in ordered.get_batched(n=batch_size):
                contexts = [context for context, _ in chunk]
                gen_kwargs = chunk[0][1]
                for context, response in zip(contexts, self._respond(contexts, gen_kwargs), strict=True):
                    responses.append(response)
                    self.cache_hook.add_partial("generate_until", (context, gen_kwargs), response)
                    bar.update(1)
        self._report_not_steered("generate_until")
        return ordered.get_original(responses)  # type: ignore[no-any-return]

    def _respond(self, contexts: Sequence[str], gen_kwargs: dict[str, Any]) -> list[str]:
        """Answers one batch of contexts that share their generation arguments."""
        settings = normalize_gen_kwargs(gen_kwargs, self.max_gen_toks)
        stop = handle_stop_sequences(settings.pop("until", None), eos=self._eos)
        new_tokens = settings.pop("max_gen_toks")
        if settings.pop("max_length", None) is not None:
            logger.warning("`max_length` in generation arguments is ignored. Use `max_gen_toks`.")
        prompts = [self._encode_prompt(context, self.max_length - new_tokens) for context in contexts]
        generated = self._generate(prompts, [[] for _ in prompts], self.plan.edits, stop, new_tokens, settings)
        texts = [self._response_text(tokens, stop) for tokens in generated]
        if self.arguments.answer_prompt is None:
            return texts
        raw = [self._text_before_stop(tokens, stop) for tokens in generated]
        answers = self._second_stage(prompts, raw)
        return [text + self.arguments.answer_prompt + answer for text, answer in zip(texts, answers, strict=True)]

    def _encode_prompt(self, context: str, room: int) -> Tokens:
        """Token ids of a prompt, cut from the left to fit, with the offset token at its end."""
        room -= len(self.plan.offset)
        if room < 1:
            raise ArgumentError(
                f"max_gen_toks leaves no room for the prompt: the model's maximum length is {self.max_length}. "
                "Ask for fewer tokens, or raise max_length."
            )
        ids, _ = self.tok_batch_encode([context], left_truncate_len=room, truncation=self.truncation)
        return (ids[0].tolist() or [self.prefix_token_id]) + self.plan.offset

    def _generate(
        self,
        prompts: Sequence[Tokens],
        tails: Sequence[Tokens],
        steered: bool,
        stop: list[str],
        new_tokens: int,
        settings: dict[str, Any],
        request_type: str = "generate_until",
    ) -> list[Tokens]:
        """Decodes after prompts (edited if `steered`) followed by tails; returns new tokens row by row.

        Prompts of one token have nothing in the cache when the edit would be made; they run as they are.
        """
        results: dict[int, Tokens] = {}
        long = [i for i, prompt in enumerate(prompts) if len(prompt) > 1]
        short = [i for i, prompt in enumerate(prompts) if len(prompt) <= 1]
        edited = 0
        for rows in filter(None, (long, short)):
            whole = PaddedBatch.of([prompts[i] for i in rows], self._pad, self.device)
            cached: Prefilled | None = None
            if rows is long:
                with self._autocast():
                    cached = prefill(self.model, whole.without_last(), self.plan.edit if steered else None)
                edited += int(cached.steered.sum())
            if any(tails[i] for i in rows):
                whole = whole.join(PaddedBatch.of([tails[i] for i in rows], self._pad, self.device))
            tokens = self._model_generate(
                context=whole.input_ids,
                attention_mask=whole.attention_mask,
                stop=stop,
                max_length=whole.input_ids.shape[1] + new_tokens,
                **({"past_key_values": branch(cached.cache, settings)} if cached else {}),
                **settings,
            )
            new = tokens[:, whole.input_ids.shape[1] :].tolist()
            results.update(zip(rows, new, strict=True))
        self.counts.of(request_type).add(requests=len(prompts), steered=edited, wanted=len(prompts) if steered else 0)
        return [results[i] for i in range(len(prompts))]

    def _response_text(self, tokens: Tokens, stop: list[str]) -> str:
        """Text of a response without its thinking and without what follows a stop string, as in HFLM."""
        think_end = self.think_end_token
        if isinstance(think_end, int):
            if think_end in tokens:
                tokens = tokens[len(tokens) - tokens[::-1].index(think_end) :]
            return postprocess_generated_text(self.tok_decode(tokens).lstrip(), stop, None)  # type: ignore[no-any-return]
        return postprocess_generated_text(self.tok_decode(tokens), stop, think_end)  # type: ignore[no-any-return]

    def _text_before_stop(self, tokens: Tokens, stop: list[str]) -> str:
        return postprocess_generated_text(self.tok_decode(tokens), stop, None)  # type: ignore[no-any-return]

    def _second_stage(self, prompts: Sequence[Tokens], responses: Sequence[str]) -> list[str]:
        """The paper's second stage for multiple choice: response, answer prompt, a few greedy tokens."""
        steered = self.arguments.answer_stage == "steered" and self.plan.edits
        tails = [
            self.tok_encode(response + (self.arguments.answer_prompt or ""), add_special_tokens=False)
            for response in responses
        ]
        room = self.max_length - self.arguments.answer_tokens
        if steered:
            starts = [prompt[-max(2, room - len(tail)) :] for prompt, tail in zip(prompts, tails, strict=True)]
        else:
            plain = [prompt[: len(prompt) - len(self.plan.offset)] for prompt in prompts]
            starts = [(prompt + tail)[-room:] for prompt, tail in zip(plain, tails, strict=True)]
            tails = [[] for _ in prompts]
        answers: dict[int, str] = {}
        for rows in _batches_of_equal_tails(tails) if self._needs_contiguous_rows else [list(range(len(tails)))]:
            generated = self._generate(
                [starts[i] for i in rows],
                [tails[i] for i in rows],
                steered,
                [self._eos],
                self.arguments.answer_tokens,
                {"do_sample": False},
                request_type="answer_stage",
            )
            answers.update(
                (i, self._text_before_stop(tokens, [self._eos])) for i, tokens in zip(rows, generated, strict=True)
            )
        return [answers[i] for i in range(len(prompts))]

    # Likelihoods ------------------------------------------------------------------------------------------------

    def _loglikelihood_tokens(
        self, requests: list[LoglikelihoodRequest], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Scores continuations on the edited cache of their contexts.

        The context is prefilled up to its last token (or offset token), edited, and that token is scored together
        with the continuation, so that single-token choices are steered too. Rolling windows have no such token to
        spare: the whole context is prefilled and its last token edited.
        """
        rolling = bool(requests) and requests[0][0] is None
        request_type = "loglikelihood_rolling" if rolling else "loglikelihood"
        if not rolling:
            self._check_chat(request[0][0] for request in requests if request[0])
        groups = group_requests(
            requests,
            offset=self.plan.loglikelihood_offset,
            max_length=self.max_length,
            rolling=rolling,
            join=self.logits_cache,
        )
        edit = self.plan.edit if self.plan.edits_loglikelihood else None
        answers: dict[int, tuple[float, bool]] = {}
        disable = disable_tqdm or self.rank != 0 or rolling
        with tqdm(total=len(requests), disable=disable, desc=f"Running {request_type} requests") as bar:
            for chunk in self._loglikelihood_batches(groups, override_bs):
                with self._autocast():
                    result = score(
                        self.model,
                        [group.row for group in chunk],
                        edit,
                        pad_token_id=self._pad,
                        device=self.device,
                        softmax_dtype=self.softmax_dtype,
                    )
                for group, scores, steered in zip(chunk, result.scores, result.steered, strict=True):
                    self.counts.of(request_type).add(
                        requests=0 if rolling else len(group.members),
                        steered=len(group.members) if steered else 0,
                        wanted=len(group.members) if edit is not None else 0,
                    )
                    for i, continuation in zip(group.members, scores, strict=True):
                        answers[i] = (continuation.logprob, continuation.is_greedy)
                        if requests[i][0] is not None:
                            self.cache_hook.add_partial(request_type, requests[i][0], answers[i])
                        bar.update(1)
        if not rolling:
            self._report_not_steered(request_type)
        return [answers[i] for i in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Scores whole texts in windows; in each window the cache of its context's last token is the edited one."""
        self.counts.of("loglikelihood_rolling").add(requests=len(requests))
        with self._room_for_offset():
            result: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        self._report_not_steered("loglikelihood_rolling")
        return result

    def _loglikelihood_batches(
        self, groups: Sequence[RequestGroup], override_bs: int | None
    ) -> Iterator[list[RequestGroup]]:
        """Batches in which either all rows have a cached context or none has."""
        self.batch_sizes: dict[int, int] = {}
        for rows in ([g for g in groups if g.row.context], [g for g in groups if not g.row.context]):
            if self.batch_size != "auto":
                yield from Collator.get_chunks(rows, n=int(self.batch_size))
            elif override_bs is not None:
                yield from Collator.get_chunks(rows, n=override_bs)
            elif rows:
                yield from Collator.get_chunks(rows, fn=self._batch_scheduler)

    # Shared -----------------------------------------------------------------------------------------------------

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @property
    def _eos(self) -> str:
        return str(self.tok_decode(self.eot_token_id, skip_special_tokens=False))

    @property
    def _needs_contiguous_rows(self) -> bool:
        """Whether padding between prompt and tail would be wrong: windows and recurrent layers count columns."""
        text = self.config.get_text_config(decoder=True)
        kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
        return kinds != {"full_attention"} or getattr(text, "sliding_window", None) is not None

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            device_type=self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )

    @contextmanager
    def _room_for_offset(self) -> Iterator[None]:
        """Makes rolling windows shorter by the offset token they take in."""
        kept = self._max_length
        if self.plan.loglikelihood_offset:
            self._max_length = self.max_length - len(self.plan.loglikelihood_offset)
        try:
            yield
        finally:
            self._max_length = kept

    def _generation_batch_size(self, arguments: Sequence[tuple[str, dict[str, Any]]]) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        longest = max(len(self.tok_encode(context)) for context, _ in arguments)
        new_tokens = max(normalize_gen_kwargs(kw, self.max_gen_toks)["max_gen_toks"] for _, kw in arguments)
        return self._probe_batch_size(min(longest + new_tokens, self.max_length), keep=1)

    def _detect_batch_size(self, requests: Sequence[Any] | None = None, pos: int = 0) -> int:
        """HFLM's hook for `batch_size=auto`; probes the row at `pos`, or the longest window."""
        if not requests:
            return self._probe_batch_size(self.max_length, keep=self.max_length)
        group = requests[pos]
        return self._probe_batch_size(len(group.tokens), keep=max(1, len(group.row.tail)))

    def _probe_batch_size(self, length: int, keep: int) -> int:
        """The largest batch that fits, found by halving; a fixed size where memory cannot be probed safely."""
        if self.device.type == "cpu":
            return min(int(self.max_batch_size), AUTO_BATCH_SIZE_ON_CPU)

        @find_executable_batch_size(starting_batch_size=self.max_batch_size)  # type: ignore[untyped-decorator]
        def probe(batch_size: int) -> int:
            ids = torch.ones(batch_size, length, dtype=torch.long, device=self.device)
            with self._autocast():
                forward(self.model, ids, torch.ones_like(ids), None, keep=keep)
            return batch_size

        found = int(probe())
        if self.world_size > 1:
            found = int(self.all_gather(torch.tensor([found], device=self.device)).min())
        logger.info("batch_size=auto: %d rows of %d tokens", found, length)
        return found

    def _check_chat(self, prompts: Iterable[str]) -> None:
        """Warns once if the vectors' prompts were chat-templated and these are not, or the reverse."""
        if self._chat_checked:
            return
        self._chat_checked = True
        warning = self.plan.chat_mismatch(list(prompts), self.tokenizer)
        if warning:
            logger.warning(warning)

    def _report_not_steered(self, request_type: str) -> None:
        counts = self.counts.of(request_type)
        if counts.not_steered:
            logger.warning(
                "%d of %d %s prompts could not be steered: they have no cached token at position %d. An offset token "
                "(offset_token=\\n) puts the whole prompt into the cache.",
                counts.not_steered,
                counts.not_steered + counts.interventions,
                request_type,
                self.arguments.position,
            )

    # What the harness records -----------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides an answer besides the request: model, precision, steering."""
        decisive = {name: value for name, value in self._passed_on.items() if name not in _WITHOUT_INFLUENCE}
        model = self.model_id if self.model_id == EMBEDDED_MODEL_ID else self._model_name
        return self.plan.fingerprint(decisive | {"model": model, "dtype": str(self.model.dtype)})

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Takes the harness's response cache, bound to this run's fingerprint.

        Raises:
            ResponseCacheError: The file holds responses of another configuration.
        """
        if getattr(cache_hook, "dbdict", None) is not None:
            bind_response_cache(cache_hook.dbdict, self.fingerprint)
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """HFLM's model information, and under "steering" what was done to how many requests."""
        info: dict[str, Any] = super().get_model_info()
        return info | {
            "steering": self.plan.summary()
            | {"model": self.model_id, "fingerprint": self.fingerprint, "counts": self.counts.summary()}
        }


def _batches_of_equal_tails(tails: Sequence[Tokens]) -> list[list[int]]:
    by_length: dict[int, list[int]] = {}
    for i, tail in enumerate(tails):
        by_length.setdefault(len(tail), []).append(i)
    return list(by_length.values())
