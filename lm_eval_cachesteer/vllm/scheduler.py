"""vLLM's scheduler, with the prefill of steered prompts cut where the edit is made.

Named on vLLM's command line by --scheduler-cls lm_eval_cachesteer.vllm.scheduler.steering_scheduler.
"""

import secrets
from typing import TYPE_CHECKING, Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason
from vllm.v1.request import RequestStatus

from ..errors import ArgumentError
from .connector import CacheSteerConnector
from .desk import Failure, Job
from .settings import KEY
from .sharing import private_hasher

_Base: Any = Scheduler if TYPE_CHECKING else object


class _Steering(_Base):
    """Mixin for vLLM's schedulers; what it overrides is checked in `support.py`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connector: Any = getattr(self, "connector", None)
        if not isinstance(connector, CacheSteerConnector):
            raise ArgumentError(
                "The scheduler of lm_eval_cachesteer needs its connector, which makes the edits. Name both: "
                "--scheduler-cls and --kv-transfer-config, as docs/vllm.md shows."
            )
        self._desk = connector.desk
        self._shared_hashers: dict[str, Any] = {}

    def add_request(self, request: Any) -> None:
        """Takes in a request; the blocks of a steered one are its own from the edited token on."""
        if request.request_id not in self.requests:  # else it is more input for a request that is known
            job = self._desk.admit(request)
            if job is not None and request._block_hasher is not None:
                self._shared_hashers[request.request_id] = request._block_hasher
                self._hash_anew(job)
        super().add_request(request)

    def _hash_anew(self, job: Job) -> None:
        """Gives a request's blocks hashes of their own; called again when it lost its cache, so that it is not met."""
        request, shared = job.request, self._shared_hashers[job.request.request_id]
        request._block_hasher = private_hasher(shared, job.cut.edited // self.hash_block_size, secrets.token_bytes(16))
        request.block_hashes.clear()
        request.update_block_hashes()

    def _reserve_prefill_lookahead(self, request: Any, num_computed_tokens: int, num_new_tokens: int) -> int:
        tokens: int = super()._reserve_prefill_lookahead(request, num_computed_tokens, num_new_tokens)
        return self._desk.limit(request.request_id, num_computed_tokens, tokens)

    def _preempt_request(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super()._preempt_request(request, *args, **kwargs)
        job = self._desk.job(request.request_id)
        if job is not None:
            self._desk.repeat(job)
            if request.request_id in self._shared_hashers:
                self._hash_anew(job)

    def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._shared_hashers.pop(request.request_id, None)
        return super()._free_request(request, *args, **kwargs)

    def update_from_output(self, *args: Any, **kwargs: Any) -> dict[int, EngineCoreOutputs]:
        """As vLLM's; requests whose edit cannot be made end in an error, each for itself."""
        outputs: dict[int, EngineCoreOutputs] = super().update_from_output(*args, **kwargs)
        for of_client in outputs.values():
            for output in of_client.outputs:
                output.kv_transfer_params = self._desk.tell(output.request_id) or output.kv_transfer_params
        failures = self._desk.take_failures()
        if failures:
            self.finish_requests(failures, RequestStatus.FINISHED_ERROR)
            _put_errors(outputs, failures)
        return outputs


def _put_errors(outputs: dict[int, EngineCoreOutputs], failures: dict[str, Failure]) -> None:
    for of_client in outputs.values():
        of_client.outputs = [output for output in of_client.outputs if output.request_id not in failures]
    for request_id, failure in failures.items():
        of_client = outputs.setdefault(failure.client_index, EngineCoreOutputs())
        of_client.outputs.append(
            EngineCoreOutput(
                request_id=request_id,
                new_token_ids=[],
                finish_reason=FinishReason.ERROR,
                kv_transfer_params={KEY: {"edited": False, "error": failure.reason}},
            )
        )


class SteeringScheduler(_Steering, Scheduler):
    """For engines without asynchronous scheduling."""


class AsyncSteeringScheduler(_Steering, AsyncScheduler):
    """For engines with asynchronous scheduling, the default."""


def steering_scheduler(vllm_config: Any, *args: Any, **kwargs: Any) -> Scheduler:
    """The scheduler that an engine's configuration asks for; called by vLLM in place of a class."""
    kind = AsyncSteeringScheduler if vllm_config.scheduler_config.async_scheduling else SteeringScheduler
    return kind(vllm_config, *args, **kwargs)
