"""What sets the runs of one model and task apart, in a few words."""

from collections.abc import Sequence
from typing import Any

from .figures import TaskFigures
from .runs import Run

# How tasks end that ask the documents of another task, with the answer begun by a chain-of-thought prompt.
COT = "_cot"
# What the model's name and the label of a run already say.
_TOLD = frozenset({"pretrained", "vectors", "c_keys", "c_values"})
_LONGEST = 40


def plain_task(task: str) -> str:
    """The task without the chain-of-thought prompt."""
    return task.removesuffix(COT)


def configurations(runs: Sequence[TaskFigures], task: str) -> list[str]:
    """Describes runs that stand side by side: "stepwise, c_values 5, CoT prompt".

    Named are the steering, the prompt, few-shot examples, generation arguments and the seed of sampled responses; other
    settings only where the runs differ in them.

    Args:
        runs: What each run says of the task.
        task: The plain task.
    """
    settings = [_settings(one.run) for one in runs]
    names = dict.fromkeys(name for known in settings for name in known)
    differing = [name for name in names if any(known.get(name) != settings[0].get(name) for known in settings)]
    return [
        ", ".join([*_always(one, task), *(f"{name}={_short(known[name])}" for name in differing if name in known)])
        for one, known in zip(runs, settings, strict=True)
    ]


def _always(one: TaskFigures, task: str) -> list[str]:
    run = one.run
    parts = [run.label]
    if one.task != task:
        parts.append("CoT prompt")
    if shots := run.of_task("n-shot", one.task):
        parts.append(f"{shots}-shot")
    arguments = run.config.get("gen_kwargs")
    if isinstance(arguments, dict):
        parts += [f"{name}={_short(value)}" for name, value in arguments.items()]
    elif arguments:  # as older versions of the harness wrote them
        parts.append(str(arguments))
    if _is_sampled(one):
        seed = run.config.get("torch_seed")
        parts.append("sampled" if seed is None else f"seed {seed}")
    return parts


def _is_sampled(one: TaskFigures) -> bool:
    """Whether responses were drawn; the task's settings hold those of the command line too."""
    task = one.run.of_task("configs", one.task)
    settings = task.get("generation_kwargs") if isinstance(task, dict) else None
    if not isinstance(settings, dict):
        return False
    return bool(settings.get("do_sample", settings.get("temperature")))


def _settings(run: Run) -> dict[str, Any]:
    """Settings that are named only where runs differ in them."""
    settings = {
        "backend": run.config.get("model"),
        "apply_chat_template": bool(run.content.get("chat_template")),
        "system_instruction": run.content.get("system_instruction"),
        **{name: value for name, value in run.model_args.items() if name not in _TOLD},
    }
    return {name: value for name, value in settings.items() if value is not None}


def _short(value: Any) -> str:
    """A setting's value, without the beginning of a long one: paths differ at their end."""
    text = str(value).replace("\n", "\\n")
    return text if len(text) <= _LONGEST else f"...{text[3 - _LONGEST :]}"
