"""Counting interventions, so that a request that was not steered never passes in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field


@dataclass
class RequestCounts:
    """What happened to the requests of one type.

    Attributes:
        requests: Requests seen by the backend (those answered from a response cache are not).
        interventions: Prompts answered from an edited cache; rolling requests count each window.
        not_steered: Prompts that should have been steered and could not be (too short).
        near_ties: Greedy responses with a choice between tokens so close that rounding may decide it, so that another
            batch may give another text.
    """

    requests: int = 0
    interventions: int = 0
    not_steered: int = 0
    near_ties: int = 0

    def add(self, *, requests: int = 0, steered: int = 0, wanted: int = 0, near_ties: int = 0) -> None:
        """Adds requests, of which `wanted` prompts should be steered and `steered` were."""
        self.requests += requests
        self.interventions += steered
        self.not_steered += wanted - steered
        self.near_ties += near_ties

    def include(self, other: RequestCounts) -> None:
        """Adds what another process has counted."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass
class InterventionCounts:
    """Counts by request type."""

    by_type: dict[str, RequestCounts] = field(default_factory=dict)

    @classmethod
    def total(cls, parts: Iterable[InterventionCounts]) -> InterventionCounts:
        """The sum of what several processes have counted."""
        total = cls()
        for part in parts:
            for request_type, counts in part.by_type.items():
                total.of(request_type).include(counts)
        return total

    def of(self, request_type: str) -> RequestCounts:
        """The counts of one request type."""
        return self.by_type.setdefault(request_type, RequestCounts())

    def summary(self) -> dict[str, dict[str, int]]:
        """Plain dictionaries, by request type."""
        return {request_type: asdict(counts) for request_type, counts in self.by_type.items()}
