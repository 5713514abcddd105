"""The paper's comparison as runs of the harness: ways of asking, and the command line of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ArgumentError
from .files import write_atomically

# The paper's sampling (arXiv 2507.08799, section 4).
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 50}
COT_SUFFIX = "_cot"


@dataclass(frozen=True)
class Arm:
    """One way of asking.

    Attributes:
        name: What it is called; also its folder.
        model: The harness's model.
        arguments: Its model arguments.
        suffix: What the names of the tasks end in: "_cot" for those whose answers begin with a reasoning prompt.
        gen_kwargs: Generation arguments over the tasks' own.
    """

    name: str
    model: str
    arguments: Mapping[str, Any]
    suffix: str = ""
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)


def arms(
    common: Mapping[str, Any],
    steering: Mapping[str, Any],
    offset: str | None,
    activation: Mapping[str, Any] | None,
    sampled: bool,
) -> list[Arm]:
    """The paper's ways of asking: baseline, CoT prompt, cache steering, both, and activation steering.

    Args:
        common: Model arguments of all of them, such as pretrained and dtype.
        steering: The steering arguments.
        offset: The offset token that steered prompts end in; unsteered ones end in it as well.
        activation: Model arguments of the harness's `steered`; None to leave activation steering out.
        sampled: Whether to ask in each way by sampling too.
    """
    plain = dict(common) | ({"offset_token": offset} if offset else {})
    steered = dict(common) | dict(steering)
    greedy = [
        Arm("baseline", "hf-cachesteer", plain),
        Arm("CoT prompt", "hf-cachesteer", plain, COT_SUFFIX),
        Arm("cache steering", "hf-cachesteer", steered),
        Arm("cache steering + CoT prompt", "hf-cachesteer", steered, COT_SUFFIX),
    ]
    if activation is not None:
        greedy.append(Arm("activation steering", "steered", dict(common) | dict(activation)))
    if not sampled:
        return greedy
    return greedy + [Arm(f"{a.name}, sampled", a.model, a.arguments, a.suffix, SAMPLING) for a in greedy]


def tasks_of(arm: Arm, tasks: Sequence[str], known: Sequence[str]) -> list[str]:
    """The tasks an arm runs: those that exist in its variant.

    Args:
        arm: The arm.
        tasks: The study's tasks.
        known: All tasks of the harness.

    Raises:
        ArgumentError: A task of the study does not exist.
    """
    names = set(known)
    unknown = [task for task in tasks if task not in names]
    if unknown:
        raise ArgumentError(f"Unknown task {', '.join(map(repr, unknown))}. `lm_eval ls tasks` lists all.")
    return [task + arm.suffix for task in tasks if task + arm.suffix in names]


def command(arm: Arm, tasks: Sequence[str], folder: Path, options: Sequence[str] = ()) -> list[str]:
    """What follows `lm_eval` on the command line."""
    words = ["--model", arm.model, "--model_args", json.dumps(dict(arm.arguments)), "--tasks", ",".join(tasks)]
    if arm.gen_kwargs:
        words += ["--gen_kwargs", json.dumps(dict(arm.gen_kwargs))]
    return [*words, "--output_path", str(folder), "--log_samples", *options]


class Record:
    """Which arms of a study are finished: each leaves the command that made it in its folder.

    Args:
        folder: The study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def folder_of(self, arm: Arm) -> Path:
        """Where an arm's results go."""
        return self.folder / arm.name.replace(", ", "-").replace(" + ", "-").replace(" ", "_")

    def is_finished(self, arm: Arm, words: Sequence[str]) -> bool:
        """Whether this very command has run to its end."""
        try:
            return bool(json.loads((self.folder_of(arm) / "command.json").read_text(encoding="utf-8")) == list(words))
        except (FileNotFoundError, ValueError):
            return False

    def finish(self, arm: Arm, words: Sequence[str]) -> None:
        """Notes that a command has run to its end."""
        content = json.dumps(list(words), indent=2) + "\n"
        write_atomically(self.folder_of(arm) / "command.json", content.encode())
