"""The start-up hook, in fresh interpreters."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[1] / "startup" / "_cachesteer_startup.py"


def python(code, *options, **environment):
    environment = {k: v for k, v in os.environ.items() if k != "CACHESTEER_NO_HOOK"} | environment
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True, env=environment
    )


def test_the_hook_runs_and_imports_nothing_heavy():
    loaded = python("import sys; print(*sys.modules)").stdout.split()
    assert "_cachesteer_startup" in loaded
    assert not {"torch", "lm_eval", "lm_eval_cachesteer", "transformers"} & set(loaded)


def test_the_hook_costs_less_than_a_millisecond():
    costs = []
    for _ in range(15):
        for line in python("pass", "-X", "importtime").stderr.splitlines():
            if line.endswith("_cachesteer_startup"):
                costs.append(int(line.split("|")[1]))  # cumulative microseconds
    assert len(costs) == 15
    assert min(costs) < 1000


def test_importing_lm_eval_registers_lazily():
    out = python(
        "import sys, lm_eval.models\n"
        "from lm_eval.api.registry import model_registry\n"
        "print(model_registry._objs['hf-cachesteer'], 'torch' in sys.modules)"
    ).stdout
    assert out.split() == ["lm_eval_cachesteer.harness.backend:CacheSteerLM", "False"]


def test_tasks_resolve_without_include_path_and_users_come_last(tmp_path):
    (tmp_path / "mine.yaml").write_text("task: cachesteer_demo\ndataset_path: json\n")
    code = f"""
from lm_eval.tasks import TaskManager
print("cachesteer_demo" in TaskManager().all_tasks)
print("cachesteer_demo" in TaskManager(include_defaults=False).all_tasks)
mine = TaskManager(include_path={str(tmp_path)!r})
print(mine.task_index["cachesteer_demo"].yaml_path.name, mine.include_path == {str(tmp_path)!r})
"""
    assert python(code).stdout.split() == ["True", "False", "mine.yaml", "True"]


def test_the_switch_turns_it_off():
    code = (
        "import sys, lm_eval.models\nfrom lm_eval.api.registry import model_registry\n"
        "print('hf-cachesteer' in model_registry, any('cachesteer' in repr(f) for f in sys.meta_path))"
    )
    assert python(code, CACHESTEER_NO_HOOK="1").stdout.split() == ["False", "False"]


def test_without_lm_eval_nothing_happens(tmp_path):
    """An interpreter that sees the hook and the standard library only."""
    code = f"""
import sys
sys.path.append({str(HOOK.parent)!r})
import _cachesteer_startup
try:
    import lm_eval.models
except ModuleNotFoundError as error:
    print(error.name)
import json
print(json.dumps("fine"))
"""
    assert python(code, "-I", "-S").stdout.split() == ["lm_eval", '"fine"']


def test_lm_eval_stays_usable_when_this_package_is_broken(tmp_path):
    """lm_eval and the hook are there, lm_eval_cachesteer is not: a warning names the reason."""
    (tmp_path / "lm_eval" / "models").mkdir(parents=True)
    (tmp_path / "lm_eval" / "__init__.py").write_text("")
    (tmp_path / "lm_eval" / "models" / "__init__.py").write_text("READY = True")
    code = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(HOOK.parent)!r}]
import _cachesteer_startup, lm_eval.models
print(lm_eval.models.READY, type(lm_eval.models.__loader__).__name__)
"""
    finished = python(code, "-I", "-S")
    assert finished.stdout.split() == ["True", "SourceFileLoader"]
    assert "could not register itself with lm_eval (ModuleNotFoundError" in finished.stderr


def test_the_entry_point_names_the_backend():
    (found,) = [e for e in entry_points(group="lm_eval.models") if e.name == "hf-cachesteer"]
    from lm_eval_cachesteer.harness.backend import CacheSteerLM

    assert found.load() is CacheSteerLM


def test_a_harness_that_found_the_entry_point_first_is_left_alone(monkeypatch):
    from lm_eval.api.registry import Registry

    from lm_eval_cachesteer.harness import registration

    registry = Registry("model")
    scanned = EntryPoint("hf-cachesteer", registration.MODEL_TARGET, "lm_eval.models")
    registry.register("hf-cachesteer", target=scanned)
    monkeypatch.setattr("lm_eval.api.registry.model_registry", registry)
    registration.register_model()
    assert registry._objs["hf-cachesteer"] is scanned
    assert registry.get("hf-cachesteer").__name__ == "CacheSteerLM"


class FolderManager:
    def __init__(self, folder=None):
        self.folder = folder


class ManagerWithoutLoad:
    """As in lm_eval 0.4.11, which cannot index our task files."""

    def __init__(self, include_path=None):
        self.folder = include_path


@pytest.mark.parametrize("manager", [FolderManager, ManagerWithoutLoad])
def test_a_task_manager_of_another_make_is_left_alone(monkeypatch, manager):
    from lm_eval_cachesteer.harness import registration

    monkeypatch.setattr("lm_eval.tasks.TaskManager", manager)
    with pytest.raises(RuntimeError, match=r"in another way than 0\.4\.12"):
        registration.register_tasks()
    assert manager("x").folder == "x"


def test_importing_the_package_is_light_and_never_downloads(tmp_path):
    code = (
        "import sys, lm_eval_cachesteer\nprint('torch' in sys.modules, lm_eval_cachesteer.__version__)\n"
        "import lm_eval_cachesteer.cli, lm_eval_cachesteer.steerer, lm_eval_cachesteer.harness.backend\n"
    )
    out = python(code, CACHESTEER_CACHE=str(tmp_path / "cache")).stdout.splitlines()
    assert out[0].startswith("False ")
    assert not (tmp_path / "cache").exists()


def test_unknown_attributes_are_errors():
    import lm_eval_cachesteer

    with pytest.raises(AttributeError, match="no attribute 'Steerer'"):
        _ = lm_eval_cachesteer.Steerer
