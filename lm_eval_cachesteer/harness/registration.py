"""Making lm_eval know our model and our tasks. Imports neither torch nor the backend."""

import functools
import inspect
from pathlib import Path
from typing import Any

from ..sources.folders import tasks_folder

MODEL_NAME = "hf-cachesteer"
VLLM_MODEL_NAME = "vllm-cachesteer"
FILTER_TARGETS = {
    "cachesteer_choice": "lm_eval_cachesteer.harness.filters:ChoiceFilter",
    "cachesteer_number": "lm_eval_cachesteer.harness.filters:NumberFilter",
    "cachesteer_expression": "lm_eval_cachesteer.harness.filters:ExpressionFilter",
}
MODEL_TARGET = "lm_eval_cachesteer.harness.backend:CacheSteerLM"
VLLM_MODEL_TARGET = "lm_eval_cachesteer.harness.vllm_backend:VLLMCacheSteerLM"


def register_model() -> None:
    """Adds the backends to lm_eval's model registry as lazy placeholders, unless lm_eval has found them already."""
    from lm_eval.api.registry import model_registry

    for name, target in ((MODEL_NAME, MODEL_TARGET), (VLLM_MODEL_NAME, VLLM_MODEL_TARGET)):
        if name not in model_registry:
            model_registry.register(name, target=target)


def register_filters() -> None:
    """Adds our filters to lm_eval's registry as lazy placeholders, unless lm_eval has found them already."""
    from lm_eval.api.registry import filter_registry

    for name, target in FILTER_TARGETS.items():
        if name not in filter_registry:
            filter_registry.register(name, target=target)


def register_tasks() -> None:
    """Lets every `TaskManager` with default tasks find ours as well, after lm_eval's and before the user's."""
    from lm_eval.tasks import TaskManager

    original = TaskManager.__init__
    if hasattr(original, "_cachesteer_tasks"):
        return
    signature = inspect.signature(original)
    if "include_path" not in signature.parameters or not hasattr(TaskManager, "load"):
        raise RuntimeError("this lm_eval reads task files in another way than 0.4.12: use that version or a newer one")

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        call = signature.bind(self, *args, **kwargs)
        call.apply_defaults()
        given = call.arguments["include_path"]
        if call.arguments.get("include_defaults", True):
            call.arguments["include_path"] = _with_our_tasks(given)
        original(*call.args, **call.kwargs)
        self.include_path = given

    init._cachesteer_tasks = True  # type: ignore[attr-defined]
    TaskManager.__init__ = init


def register() -> None:
    """All registrations, for programs that run without the start-up hook."""
    import lm_eval.filters
    import lm_eval.models  # noqa: F401 - both fill their registries first, so that ours are added to them

    register_model()
    register_filters()
    register_tasks()


def _with_our_tasks(given: str | Path | list[str | Path] | None) -> list[str | Path]:
    user = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
    ours = tasks_folder()
    return user if any(Path(path).resolve() == ours for path in user) else [ours, *user]
