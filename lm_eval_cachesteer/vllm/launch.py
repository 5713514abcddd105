"""How an engine is told to steer. Imports nothing of vLLM."""

import json
from pathlib import Path
from typing import Any

FOLDER = "vectors"
SCHEDULER = "lm_eval_cachesteer.vllm.scheduler.steering_scheduler"
CONNECTOR = "lm_eval_cachesteer.vllm.connector"
MIDDLEWARE = "lm_eval_cachesteer.vllm.middleware.SteeringMiddleware"


def engine_arguments(folder: Path | None) -> dict[str, Any]:
    """Arguments of `vllm.LLM` for an engine that steers requests.

    Args:
        folder: Where vectors are looked up by name; None for the shipped ones.
    """
    return {"scheduler_cls": SCHEDULER, "kv_transfer_config": _connection(folder)}


def server_arguments(folder: Path | None) -> list[str]:
    """The same on the command line of vLLM's server, and the check of requests as they arrive."""
    connection = json.dumps(_connection(folder))
    return ["--scheduler-cls", SCHEDULER, "--kv-transfer-config", connection, "--middleware", MIDDLEWARE]


def _connection(folder: Path | None) -> dict[str, Any]:
    return {
        "kv_connector": "CacheSteerConnector",
        "kv_connector_module_path": CONNECTOR,
        "kv_role": "kv_both",
        "kv_connector_extra_config": {FOLDER: str(folder.resolve())} if folder else {},
    }
