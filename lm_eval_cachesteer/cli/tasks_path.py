"""`cachesteer tasks-path`: where the shipped tasks lie."""

from ..sources.folders import tasks_folder


def tasks_path() -> None:
    """Print the folder of the shipped tasks, for `lm_eval --include_path`.

    Example: lm_eval --include_path "$(cachesteer tasks-path)" --tasks cachesteer_demo
    """
    print(tasks_folder())
