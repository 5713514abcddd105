"""The KV connector: carries edits from the scheduler to the workers, which make them, and reports back.

Named on vLLM's command line by --kv-transfer-config, see `launch.py`.
"""

from typing import Any

from torch import Tensor
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorBase_V1, KVConnectorRole, SupportsHMA
from vllm.v1.request import RequestStatus

from .desk import Desk
from .editor import Editor
from .library import VectorLibrary
from .messages import Orders, Report
from .pages import find_pages
from .support import check_engine, check_interfaces
from .versions import check_version

_CUT_SHORT = (RequestStatus.FINISHED_ABORTED, RequestStatus.FINISHED_ERROR, RequestStatus.FINISHED_IGNORED)


class CacheSteerConnector(KVConnectorBase_V1, SupportsHMA):
    """One object in the scheduler's process, one in each worker's."""

    requires_kv_delivery = False

    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any) -> None:
        super().__init__(vllm_config, role, kv_cache_config)
        check_version()
        check_interfaces()
        check_engine(vllm_config, kv_cache_config)
        self._parallel = vllm_config.parallel_config
        self._editor: Editor | None = None
        self._report = Report()
        if role == KVConnectorRole.SCHEDULER:
            self.desk = Desk(
                VectorLibrary.of(vllm_config),
                self._parallel.world_size,
                [group.kv_cache_spec.block_size for group in kv_cache_config.kv_cache_groups],
                vllm_config.model_config.max_model_len,
            )

    # The scheduler's side ---------------------------------------------------------------------------------------

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int, bool]:  # noqa: ARG002
        """Nothing is loaded."""
        return 0, False

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        """Nothing is loaded."""

    def build_connector_meta(self, scheduler_output: Any) -> Orders:
        """The edits of a step."""
        return self.desk.orders(scheduler_output.num_scheduled_tokens, self._kv_cache_manager)

    def update_connector_output(self, connector_output: Any) -> None:
        """Takes in the workers' reports."""
        report = connector_output.kv_connector_worker_meta
        if isinstance(report, Report):
            self.desk.note(report)

    def request_finished(self, request: Any, block_ids: list[int]) -> tuple[bool, dict[str, Any] | None]:  # noqa: ARG002
        """Says whether the request was edited."""
        return False, self.desk.finish(request, aborted=request.status in _CUT_SHORT)

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        """As `request_finished`, for caches of several kinds of layers."""
        return self.request_finished(request, list(block_ids[0]))

    # The workers' side ------------------------------------------------------------------------------------------

    def register_kv_caches(self, kv_caches: dict[str, Tensor]) -> None:
        """Finds out where tokens lie in this worker's cache."""
        layers = self._vllm_config.compilation_config.static_forward_context
        pages = find_pages(kv_caches, layers, self._kv_cache_config.kv_cache_groups)
        self._editor = Editor(pages, get_tensor_model_parallel_rank(), self._parallel.tensor_parallel_size)

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        """Nothing is loaded."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Nothing is loaded."""

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any) -> None:
        """Nothing is saved."""

    def wait_for_save(self) -> None:
        """Makes the edits of this step; vLLM calls this after the forward pass."""
        orders = self._connector_metadata
        if self._editor is not None and isinstance(orders, Orders):
            self._editor.learn(orders.new, orders.forgotten)
            if orders.orders:
                self._report.aggregate(self._editor.make(orders.orders))

    def build_connector_worker_meta(self) -> Report | None:
        """What was done since the last report."""
        if not self._report.made and not self._report.failed:
            return None
        report, self._report = self._report, Report()
        return report
