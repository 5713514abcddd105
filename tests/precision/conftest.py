from ..harness.conftest import backend  # noqa: F401
