"""What every steered backend shares: the plan, the counts, and what is said of prompts that do not suit it."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .arguments import SteeringArguments
from .counts import InterventionCounts
from .plan import SteeringPlan

logger = logging.getLogger(__name__)


class Steered:
    """Mixin for the harness's models.

    Attributes:
        arguments: How the run is steered, as asked for.
        plan: The same, resolved for the model.
        counts: What was done to requests.
    """

    arguments: SteeringArguments
    plan: SteeringPlan
    counts: InterventionCounts
    tokenizer: Any
    max_length: int
    _max_length: int | None
    _chat_checked: bool

    def steer(self, arguments: SteeringArguments) -> None:
        """Steers what comes next by other arguments; the model stays loaded, interventions are counted anew.

        Raises:
            ArgumentError: A setting is out of range for this model.
            VectorFileError: The vector file is missing or damaged.
            VectorMismatchError: The vectors do not fit the model.
        """
        self.arguments = arguments
        self._plan_anew()
        self._count_anew()

    def _plan_anew(self) -> None:
        """Resolves the arguments for the model that is loaded."""
        raise NotImplementedError

    def _count_anew(self) -> None:
        self.counts = InterventionCounts()
        self._chat_checked = False

    @contextmanager
    def _room_for(self, offset: Sequence[int]) -> Iterator[None]:
        """Makes the model's maximum length shorter by an offset token that prompts take in later."""
        kept = self._max_length
        if offset:
            self._max_length = self.max_length - len(offset)
        try:
            yield
        finally:
            self._max_length = kept

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
