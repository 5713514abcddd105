"""The paper's ways of asking, each as a command line of the harness."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The paper's sampling (arXiv 2507.08799, section 4).
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 50}
COT_SUFFIX = "_cot"
ACTIVATION_MODEL = "steered"


@dataclass(frozen=True)
class Arm:
    """One way of asking.

    Attributes:
        name: What it is called; also its folder.
        model: The harness's model.
        arguments: Its model arguments.
        suffix: What the names of the tasks end in: "_cot" for those whose answers begin with a reasoning prompt.
        gen_kwargs: Generation arguments over the tasks' own.
        sampled: Whether answers are drawn as the paper draws them.
        vectors: SHA-256 of each of its steering vectors.
    """

    name: str
    model: str
    arguments: Mapping[str, Any]
    suffix: str = ""
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)
    sampled: bool = False
    vectors: Sequence[str] = ()


def arms(
    common: Mapping[str, Any],
    steering: Mapping[str, Any],
    offset: str | None,
    *,
    vectors: Sequence[str] = (),
    activation: Mapping[str, Any] | None = None,
    ours: Collection[str] = (),
    gen_kwargs: Mapping[str, Any] | None = None,
    sampled: bool = False,
) -> list[Arm]:
    """The paper's ways of asking: baseline, CoT prompt, cache steering, both, and activation steering.

    Args:
        common: Model arguments of all of them, such as pretrained and dtype.
        steering: The steering arguments.
        offset: The offset token that steered prompts end in; unsteered ones end in it as well.
        vectors: SHA-256 of each of the steering vectors.
        activation: Model arguments of the harness's `steered`; None to leave activation steering out.
        ours: Names of arguments that only hf-cachesteer takes; `steered` does not get them.
        gen_kwargs: Generation arguments over the tasks' own.
        sampled: Whether to ask in each way by sampling too.
    """
    plain = dict(common) | {"offset_token": offset or "none"}
    steered = dict(common) | dict(steering)
    given = dict(gen_kwargs or {})
    greedy = [
        Arm("baseline", "hf-cachesteer", plain, gen_kwargs=given),
        Arm("CoT prompt", "hf-cachesteer", plain, COT_SUFFIX, given),
        Arm("cache steering", "hf-cachesteer", steered, "", given, vectors=vectors),
        Arm("cache steering + CoT prompt", "hf-cachesteer", steered, COT_SUFFIX, given, vectors=vectors),
    ]
    if activation is not None:
        theirs = {name: value for name, value in common.items() if name not in ours}
        greedy.append(Arm("activation steering", ACTIVATION_MODEL, theirs | dict(activation), "", given))
    drawn = [
        Arm(f"{a.name}, sampled", a.model, a.arguments, a.suffix, given | SAMPLING, sampled=True, vectors=a.vectors)
        for a in greedy
    ]
    return greedy + drawn if sampled else greedy


def tasks_of(arm: Arm, tasks: Sequence[str], known: Collection[str]) -> list[str]:
    """The tasks an arm runs: those that exist in its variant.

    Args:
        arm: The arm.
        tasks: The study's tasks.
        known: All tasks of the harness.
    """
    return [task + arm.suffix for task in tasks if task + arm.suffix in known]


def command(arm: Arm, tasks: Sequence[str], folder: Path, options: Sequence[str] = ()) -> list[str]:
    """What follows `lm_eval` on the command line."""
    words = ["--model", arm.model, "--model_args", json.dumps(dict(arm.arguments)), "--tasks", ",".join(tasks)]
    if arm.gen_kwargs:
        words += ["--gen_kwargs", json.dumps(dict(arm.gen_kwargs))]
    return [*words, "--output_path", str(folder), "--log_samples", *options]


def folder_name(arm: Arm) -> str:
    """The folder of an arm: its name without spaces."""
    return arm.name.replace(", ", "-").replace(" + ", "-").replace(" ", "_")
