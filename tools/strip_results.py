"""Leaves out of the harness's results what describes the machine and not the run, so that they can be committed.

python tools/strip_results.py gates/offline
"""

import json
import sys
from pathlib import Path
from typing import Any

OF_THE_MACHINE = ("pretty_env_info", "git_hash", "upper_git_hash", "config_source")


def main() -> None:
    """Strips every results file below the folders named."""
    for folder in map(Path, sys.argv[1:]):
        for file in folder.rglob("results_*.json"):
            strip(file)
        refuse_paths(folder)


def strip(file: Path) -> None:
    """Leaves out of a results file what describes the machine."""
    content = _without(json.loads(file.read_text(encoding="utf-8")))
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def refuse_paths(folder: Path, *others: str) -> None:
    """Stops if files still name this user's folder, the current one, or others."""
    for file in folder.rglob("*.json*"):
        text = file.read_text(encoding="utf-8")
        if any(str(place) in text for place in (*others, Path.home(), Path.cwd())):
            sys.exit(f"{file} names a folder of this machine. Leave it out of the results before they are committed.")


def _without(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without(value) for name, value in content.items() if name not in OF_THE_MACHINE}
    return [_without(value) for value in content] if isinstance(content, list) else content


if __name__ == "__main__":
    main()
