"""A wheel, installed into a fresh environment away from the checkout."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A new virtual environment that has the wheel, and borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # Folders named in a .pth file are searched, but their own .pth files are not run: no hook comes from there.
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder, python, site_packages


def run(fresh, code):
    folder, python, _ = fresh
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, check=True, env=environment
    ).stdout.split()


def test_model_tasks_and_vectors_resolve_by_name(fresh):
    code = """
import lm_eval.models, lm_eval_cachesteer
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from lm_eval_cachesteer import KVSteerer
print(lm_eval_cachesteer.__file__)
print(get_model("hf-cachesteer").__name__)
task = TaskManager().load(["cachesteer_demo"])["tasks"]["cachesteer_demo"]
print(len(task.test_docs()))
print(KVSteerer.from_pretrained("stepwise").terms[0].vectors.metadata.kind)
"""
    where, model, questions, kind = run(fresh, code)[-4:]
    assert Path(where).is_relative_to(fresh[2])
    assert (model, questions, kind) == ("CacheSteerLM", "50", "stepwise")


def test_uninstalling_removes_the_hook(fresh):
    _, python, site_packages = fresh
    assert (site_packages / "cachesteer.pth").is_file()
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "lm-eval-cachesteer"], check=True)
    assert not list(site_packages.glob("*cachesteer*"))
