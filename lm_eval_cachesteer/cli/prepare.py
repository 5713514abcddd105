"""`cachesteer prepare`: obtain the embedded model ahead of time."""

from ..sources.embedded import ensure_embedded_model
from .output import AsJson, kept_clean, print_json


def prepare(as_json: AsJson = False) -> None:
    """Obtain and convert the embedded model (SmolLM2-135M-Instruct), once.

    Example: cachesteer prepare
    """
    with kept_clean(as_json):
        folder = ensure_embedded_model()
    if as_json:
        print_json({"path": str(folder)})
    else:
        print(folder)
