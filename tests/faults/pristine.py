"""Imported first by the server of processes: what other packages are before this one is imported."""

import importlib
import sys
import types

# Modules whose functions and classes are compared.
COMPARED = ("lm_eval", "transformers", "torch.nn", "torch.random", "accelerate")
IMPORTED = ("lm_eval.models.huggingface", "lm_eval.filters", "lm_eval.tasks", "lm_eval.evaluator",
            "transformers.models.llama.modeling_llama", "transformers.models.auto.modeling_auto")  # fmt: skip


def callables():
    """Functions and classes of modules that are loaded, and what can be called in these classes, by name."""
    found = {}
    for name, module in list(sys.modules.items()):
        ours = name.startswith("lm_eval_cachesteer")
        if not ours and isinstance(module, types.ModuleType) and name.startswith(COMPARED):
            for key, value in list(vars(module).items()):
                if callable(value):
                    found[f"{name}.{key}"] = value
                if isinstance(value, type) and value.__module__ == name:
                    found |= {f"{name}.{key}.{k}": v for k, v in list(vars(value).items()) if _is_code(v)}
    return found


def replaced(before):
    """What is another object than it was."""
    now = callables()
    return sorted(name for name, value in before.items() if name in now and now[name] is not value)


def _is_code(value):
    return callable(value) or isinstance(value, property | staticmethod | classmethod)


for _name in IMPORTED:
    importlib.import_module(_name)
IS_FIRST = "lm_eval_cachesteer" not in sys.modules
PRISTINE = callables()
