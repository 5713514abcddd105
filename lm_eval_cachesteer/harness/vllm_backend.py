"""`vllm-cachesteer`: the harness's vLLM model, its requests steered inside the engine."""

import inspect
from collections.abc import Sequence
from copy import copy
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.utils import maybe_truncate, postprocess_generated_text
from transformers import AutoConfig

from ..core.architecture import Architecture, layers_without_keys
from ..core.metadata import VectorMetadata
from ..core.vectors import SteeringVectors
from ..engine.prefixes import PromptPath
from ..errors import ArgumentError, SteeringError
from ..sources.embedded import MODEL_ID as EMBEDDED_MODEL_ID
from ..sources.embedded import ensure_embedded_model
from ..sources.models import loading, model_id_of
from ..vllm.harness_model import harness_module
from ..vllm.launch import engine_arguments
from ..vllm.settings import KEY, SteeringSettings
from ..vllm.versions import installed_version
from .arguments import ALLOWED, EngineArguments, SteeringArguments, refuse_unknown
from .plan import SteeringPlan
from .requests import LoglikelihoodRequest, answer_start, prompt_path, scoring_requests
from .response_cache import bind_response_cache
from .steered import Steered
from .tokenization import remember_tokenizer

_harness: Any = harness_module()

# Model arguments that change how fast an answer comes, not which.
_WITHOUT_INFLUENCE = {
    "batch_size", "max_batch_size", "device", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
    "gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens", "enable_prefix_caching", "swap_space",
    "enable_chunked_prefill", "enforce_eager", "distributed_executor_backend", "disable_log_stats",
}  # fmt: skip

# The engine adds these vectors as they are: they hold the plan's sum, its coefficients included.
_AS_THEY_ARE = SteeringSettings("edit", c_keys=1.0, c_values=1.0, layers="all", offset="none")
_THEIR_STRENGTH = "c_keys=1 and c_values=1"


