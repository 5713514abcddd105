"""The scheduler's side of steering: which requests are steered, when their edits are due, whether they were made."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.edit import CacheEdit
from ..errors import CachesteerError, SteeringError
from .cut import Cut
from .library import VectorLibrary
from .messages import Order, Orders, Report
from .settings import KEY, SteeringSettings

logger = logging.getLogger(__name__)

# Edits that workers keep on their devices.
_KEPT = 64


class BlockTable(Protocol):
    """Where requests lie in the cache: vLLM's KVCacheManager."""

    def get_block_ids(self, request_id: str) -> tuple[list[int], ...]:
        """By KV cache group, the blocks of a request; 0 for a block that was dropped."""


@dataclass
class Job:
    """A steered request.

    Attributes:
        request: vLLM's request.
        cut: Where its prefill is cut.
        edit: What is added.
        ordered: Edits ordered so far: more than one if the request was preempted.
        made: Edits that workers report, added up over them.
    """

    request: Any
    cut: Cut
    edit: CacheEdit
    ordered: int = 0
    made: int = 0


@dataclass(frozen=True)
class Failure:
    """A request that cannot be answered as asked.

    Attributes:
        client_index: Whom to tell.
        reason: What.
    """

    client_index: int
    reason: str


class Desk:
    """Keeps the books of one scheduler.

    Args:
        library: The vectors.
        workers: Number of processes that hold parts of the cache.
        block_sizes: Tokens of a block, by KV cache group.
        max_length: Longest prompt and response of the model together.
    """

    def __init__(self, library: VectorLibrary, workers: int, block_sizes: Sequence[int], max_length: int) -> None:
        self._library, self._workers, self._max_length = library, workers, max_length
        self._block_sizes = tuple(block_sizes)
        self._jobs: dict[str, Job] = {}
        self._due: dict[str, Job] = {}
        self._failures: dict[str, Failure] = {}
        self._sent: OrderedDict[int, CacheEdit] = OrderedDict()
        self._forgotten: list[int] = []

    def admit(self, request: Any) -> Job | None:
        """Takes in a new request of vLLM's scheduler; appends the offset token to its prompt.

        Returns:
            None for a plain request, and for one that is refused, which `take_failures` will name.
        """
        try:
            settings = SteeringSettings.read(getattr(request.sampling_params, "extra_args", None))
            if settings is None:
                return None
            edit = self._library.edit(settings)
            self._append(request, self._library.offset(settings))
            _check_logprobs(request, settings)
            if edit.is_zero:
                return None
            cut = Cut.of(request.num_prompt_tokens, settings.position, settings.cached)
        except CachesteerError as error:
            self._fail(request, str(error))
            return None
        job = Job(request, cut, edit)
        self._jobs[request.request_id] = self._due[request.request_id] = job
        return job

    def _append(self, request: Any, offset: list[int]) -> None:
        if not offset:
            return
        if request.prompt_token_ids is None:
            raise SteeringError("An offset token cannot be appended to a prompt of embeddings. Pass tokens or text.")
        if request.num_prompt_tokens + len(offset) >= self._max_length:
            raise SteeringError(
                f"A prompt of {request.num_prompt_tokens} tokens leaves no room for the offset token: the model's "
                f"maximum length is {self._max_length}. Use a shorter prompt."
            )
        request.prompt_token_ids = [*request.prompt_token_ids, *offset]
        request._all_token_ids.extend(offset)
        request.num_prompt_tokens += len(offset)

    def job(self, request_id: str) -> Job | None:
        """A steered request that has not ended; None for others."""
        return self._jobs.get(request_id)

    def limit(self, request_id: str, computed: int, tokens: int) -> int:
        """How many of the next tokens of a request may be computed in one step: not beyond its cut.

        Args:
            request_id: The request.
            computed: Tokens computed before.
            tokens: Tokens that would be computed.
        """
        job = self._jobs.get(request_id)
        if job is None or computed >= job.cut.cached:
            return tokens
        return min(tokens, job.cut.cached - computed)

    def repeat(self, job: Job) -> None:
        """The request has lost its cache: its edit will be due again."""
        self._due[job.request.request_id] = job

    def orders(self, scheduled: dict[str, int], blocks: BlockTable) -> Orders:
        """The edits due after a step.

        Args:
            scheduled: Request -> tokens it computes in this step. The requests do not count them yet.
            blocks: Where the requests lie.
        """
        orders, new = Orders(), {}
        for request_id, job in list(self._due.items()):
            if job.request.num_computed_tokens + scheduled.get(request_id, 0) < job.cut.cached:
                continue
            del self._due[request_id]
            job.ordered += 1
            number = id(job.edit)
            if number not in self._sent:
                self._sent[number] = new[number] = job.edit
            self._sent.move_to_end(number)
            orders.orders.append(Order(request_id, number, self._slots(blocks.get_block_ids(request_id), job.cut)))
        orders.new = new
        orders.forgotten = self._forget({order.edit for order in orders.orders})
        return orders

    def _slots(self, blocks: tuple[list[int], ...], cut: Cut) -> tuple[int | None, ...]:
        slots: list[int | None] = []
        for ids, size in zip(blocks, self._block_sizes, strict=True):
            block = ids[cut.edited // size]
            slots.append(block * size + cut.edited % size if block else None)
        return tuple(slots)

    def _forget(self, used: set[int]) -> list[int]:
        """Drops the edits used longest ago; those kept cannot share their number with a new one."""
        dropped = [number for number in self._sent if number not in used][: max(0, len(self._sent) - _KEPT)]
        for number in dropped:
            del self._sent[number]
        return dropped

    def note(self, report: Report) -> None:
        """Takes in what the workers have done."""
        for request_id, count in report.made.items():
            if request_id in self._jobs:
                self._jobs[request_id].made += count
        for request_id, reason in report.failed.items():
            if request_id in self._jobs:
                self._fail(self._jobs[request_id].request, reason)

    def tell(self, request_id: str) -> dict[str, Any] | None:
        """What a token of a request that goes on shall say of it: where vLLM finds a stop string, it is the last one.

        Returns:
            None for a plain request, and for one that is refused because its edit was not made.
        """
        job = self._jobs.get(request_id)
        if job is None:
            return None
        if job.made < self._workers:
            self._fail(job.request, _unedited(job, self._workers))
            return None
        return {KEY: {"edited": True}}

    def finish(self, request: Any, aborted: bool) -> dict[str, Any] | None:
        """Closes a request.

        Returns:
            For a steered one, what its answer shall say of it.
        """
        self._due.pop(request.request_id, None)
        job = self._jobs.pop(request.request_id, None)
        if job is None:
            return None
        was_edited = job.ordered > 0 and job.made == job.ordered * self._workers
        if not was_edited and not aborted:
            self._fail(request, _unedited(job, self._workers))
        return {KEY: {"edited": was_edited}}

    def _fail(self, request: Any, reason: str) -> None:
        self._failures.setdefault(request.request_id, Failure(request.client_index, reason))

    def take_failures(self) -> dict[str, Failure]:
        """Requests that failed since this was last asked, and why."""
        if not self._failures:
            return {}
        failures, self._failures = self._failures, {}
        for request_id, failure in failures.items():
            logger.warning("Request %s failed: %s", request_id, failure.reason)
        return failures


def _unedited(job: Job, workers: int) -> str:
    return (
        f"The edit was ordered {job.ordered} times, but {workers} workers report it {job.made} times: the answer may "
        "be unsteered. This should not happen; please report it."
    )


def _check_logprobs(request: Any, settings: SteeringSettings) -> None:
    if settings.cached is None and request.sampling_params.prompt_logprobs is not None:
        raise SteeringError(
            f"Log-probabilities of a steered prompt need {KEY}_cached, the number of prompt tokens before the edit: "
            "those of tokens after it are steered. Give it, with a prompt of token ids, or ask for none."
        )
