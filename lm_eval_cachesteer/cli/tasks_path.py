"""`cachesteer tasks-path`: where the shipped tasks lie."""

from ..sources.folders import tasks_folder
from .output import AsJson, print_json


def tasks_path(as_json: AsJson = False) -> None:
    """Print the folder of the shipped tasks, for `lm_eval --include_path`.

    Example: lm_eval --include_path "$(cachesteer tasks-path)" --tasks cachesteer_demo
    """
    if as_json:
        print_json({"path": str(tasks_folder())})
    else:
        print(tasks_folder())
