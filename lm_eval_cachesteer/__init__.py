"""KV cache steering for language models, inside lm-evaluation-harness and on its own.

>>> from lm_eval_cachesteer import KVSteerer
>>> steerer = KVSteerer.from_pretrained("stepwise")
>>> output = steerer.steer(model, **tokenizer(prompt, return_tensors="pt"), max_new_tokens=128)
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.edit import CacheEdit
    from .core.vectors import SteeringVectors
    from .errors import CachesteerError
    from .steerer import KVSteerer

__version__ = version("lm-eval-cachesteer")

__all__ = ["CacheEdit", "CachesteerError", "KVSteerer", "SteeringVectors", "__version__"]

# Loaded on first use, so that importing the package (as lm_eval does at its start) never imports torch.
_HOMES = {
    "CacheEdit": ".core.edit",
    "CachesteerError": ".errors",
    "KVSteerer": ".steerer",
    "SteeringVectors": ".core.vectors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
