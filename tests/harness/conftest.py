import pytest

from lm_eval_cachesteer.harness.backend import CacheSteerLM


@pytest.fixture
def backend(llama_folder):
    """Builds the backend on the tiny llama."""

    def build(**arguments):
        return CacheSteerLM(**({"pretrained": str(llama_folder), "device": "cpu", "batch_size": 4} | arguments))

    return build
