"""What scheduler and workers tell each other in each step."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorMetadata, KVConnectorWorkerMetadata

from ..core.edit import CacheEdit


@dataclass(frozen=True)
class Order:
    """One edit to be made after this step's forward pass.

    Attributes:
        request_id: The request.
        edit: Number of the edit, as in `Orders.new`.
        slots: By KV cache group, the slot of the edited token: block number times block size plus its place there.
            None where the group has dropped the token.
    """

    request_id: str
    edit: int
    slots: tuple[int | None, ...]


@dataclass
class Orders(KVConnectorMetadata):
    """From the scheduler to every worker.

    Attributes:
        orders: The edits of this step.
        new: Edits that workers do not know yet.
        forgotten: Edits that are not ordered again under this number.
    """

    orders: list[Order] = field(default_factory=list)
    new: Mapping[int, CacheEdit] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)


@dataclass
class Report(KVConnectorWorkerMetadata):
    """From the workers to the scheduler, added up over all of them.

    Attributes:
        made: Request -> edits made.
        failed: Request -> why its edit could not be made.
    """

    made: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def aggregate(self, other: "Report") -> "Report":
        """Adds another worker's report."""
        for request_id, count in other.made.items():
            self.made[request_id] = self.made.get(request_id, 0) + count
        for request_id, reason in other.failed.items():
            self.failed.setdefault(request_id, reason)
        return self
