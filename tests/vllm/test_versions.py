"""Which versions of vLLM are taken."""

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.vllm import versions


@pytest.mark.parametrize("found", ["0.32", "0.32.0", "0.32.3+cpu"])
def test_supported_versions_pass(monkeypatch, found):
    monkeypatch.setattr(versions, "installed_version", lambda: found)
    assert versions.check_version() == found


@pytest.mark.parametrize("found", ["0.3.2", "0.25.1", "0.320.0", "0.33.0", "1.0", "dev"])
def test_others_are_named_with_what_is_supported(monkeypatch, found):
    monkeypatch.setattr(versions, "installed_version", lambda: found)
    with pytest.raises(ArgumentError, match=rf"vLLM {found} is not supported.*0\.32\.x"):
        versions.check_version()


def test_a_missing_vllm_is_said(monkeypatch):
    monkeypatch.setattr(versions.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ArgumentError, match=r"vLLM is not installed.*pip install 'lm-eval-cachesteer\[vllm\]'"):
        versions.check_version()
