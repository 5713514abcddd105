"""`hf-cachesteer`: the harness's HFLM, steered by one edit of the key-value cache."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from accelerate import find_executable_batch_size
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tqdm import tqdm

from ..core.architecture import Architecture, check_chunks
from ..core.decode import Score, forward
from ..core.devices import input_device
from ..engine.compiled import CompiledDecode
from ..engine.forward import PackedModel
from ..engine.limits import Limits, default_kv_bytes
from ..engine.support import why_not
from ..errors import ArgumentError, ResponseCacheError
from ..sources.embedded import MODEL_ID as EMBEDDED_MODEL_ID
from ..sources.embedded import ensure_embedded_model
from ..sources.models import default_device, model_id_of
from .arguments import EngineArguments, SteeringArguments, check_unknown_arguments
from .counts import InterventionCounts
from .generation import Responder, TokenRate
from .likelihood import score_requests
from .plan import SteeringPlan
from .processes import Neighbours, in_document_order, join_on_cpu, share_cores, warn_if_alone
from .requests import LoglikelihoodRequest, scoring_requests
from .response_cache import bind_response_cache
from .steered import Steered
from .tensor_parallel import is_split, local_part
from .tokenization import remember_tokenizer
from .weights import altered_weights, take_quantization

logger = logging.getLogger(__name__)

# Model arguments that change how fast an answer comes, not which.
_WITHOUT_INFLUENCE = {"batch_size", "max_batch_size", "logits_cache"}

# Where memory cannot be probed by running out of it, `batch_size=auto` means this.
AUTO_BATCH_SIZE_ON_CPU = 16


class CacheSteerLM(Steered, HFLM):
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

    def __init__(self, pretrained: Any = None, *, device: str | None = None, **arguments: Any) -> None:
        self.arguments = SteeringArguments.take_from(arguments)
        self.engine = EngineArguments.take_from(arguments)
        self._quantization = take_quantization(arguments)
        self._passed_on = arguments
        by_name = isinstance(pretrained, str | None)
        if not by_name:
            check_unknown_arguments(arguments, config=pretrained.config)
            if self._quantization is not None:
                raise ArgumentError("A loaded model cannot be quantized by model arguments. Load it quantized.")
        _check_splitting(arguments)
        threads = torch.get_num_threads()
        if by_name and arguments.get("tp_plan") is None and "cpu" in (device, default_device()):
            join_on_cpu()
        super().__init__(
            pretrained=str(ensure_embedded_model()) if pretrained is None else pretrained,
            device=device or default_device(),
            **arguments,
        )
        self._join_processes(threads)
        if not isinstance(self.pretrained, str):
            self._device = input_device(self.model)
            self._resolve_plan(self.model.name_or_path)
        self._check_chunks()
        if is_split(self.model):
            self._take_part()
        remember_tokenizer(self.tokenizer)
        self._count_anew()
        self._counts_of_ranks: list[InterventionCounts] | None = None
        self._obstacles: set[str] = set()

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
        if self._quantization is not None:
            kwargs["quantization_config"] = self._quantization
        super()._create_model(pretrained, *args, **kwargs)

    def _resolve_plan(self, name: str) -> None:
        self._model_name = name
        self.model_id = model_id_of(name)
        self.plan = SteeringPlan.resolve(self.arguments, self.architecture, self.model_id, self.tokenizer)

    def _check_chunks(self) -> None:
        if self.plan.edit is not None:
            check_chunks(self.config, self.max_length)

    def _plan_anew(self) -> None:
        self._resolve_plan(self._model_name)
        self._check_chunks()
        if is_split(self.model):
            self._take_part()
        self._counts_of_ranks = None

    # Processes --------------------------------------------------------------------------------------------------

    def _join_processes(self, threads: int) -> None:
        """Takes this process's share of the documents and of the machine; HFLM knows shares of GPUs of one machine."""
        self._neighbours = Neighbours(1, 1)
        if not hasattr(self, "accelerator"):
            warn_if_alone()
            return
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self._neighbours = Neighbours.gather()
        if self._on_cpu:
            share_cores(threads, self._neighbours.cores)

    def _take_part(self) -> None:
        """Keeps of the edit what belongs to the KV heads in this process."""
        self._device = input_device(self.model)
        if self.plan.edit is not None:
            self.plan = replace(self.plan, edit=local_part(self.plan.edit, self.model, self.device))

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """Answers the harness, which asks how many requests the others have, with this rank's own number.

        It would give ranks with fewer requests copies of one, for models that compute in lockstep. Ours do not, and
        copies would be answered, counted and logged beside the request itself.
        """
        return tensor.reshape(1).repeat(self.world_size) if tensor.ndim == 0 else super().all_gather(tensor)

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        """Collects what the ranks found, in the order of the documents, and what they counted."""
        if self.world_size == 1:
            return [obj]
        self._counts_of_ranks = super().gather_object(self.counts, dst)
        gathered: list[Any] | None = super().gather_object(obj, dst)
        return gathered if gathered is None else in_document_order(gathered)

    # Answering --------------------------------------------------------------------------------------------------

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers generation requests: prefill without the last token, one edit, decode.

        Follows HFLM.generate_until in truncation, stop strings and post-processing. The offset token is part of the
        prompt: never of the answer, never counted as generated.
        """
        arguments = [request.args for request in requests]
        self._check_chat(context for context, _ in arguments)
        by_settings: dict[str, list[int]] = {}
        for i, (_, gen_kwargs) in enumerate(arguments):
            by_settings.setdefault(repr(gen_kwargs), []).append(i)
        responses: dict[int, str] = {}
        rate = TokenRate()
        with self._progress(len(requests), "generate_until", disable_tqdm) as bar:
            for indices in by_settings.values():

                def finish(i: int, response: str, tokens: int, indices: list[int] = indices) -> None:
                    responses[indices[i]] = response
                    self.cache_hook.add_partial("generate_until", arguments[indices[i]], response)
                    bar.set_postfix_str(rate.add(tokens), refresh=False)
                    bar.update(1)

                Responder(self, arguments[indices[0]][1]).respond([arguments[i][0] for i in indices], finish)
        self._report_not_steered("generate_until")
        return [responses[i] for i in range(len(requests))]

    def _loglikelihood_tokens(
        self, requests: list[LoglikelihoodRequest], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Scores continuations on the edited cache of their contexts."""
        if not requests:
            return []
        rolling = requests[0][0] is None
        request_type = "loglikelihood_rolling" if rolling else "loglikelihood"
        if not rolling:
            self._check_chat(request[0][0] for request in requests if request[0])
        edit = self.plan.edit if self.plan.edits_loglikelihood else None
        prepared = scoring_requests(
            requests,
            offset=self.plan.loglikelihood_offset,
            position=self.arguments.position if edit is not None else None,
            max_length=self.max_length,
            rolling=rolling,
        )
        answers: dict[int, tuple[float, bool]] = {}
        rate = TokenRate()
        with self._progress(len(requests), request_type, disable_tqdm or rolling) as bar:

            def finish(i: int, score: Score, steered: bool) -> None:
                self.counts.of(request_type).add(requests=not rolling, steered=steered, wanted=edit is not None)
                answers[i] = (score.logprob, score.is_greedy)
                if requests[i][0] is not None:
                    self.cache_hook.add_partial(request_type, requests[i][0], answers[i])
                bar.set_postfix_str(rate.add(len(prepared[i].path.tokens)), refresh=False)
                bar.update(1)

            score_requests(self, prepared, edit, finish, override_bs)
        if not rolling:
            self._report_not_steered(request_type)
        return [answers[i] for i in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Scores whole texts in windows; in each window the cache of its context's last token is the edited one."""
        self.counts.of("loglikelihood_rolling").add(requests=len(requests))
        with self._room_for(self.plan.loglikelihood_offset):
            result: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        self._report_not_steered("loglikelihood_rolling")
        return result

    # The fast path ----------------------------------------------------------------------------------------------

    def packed_model(self, obstacle: str = "") -> PackedModel | None:
        """The model for packed passes; None if the run needs `generate` and padded batches, which is logged once.

        Args:
            obstacle: Why the request at hand needs `generate`; "" if it does not.
        """
        if self.engine.engine == "generate":
            return None
        if is_split(self.model):  # processes that chose different passes would wait for each other forever
            obstacle = "the model is spread over processes"
        elif why_not(self.model):
            return None
        if obstacle and obstacle not in self._obstacles:
            self._obstacles.add(obstacle)
            logger.warning("Responses come from model.generate, without the fast path: %s.", obstacle)
        return None if obstacle else self._packed

    @cached_property
    def _packed(self) -> PackedModel:
        return PackedModel(self.model, self.autocast)

    @cached_property
    def compiled(self) -> CompiledDecode | None:
        """Compiled decode steps, if asked for."""
        return CompiledDecode(self._packed) if self.engine.compile else None

    @cached_property
    def limits(self) -> Limits:
        """What the fast path may take; halved when memory runs out."""
        given = self.engine.kv_memory
        sharing = self._neighbours.memory if self._on_cpu else 1
        kv_bytes = default_kv_bytes(self.device) // sharing if given is None else int(given * (1 << 30))
        return Limits(self.rows_per_batch, kv_bytes, self.engine.share_prefixes)

    @property
    def rows_per_batch(self) -> int:
        """Rows decoded side by side: the batch size, or what `auto` starts from."""
        if self.batch_size != "auto":
            return int(self.batch_size)
        return min(int(self.max_batch_size), AUTO_BATCH_SIZE_ON_CPU) if self._on_cpu else int(self.max_batch_size)

    # Padded batches ---------------------------------------------------------------------------------------------

    def plain_batch_size(self, length: int) -> int:
        """Rows of a padded batch for `generate`; `auto` finds how many rows of this length fit."""
        if self.batch_size != "auto":
            return int(self.batch_size)
        return self._probe_batch_size(min(length, self.max_length), keep=1)

    def _detect_batch_size(self, requests: Sequence[Any] | None = None, pos: int = 0) -> int:
        """HFLM's hook for `batch_size=auto`; probes the row at `pos`, or the longest window."""
        if not requests:
            return self._probe_batch_size(self.max_length, keep=self.max_length)
        row, _ = requests[pos]
        return self._probe_batch_size(len(row.context + row.tail), keep=max(1, len(row.tail)))

    # Shared -----------------------------------------------------------------------------------------------------

    @property
    def pad(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    @property
    def eos(self) -> str:
        """Text of the end token."""
        return str(self.tok_decode(self.eot_token_id, skip_special_tokens=False))

    @property
    def needs_contiguous_rows(self) -> bool:
        """Whether padding between prompt and tail would be wrong: windows and recurrent layers count columns."""
        text = self.config.get_text_config(decoder=True)
        kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
        return kinds != {"full_attention"} or getattr(text, "sliding_window", None) is not None

    def autocast(self) -> torch.autocast:
        """The context of every forward pass (`mixed_precision_dtype`)."""
        return torch.autocast(
            device_type=self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )

    @property
    def _on_cpu(self) -> bool:
        return bool(self.device.type == "cpu")

    def _progress(self, total: int, request_type: str, disable: bool) -> "tqdm[Any]":
        first = self.rank == 0 and os.environ.get("LOCAL_RANK", "0") == "0"  # tensor parallel, all ranks are 0
        return tqdm(total=total, disable=disable or not first, desc=f"Running {request_type} requests")

    def _probe_batch_size(self, length: int, keep: int) -> int:
        """The largest batch that fits, found by halving; a fixed size where memory cannot be probed safely."""
        if self._on_cpu:
            return self.rows_per_batch

        @find_executable_batch_size(starting_batch_size=self.max_batch_size)  # type: ignore[untyped-decorator]
        def probe(batch_size: int) -> int:
            ids = torch.ones(batch_size, length, dtype=torch.long, device=self.device)
            with self.autocast():
                forward(self.model, ids, torch.ones_like(ids), None, keep=keep)
            return batch_size

        found = int(probe())
        logger.info("batch_size=auto: %d rows of %d tokens", found, length)
        return found

    # What the harness records -----------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides an answer besides the request: model, precision, steering."""
        decisive = {name: value for name, value in self._passed_on.items() if name not in _WITHOUT_INFLUENCE}
        model = self.model_id if self.model_id == EMBEDDED_MODEL_ID else self._model_name
        named = {"model": model, "dtype": str(self.model.dtype)}
        return self.plan.fingerprint(decisive | named | altered_weights(self.model))

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Takes the harness's response cache, bound to this run's fingerprint.

        Raises:
            ResponseCacheError: The file holds responses of another configuration.
        """
        if getattr(cache_hook, "dbdict", None) is not None:
            if is_split(self.model):
                raise ResponseCacheError(
                    "--use_cache does not go with tp_plan: the processes compute each request together, and files that "
                    "differ would set them to different ones. Leave --use_cache out."
                )
            bind_response_cache(cache_hook.dbdict, self.fingerprint)
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """HFLM's model information, and under "steering" what was done to how many requests."""
        info: dict[str, Any] = super().get_model_info()
        counts = InterventionCounts.total(self._counts_of_ranks or [self.counts])
        return info | {
            "processes": self.world_size,
            "steering": self.plan.summary()
            | {"model": self.model_id, "fingerprint": self.fingerprint, "counts": counts.summary()},
        }


def _check_splitting(arguments: Mapping[str, Any]) -> None:
    """Refuses, or names, what would not be split as asked for."""
    devices, tp_plan, batch_size = (arguments.get(name) for name in ("device_map", "tp_plan", "batch_size"))
    if devices is not None and not arguments.get("parallelize"):
        logger.warning("device_map=%r has no effect without parallelize=True, as in hf.", devices)
    if tp_plan is None:
        return
    if "RANK" not in os.environ:
        raise ArgumentError(
            f"tp_plan={tp_plan!r} needs several processes, and this is the only one. Start them with torchrun "
            "--nproc-per-node N -m lm_eval ..., or leave tp_plan out."
        )
    if str(batch_size).startswith("auto"):
        raise ArgumentError(
            f"batch_size={batch_size!r} does not go with tp_plan: each process would find a size of its own, and all "
            "must compute the same batches. Give a number, such as batch_size=8."
        )
