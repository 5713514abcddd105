"""Engines on the CPU, in this process, small. Tests that start one are skipped where vLLM is not installed."""

import gc
import importlib.util
import os

import pytest

from ..conftest import make_vectors
from .support import character_tokenizer, tiny_model

HAS_VLLM = importlib.util.find_spec("vllm") is not None
if HAS_VLLM:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


@pytest.fixture(scope="session")
def tiny():
    """A model whose heads are wide enough for vLLM's kernels."""
    return tiny_model()


@pytest.fixture(scope="session")
def tiny_folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tiny.save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def shelf(tiny, tmp_path_factory):
    """A folder of vectors: one, two (random), and noted, which records an offset token."""
    folder = tmp_path_factory.mktemp("shelf")
    make_vectors(tiny, seed=1, model_id="tiny").save(folder / "one.safetensors")
    make_vectors(tiny, seed=2, model_id="tiny").save(folder / "two.safetensors")
    noted = {"offset_token": "\n", "offset_token_id": character_tokenizer().encode("\n")[0]}
    make_vectors(tiny, seed=1, model_id="tiny", **noted).save(folder / "noted.safetensors")
    return folder


@pytest.fixture(scope="module")
def start(tiny_folder):
    """Starts engines of `vllm.LLM`; each ends the one before."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory

    running = []

    def end():
        while running:
            engine = running.pop()
            engine.llm_engine.engine_core.shutdown()
            del engine
        gc.collect()
        cleanup_dist_env_and_memory()

    def build(**arguments):
        end()
        settings = {"model": str(tiny_folder), "dtype": "float32", "enforce_eager": True, "seed": 0, "block_size": 32}
        running.append(LLM(**(settings | arguments)))
        return running[0]

    yield build
    end()