class VLLMCacheSteerLM(Steered, _harness.VLLM):
    """The harness's vLLM model with KV cache steering (arXiv 2507.08799), each request in the engine's own cache.

    Without vectors it is the unsteered baseline, computed by the very same engine.

    Args:
        pretrained: Hub id or folder; None for the embedded model.
        **arguments: The steering arguments (see `SteeringArguments`), everything the harness's vLLM model takes, and
            every argument of `vllm.LLM`.

    Raises:
        ArgumentError: An argument is unknown or out of range, or the model cannot be steered.
        VectorFileError: The vector file is missing or damaged.
        VectorMismatchError: The vectors do not fit the model.
    """

    def __init__(self, pretrained: str | None = None, **arguments: Any) -> None:
        self.arguments = SteeringArguments.take_from(arguments)
        _check_arguments(arguments)
        self._passed_on = dict(arguments)
        self._model_name = str(ensure_embedded_model()) if pretrained is None else str(pretrained)
        self.model_id = model_id_of(self._model_name)
        trusted = {name: arguments.get(name) for name in ("revision", "trust_remote_code") if arguments.get(name)}
        with loading(self._model_name):
            config = AutoConfig.from_pretrained(self._model_name, **trusted)
            self.architecture = Architecture.of(config)
            _check_config(config)
            self.tokenizer = _harness.get_tokenizer(
                arguments.get("tokenizer") or self._model_name,
                tokenizer_mode=arguments.get("tokenizer_mode", "auto"),
                trust_remote_code=bool(arguments.get("trust_remote_code")),
                revision=arguments.get("tokenizer_revision"),
            )
        self._edits = TemporaryDirectory(prefix="cachesteer-")
        self._plan_anew()
        self._count_anew()
        super().__init__(self._model_name, **arguments, **engine_arguments(Path(self._edits.name)))
        remember_tokenizer(self.tokenizer)

    def _plan_anew(self) -> None:
        """Resolves the vectors and lays their sum where the engine finds it, under the hash of its tensors."""
        self.plan = SteeringPlan.resolve(self.arguments, self.architecture, self.model_id, self.tokenizer)
        edit = self.plan.edit
        if edit is not None:
            metadata = VectorMetadata(kind="edit", model_id=self.model_id, architecture=self.architecture)
            vectors = SteeringVectors(edit.keys, edit.values, metadata)
            self._settings = replace(_AS_THEY_ARE, vectors=vectors.sha256)
            vectors.save(Path(self._edits.name) / f"{vectors.sha256}.safetensors")

    # Answering --------------------------------------------------------------------------------------------------

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers generation requests as the harness's model does; the offset token is part of the prompt."""
        if not requests:
            return []
        self._check_chat(request.args[0] for request in requests)
        if self.arguments.answer_prompt is None:
            with self._room_for(self.plan.offset):
                responses: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        else:
            responses = self._in_two_stages(requests)
        self._report_not_steered("generate_until")
        return responses

    def _model_generate(self, requests: list[list[int]], generate: bool = False, sampling_params: Any = None) -> Any:
        """The harness's hook: prompts without their offset token, and how to go on from each."""
        if not generate:
            raise NotImplementedError("Likelihoods are asked for by _loglikelihood_tokens.")
        prompts = [self._started(prompt) for prompt in requests]
        return self._run("generate_until", prompts, sampling_params, wanted=self.plan.edits)

    def _started(self, prompt: Sequence[int]) -> PromptPath:
        """A prompt with its offset token, edited if the run is steered; an empty one becomes the prefix token."""
        whole = [*(prompt or [self.prefix_token_id]), *self.plan.offset]
        return prompt_path(whole[:-1], whole[-1:], self.arguments.position if self.plan.edits else None)

    def _in_two_stages(self, requests: list[Instance]) -> list[str]:
        """The paper's second stage for multiple choice: response, answer prompt, a few greedy tokens."""
        eos = self.tokenizer.decode(self.eot_token_id) or self.tokenizer.eos_token
        room = self.max_length - len(self.plan.offset)
        prompts, sampling, stops = [], [], []
        for request in requests:
            context, given = request.args
            settings, stop, new_tokens = self.modify_gen_kwargs(given, eos=eos, default_max_gen_toks=self.max_gen_toks)
            tokens, new_tokens = maybe_truncate(
                self.tok_encode(context), max_gen_toks=new_tokens, max_model_len=room, side=self.truncation_side
            )
            prompts.append(self._started(tokens))
            ends = [text for text in stop if text == eos] if self.think_end_token else stop
            sampling.append(_harness.SamplingParams(max_tokens=new_tokens, stop=ends, **settings))
            stops.append(stop)
        first = self._run("generate_until", prompts, sampling, wanted=self.plan.edits)
        responses = [output.outputs[0].text for output in first]
        asked = [
            self._answer_start(list(prompt.tokens), postprocess_generated_text(response, stop, None))
            for prompt, response, stop in zip(prompts, responses, stops, strict=True)
        ]
        count = self.arguments.answer_tokens
        settings, stop, _ = self.modify_gen_kwargs({"until": [eos], "do_sample": False}, eos=eos)
        greedy = [_harness.SamplingParams(max_tokens=count, stop=stop, **settings) for _ in asked]
        second = self._run("answer_stage", asked, greedy, wanted=self._answer_is_steered)
        answers = [output.outputs[0].text for output in second]
        texts = []
        for request, response, answer, ends in zip(requests, responses, answers, stops, strict=True):
            text = postprocess_generated_text(response, ends, self.think_end_token)
            texts.append(text + str(self.arguments.answer_prompt) + postprocess_generated_text(answer, stop, None))
            self.cache_hook.add_partial("generate_until", request.args, texts[-1])
        return texts

    @property
    def _answer_is_steered(self) -> bool:
        return self.arguments.answer_stage == "steered" and self.plan.edits

    def _answer_start(self, prompt: list[int], response: str) -> PromptPath:
        steered = self._answer_is_steered
        tail = self.tok_encode(response + str(self.arguments.answer_prompt), add_special_tokens=False)
        room = self.max_length - self.arguments.answer_tokens
        prompt, tail = answer_start(prompt, tail, self.plan.offset, room, steered=steered)
        return prompt_path(prompt[:-1], [*prompt[-1:], *tail], self.arguments.position if steered else None)

    def _loglikelihood_tokens(
        self,
        requests: list[LoglikelihoodRequest],
        disable_tqdm: bool = False,  # noqa: ARG002 - the engine shows a bar of its own
    ) -> list[tuple[float, bool]]:
        """Scores continuations on the edited cache of their contexts, from the engine's prompt log-probabilities."""
        if not requests:
            return []
        rolling, steered = requests[0][0] is None, self.plan.edits_loglikelihood
        if not rolling:
            self._check_chat(request[0][0] for request in requests if request[0])
        prepared = scoring_requests(
            requests,
            offset=self.plan.loglikelihood_offset,
            position=self.arguments.position if steered else None,
            max_length=self.max_length - 2,  # the engine must have room for one token more
            rolling=rolling,
        )
        paths = [replace(one.path, tokens=[*one.path.tokens, one.continuation[-1]]) for one in prepared]
        # In the order of the harness's model, so that batches, and with them the rounding, are the same.
        order = sorted(range(len(paths)), key=lambda i: (-len(paths[i].tokens), tuple(paths[i].tokens)))
        size = len(paths) if self.batch_size == "auto" else int(self.batch_size)
        request_type = "loglikelihood_rolling" if rolling else "loglikelihood"
        answers: dict[int, tuple[float, bool]] = {}
        for start in range(0, len(paths), size):
            part = order[start : start + size]
            scored = {"temperature": 0, "prompt_logprobs": 1, "max_tokens": 1, "detokenize": False}
            sampling = [_harness.SamplingParams(**scored) for _ in part]
            outputs = self._run(request_type, [paths[i] for i in part], sampling, wanted=steered)
            for i, output in zip(part, outputs, strict=True):
                tokens, key = list(paths[i].tokens), requests[i][0]
                answers[i] = self._parse_logprobs(tokens, output, ctxlen=len(tokens) - len(prepared[i].continuation))
                if key is not None:
                    self.cache_hook.add_partial("loglikelihood", key, answers[i])
        if not rolling:
            self._report_not_steered(request_type)
        return [answers[i] for i in range(len(paths))]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Scores whole texts in windows; in each window the cache of its context's last token is the edited one."""
        if not requests:
            return []
        self.counts.of("loglikelihood_rolling").add(requests=len(requests))
        with self._room_for(self.plan.loglikelihood_offset):
            result: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        self._report_not_steered("loglikelihood_rolling")
        return result

    def _run(
        self, request_type: str, prompts: Sequence[PromptPath], sampling: Sequence[Any], *, wanted: bool
    ) -> list[Any]:
        """Has the engine answer prompts, those with an edited token steered; counts what its workers report.

        Args:
            request_type: What to count them as.
            prompts: The prompts.
            sampling: How to go on from each: vLLM's SamplingParams.
            wanted: Whether all of them should be steered, as far as they are long enough.

        Raises:
            SteeringError: An edit could not be made, or was not.
        """
        steered = [copy(one) for one in sampling]
        for one, prompt in zip(steered, prompts, strict=True):
            if prompt.edited is not None:
                settings = replace(self._settings, position=prompt.edited, cached=prompt.boundary)
                one.extra_args = {**(one.extra_args or {}), **settings.to_arguments()}
        tokens = [list(prompt.tokens) for prompt in prompts]
        outputs: list[Any] = super()._model_generate(tokens, generate=True, sampling_params=steered)
        counts = self.counts.of(request_type)
        for prompt, output in zip(prompts, outputs, strict=True):
            edited = self._was_edited(output)
            if edited != (prompt.edited is not None):
                raise SteeringError(
                    f"The engine answered a prompt of {len(prompt.tokens)} tokens {'' if edited else 'un'}steered that "
                    "was to be the other. This should not happen; please report it."
                )
            counts.add(requests=request_type != "loglikelihood_rolling", steered=edited, wanted=wanted)
        return outputs

    def _was_edited(self, output: Any) -> bool:
        told = (output.kv_transfer_params or {}).get(KEY, {})
        if "error" in told:
            strength = self.plan.edit.strength if self.plan.edit else ""
            raise SteeringError(str(told["error"]).replace(_THEIR_STRENGTH, strength))
        return bool(told.get("edited"))

    # What the harness records -----------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides an answer besides the request: model, precision, steering."""
        decisive = {name: value for name, value in self._passed_on.items() if name not in _WITHOUT_INFLUENCE}
        model = self.model_id if self.model_id == EMBEDDED_MODEL_ID else self._model_name
        return self.plan.fingerprint(decisive | {"model": model, "engine": "vllm"})

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Takes the harness's response cache, bound to this run's fingerprint.

        Raises:
            ResponseCacheError: The file holds responses of another configuration.
        """
        if getattr(cache_hook, "dbdict", None) is not None:
            bind_response_cache(cache_hook.dbdict, self.fingerprint)
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """Under "steering", what was done to how many requests."""
        summary = self.plan.summary()
        summary["versions"]["vllm"] = installed_version()
        described = {"model": self.model_id, "fingerprint": self.fingerprint, "counts": self.counts.summary()}
        return {"steering": summary | described}


def _check_arguments(arguments: dict[str, Any]) -> None:
    """Refuses arguments that nobody knows, that belong to hf-cachesteer, or that steering itself needs."""
    from vllm.engine.arg_utils import EngineArgs

    theirs = {field.name for field in fields(EngineArgs)} | {"device", "swap_space"}
    theirs |= set(inspect.signature(_harness.VLLM.__init__).parameters) - {"self", "kwargs"}
    of_hf = {field.name for field in fields(EngineArguments)} & arguments.keys() - theirs
    if of_hf:
        raise ArgumentError(
            f"{', '.join(sorted(of_hf))} given: an argument of hf-cachesteer, whose engine vLLM's replaces. Leave it "
            "out, or use --model hf-cachesteer."
        )
    taken = engine_arguments(None).keys() & {name for name, value in arguments.items() if value is not None}
    if taken:
        raise ArgumentError(f"{', '.join(sorted(taken))} given, which steering itself needs. Leave it out.")
    for name in engine_arguments(None).keys() & arguments.keys():
        del arguments[name]
    ours = [field.name for field in fields(SteeringArguments) if field.name in ALLOWED]
    refuse_unknown([name for name in arguments if name not in theirs], ours, theirs, "vllm")


def _check_config(config: Any) -> None:
    """Refuses models whose layers vLLM does not cache one by one, before weights are loaded."""
    text = config.get_text_config(decoder=True)
    shared = getattr(text, "num_kv_shared_layers", None)
    if shared:
        raise ArgumentError(
            f"{text.model_type} shares keys and values between layers (num_kv_shared_layers={shared}), which vLLM "
            "keeps once. Use --model hf-cachesteer."
        )
    if layers_without_keys(text):
        raise ArgumentError(
            f"{text.model_type} has layers without keys and values, which was not tested in vLLM. Use --model "
            "hf-cachesteer."
        )
