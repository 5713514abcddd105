"""One cell: a setting tried on part of the tasks' documents, through the harness, on a model that stays loaded."""

import hashlib
import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from ..errors import ArgumentError, SteeringError
from ..harness.arguments import SteeringArguments
from ..harness.backend import CacheSteerLM
from ..harness.manager import manager_of
from ..harness.processes import check_alone
from .grid import NUMBERS, TEXTS, WHOLE_NUMBERS, Setting
from .scores import figures_of, scores_of
from .search import DEVELOPMENT, HELD_OUT


@dataclass(frozen=True)
class Work:
    """What every cell does.

    Attributes:
        tasks: Names of the harness's tasks or groups.
        metric: "metric" or "metric,filter" to score by; None for the first one that says whether an answer is right.
        limit: Documents of each task, drawn with the seed; None for all.
        held_out: Share of them that is kept from the choice.
        seed: Seed of the draw and of the harness.
        chat: Whether prompts are chat-templated.
        fewshot: Number of few-shot examples; None for the tasks' own.
        gen_kwargs: Generation arguments over the tasks' own.
    """

    tasks: Sequence[str]
    metric: str | None = None
    limit: int | None = None
    held_out: float = 0.5
    seed: int = 0
    chat: bool = False
    fewshot: int | None = None
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)


class HarnessEvaluator:
    """Tries settings with one loaded model.

    Args:
        lm: The model; its steering is replaced.
        base: The steering arguments that stay, vectors among them.
        work: What every cell does.
        manager: The task manager, if there is one already.

    Raises:
        ArgumentError: A task is unknown, has too few documents to be split, the model has no chat template, or there
            are several processes.
    """

    def __init__(
        self, lm: CacheSteerLM, base: SteeringArguments, work: Work, manager: TaskManager | None = None
    ) -> None:
        self.lm, self.base, self.work = lm, base, work
        if work.chat and not getattr(lm.tokenizer, "chat_template", None):
            raise ArgumentError("The model's tokenizer has no chat template. Add --no-chat-template.")
        check_alone("A sweep", lm.world_size, "; sweep parts of the grid side by side, each into a folder of its own")
        self._manager = manager_of(work.tasks) if manager is None else manager
        self._tasks: dict[str, Any] = dict(self._manager.load(list(work.tasks))["tasks"])
        lm.steer(base)
        self._offset = lm.plan.offset_text
        self._measured = {"looping": "looping", "repetition": "repetition"}
        kinds = {term.vectors.metadata.kind for term in lm.plan.terms}
        if len(kinds) == 1:
            self._measured["adherence"] = kinds.pop()

    @cached_property
    def splits(self) -> dict[str, dict[str, list[int]]]:
        """Split -> task -> documents."""
        splits: dict[str, dict[str, list[int]]] = {}
        for name, task in self._tasks.items():
            order = list(range(len(list(task.eval_docs))))
            random.Random(self.work.seed).shuffle(order)  # noqa: S311 - a split, no secret
            order = order[: self.work.limit]
            held_out = round(len(order) * self.work.held_out)
            if not 0 < held_out < len(order):
                raise ArgumentError(
                    f"Task {name!r} has {len(order)} documents to try settings on, of which {held_out} would be held "
                    "out: both parts need one at least. Raise --limit, or choose another --held-out."
                )
            splits.setdefault(DEVELOPMENT, {})[name] = sorted(order[held_out:])
            splits.setdefault(HELD_OUT, {})[name] = sorted(order[:held_out])
        return splits

    def identity(self, setting: Setting, split: str) -> dict[str, Any]:
        """Everything that decides the outcome: model, steering, documents, prompts, versions."""
        self._steer(setting)
        return {
            "fingerprint": self.lm.fingerprint,
            "versions": self.lm.plan.summary()["versions"],
            "tasks": {name: self._contents[name] for name in sorted(self._tasks)},
            "documents": self.splits[split],
            "metric": self.work.metric,
            "seed": self.work.seed,
            "chat": self.work.chat,
            "fewshot": self.work.fewshot,
            "gen_kwargs": dict(self.work.gen_kwargs),
        }

    def evaluate(self, setting: Setting, split: str) -> dict[str, Any]:
        """Runs the harness.

        Raises:
            ArgumentError: A task does not report the metric, or not as one number for each document.
            SteeringError: No request was steered though the setting steers.
        """
        self._steer(setting)
        results = simple_evaluate(
            model=self.lm,
            tasks=list(self._tasks),
            task_manager=self._manager,
            samples=self.splits[split],
            num_fewshot=self.work.fewshot,
            apply_chat_template=self.work.chat,
            gen_kwargs=dict(self.work.gen_kwargs) or None,
            log_samples=True,
            bootstrap_iters=0,
            random_seed=self.work.seed,
            torch_random_seed=self.work.seed,
            fewshot_random_seed=self.work.seed,
        )
        counts = self.lm.counts.summary()
        if self.lm.plan.edits and not any(of["interventions"] for of in counts.values()):
            raise SteeringError(f"The setting {setting} steered no request of {', '.join(self._tasks)}.")
        scores: dict[str, float] = {}
        measures: dict[str, list[float]] = {}
        for name, samples in results["samples"].items():
            better = results["higher_is_better"].get(name) or {}
            scores |= scores_of(name, samples, better, self.work.metric)
            for measure, metric in self._measured.items():
                measures.setdefault(measure, []).extend(figures_of(samples, metric))
        edit = self.lm.plan.edit
        tensors = [] if edit is None else [*edit.keys.values(), *edit.values.values()]
        return {
            "scores": scores,
            "size": math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors)),
            "measures": {name: fmean(figures) for name, figures in measures.items() if figures},
            "counts": counts,
        }

    def _steer(self, setting: Setting) -> None:
        if setting:
            self.lm.steer(replace(self.base, **setting))
        else:  # the same prompts, offset token included; the same cell whatever the grid
            idle = {name: getattr(SteeringArguments, name) for name in (*NUMBERS, *WHOLE_NUMBERS, *TEXTS)}
            self.lm.steer(replace(self.base, **idle, offset_token=self._offset or "none"))

    @cached_property
    def _contents(self) -> dict[str, str]:
        """A hash of each task: its configuration and the documents used."""
        hashes = {}
        for name, task in self._tasks.items():
            documents = list(task.eval_docs)
            used = [documents[i] for split in self.splits.values() for i in split[name]]
            text = json.dumps([task.dump_config(), used], sort_keys=True, default=str)
            text = re.sub(r" at 0x[0-9a-f]+", "", text)  # where functions lie differs from process to process
            hashes[name] = hashlib.sha256(text.encode()).hexdigest()
        return hashes
