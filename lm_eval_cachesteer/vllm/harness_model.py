"""The harness's own vLLM model."""

import importlib
from importlib import metadata
from types import ModuleType

from .versions import check_version


def harness_module() -> ModuleType:
    """Imports the harness's module, whichever package vLLM comes from.

    The module asks for the version of the package `vllm`; builds for CPUs come from a package of another name.

    Raises:
        ArgumentError: vLLM is missing, or not a supported version.
    """
    found = check_version()
    from vllm import LLM  # noqa: F401 - vLLM itself must see the packages as they are: it finds the platform by them
    from vllm.platforms import current_platform  # noqa: F401

    version = metadata.version

    def version_of(distribution_name: str) -> str:
        return found if distribution_name == "vllm" else version(distribution_name)

    metadata.version = version_of
    try:
        return importlib.import_module("lm_eval.models.vllm_causallms")
    finally:
        metadata.version = version
