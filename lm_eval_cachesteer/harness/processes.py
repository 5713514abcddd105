"""Several processes of one run: each answers its own documents, the first records what all have found.

The harness deals documents out like cards: of n processes, rank r gets documents r, r + n, r + 2n and so on. Each has a
copy of the model, nothing has to be done in lockstep, and the ranks meet once, at the end.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, zip_longest
from typing import Any

import psutil
import torch
from accelerate import PartialState
from accelerate.utils import get_cpu_distributed_information

from ..errors import ArgumentError, ResultsError

logger = logging.getLogger(__name__)

# The first rank to finish waits for the last, as long as in the harness's own process groups.
_PATIENCE = timedelta(weeks=52)
_NONE = object()


def join_on_cpu() -> None:
    """Makes one group of the processes a launcher has started on CPUs.

    Without being told, accelerate makes groups of accelerators only, and every process would evaluate everything.
    """
    if started() > 1:
        PartialState(cpu=True, timeout=_PATIENCE)


@dataclass(frozen=True)
class Place:
    """Where a process runs.

    Attributes:
        host: Name of the machine.
        cores: Logical CPUs the process may use.
    """

    host: str
    cores: frozenset[int]

    @classmethod
    def here(cls) -> Place:
        """Where this process runs."""
        affinity = getattr(os, "sched_getaffinity", None)
        cores: Iterable[int] = affinity(0) if affinity else range(os.cpu_count() or 1)
        return cls(socket.gethostname(), frozenset(cores))


@dataclass(frozen=True)
class Neighbours:
    """Processes of one run, this one included, that share something with this one.

    Attributes:
        memory: How many run on the same machine.
        cores: How many may run on the same cores; launchers can bind each process to cores of its own.
    """

    memory: int
    cores: int

    @classmethod
    def of(cls, mine: Place, places: Sequence[Place]) -> Neighbours:
        """Counts the places that overlap with one's own, which is among them."""
        near = [place for place in places if place.host == mine.host]
        return cls(len(near), sum(bool(place.cores & mine.cores) for place in near))

    @classmethod
    def gather(cls) -> Neighbours:
        """Asks all processes where they run; each must call this."""
        mine = Place.here()
        places: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(places, mine)
        return cls.of(mine, places)


def share_cores(threads: int, sharing: int) -> None:
    """Gives each process that computes on the same cores its part of them, unless the user has set OMP_NUM_THREADS.

    Args:
        threads: Threads torch would take for a process alone.
        sharing: Processes on the same cores.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, threads // sharing))
        return
    cores = min(len(Place.here().cores), psutil.cpu_count(logical=False) or os.cpu_count() or 1)
    used = torch.get_num_threads() * sharing
    if 2 * used <= cores:
        logger.warning(
            "%d processes use %d of %d cores: OMP_NUM_THREADS is %s, which accelerate launch and torchrun set to 1 "
            "unless it is given. Set OMP_NUM_THREADS=%d.",
            *(sharing, used, cores, os.environ["OMP_NUM_THREADS"], cores // sharing),
        )


def check_alone(what: str, processes: int, instead: str = "") -> None:
    """Refuses several processes where one does the work.

    Args:
        what: What runs in one process, for the message.
        processes: How many were started.
        instead: What to do instead, for the message.

    Raises:
        ArgumentError: There are several.
    """
    if processes > 1:
        raise ArgumentError(
            f"{what} runs in one process, and {processes} were started. Start it without torchrun and accelerate "
            f"launch{instead}."
        )


def started() -> int:
    """How many processes a launcher has started; 1 without one."""
    return int(get_cpu_distributed_information().world_size)


def warn_if_alone() -> None:
    """Says so where accelerate was asked for several processes and started one, as it does without accelerators."""
    asked = {"MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"} <= set(os.environ)
    if asked and "LOCAL_RANK" not in os.environ:
        logger.warning(
            "accelerate launch started one process only: without accelerators it needs --multi_gpu to start several, "
            "on CPUs too. This run goes on in one process."
        )


def in_document_order(gathered: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Merges what the ranks found, so that samples and figures stand as one process would have listed them.

    The harness joins the ranks' lists one after the other; the hashes it records and the errors it estimates by
    resampling depend on the order.

    Args:
        gathered: By rank: task -> logged samples, or task -> metric -> figures of documents.

    Returns:
        As many entries: the first has everything, the others nothing.

    Raises:
        ResultsError: A metric is there for documents of other ranks only; the harness would drop it.
    """
    merged: dict[str, Any] = {}
    for task, first in gathered[0].items():
        parts = [found[task] for found in gathered]
        merged[task] = _figures(task, parts) if isinstance(first, dict) else _samples(parts)
    nothing: dict[str, Any] = {task: defaultdict(list) if isinstance(f, dict) else [] for task, f in merged.items()}
    return [merged, *(nothing for _ in gathered[1:])]


def _samples(parts: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A task's samples: all documents under the first filter, then all under the next."""
    filters = dict.fromkeys(sample["filter"] for sample in chain(*parts))
    hands = ([[sample for sample in part if sample["filter"] == name] for part in parts] for name in filters)
    return list(chain.from_iterable(map(_dealt, hands)))


def _figures(task: str, parts: Sequence[Mapping[Any, Sequence[Any]]]) -> dict[Any, list[Any]]:
    lost = sorted(str(metric) for metric in set(chain(*parts)) - set(parts[0]))
    if lost:
        raise ResultsError(
            f"Task {task!r} reports {', '.join(lost)} for some documents only, none of them on rank 0, where the "
            "harness would drop it. Run this task in one process."
        )
    return {metric: _dealt([part.get(metric, ()) for part in parts]) for metric in parts[0]}


def _dealt(hands: Sequence[Sequence[Any]]) -> list[Any]:
    """Takes cards in turn: the deck as it was before it was dealt."""
    return [card for turn in zip_longest(*hands, fillvalue=_NONE) for card in turn if card is not _NONE]
