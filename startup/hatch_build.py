"""Build hook: an editable install takes the start-up hook only; tasks and vectors stay in the checkout."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

START_UP_FILES = {
    "startup/_cachesteer_startup.py": "_cachesteer_startup.py",
    "startup/cachesteer.pth": "cachesteer.pth",
}


class EditableStartUpHook(BuildHookInterface):
    """Replaces the wheel's forced inclusions for editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "editable" or "standard"."""
        if version == "editable":
            build_data["force_include_editable"] = START_UP_FILES
