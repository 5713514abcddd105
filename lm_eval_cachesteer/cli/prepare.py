"""`cachesteer prepare`: obtain the embedded model ahead of time."""

from ..sources.embedded import ensure_embedded_model


def prepare() -> None:
    """Obtain and convert the embedded model (SmolLM2-135M-Instruct), once.

    Example: cachesteer prepare
    """
    print(ensure_embedded_model())
