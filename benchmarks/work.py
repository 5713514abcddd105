"""The work to be timed: requests as the harness makes them, from its own tasks or from the shipped questions."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.samplers import FirstNSampler
from lm_eval.tasks import TaskManager

from lm_eval_cachesteer.sources.folders import tasks_folder

# A folder with the hub layout of openai/gsm8k and allenai/ai2_arc; without it the shipped offline questions are used.
HUB = Path(os.environ.get("CACHESTEER_HUB", "../shared/hub"))


class Work:
    """Builds requests; the same ones for every model.

    Args:
        lm: Any of the models; its chat template and tokenizer are used.
    """

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.from_hub = (HUB / "openai" / "gsm8k").is_dir()
        self._manager: TaskManager | None = None

    @property
    def source(self) -> str:
        """Where the items come from, for the report."""
        return "items of the hub's datasets" if self.from_hub else "shipped offline items"

    def word_problems(self, count: int, *, shots: int = 0, repeats: int = 1, **gen_kwargs: Any) -> list[Instance]:
        """Generation requests: GSM8K, chat-templated; with 8 shots the harness's `gsm8k_cot`.

        Args:
            count: Number of questions.
            shots: 0 or 8.
            repeats: How often each is asked.
            **gen_kwargs: Override the task's generation arguments.
        """
        if self.from_hub:
            task = "gsm8k_cot" if shots else "gsm8k"
            requests = self._of_task(task, count, shots, chat=True)
        else:
            requests = self._offline_word_problems(count, shots)
        return [
            Instance("generate_until", {}, (request.args[0], dict(request.args[1]) | gen_kwargs), i)
            for i, request in enumerate(r for r in requests for _ in range(repeats))
        ]

    def choices(self, count: int, *, shots: int, fixed: bool = False) -> list[Instance]:
        """Loglikelihood requests: ARC-Challenge, four for each question.

        Args:
            count: Number of questions.
            shots: Number of few-shot examples.
            fixed: Whether all questions have the same examples, as in MMLU, instead of examples drawn for each.
        """
        if self.from_hub:
            return self._of_task("arc_challenge", count, shots, chat=False, fixed=fixed)
        return self._offline_choices(count, shots, fixed)

    def _of_task(self, name: str, count: int, shots: int, *, chat: bool, fixed: bool = False) -> list[Instance]:
        self._manager = self._manager or TaskManager()
        with _working_in(HUB):
            loaded = self._manager.load([name])["tasks"][name]
        loaded.set_config("num_fewshot", shots)
        if fixed:
            loaded.sampler = FirstNSampler(list(loaded.fewshot_docs()))
        loaded.set_fewshot_seed(1234)
        loaded.build_all_requests(
            limit=count,
            apply_chat_template=chat,
            chat_template=self.lm.apply_chat_template if chat else None,
            tokenizer_name="",
        )
        return list(loaded.instances)

    # Without the hub --------------------------------------------------------------------------------------------

    def _offline_word_problems(self, count: int, shots: int) -> list[Instance]:
        items = _offline("word_problems.jsonl", count + shots)
        shown = "".join(f"Q: {item['question']}\nA: The answer is {item['answer']}.\n\n" for item in items[:shots])
        contexts = [
            self.lm.apply_chat_template([{"role": "user", "content": f"{shown}Q: {item['question']}\nA:"}])
            for item in items[shots:]
        ]
        settings = {"until": ["Q:"], "do_sample": False}
        return [Instance("generate_until", {}, (context, settings), i) for i, context in enumerate(contexts)]

    def _offline_choices(self, count: int, shots: int, fixed: bool) -> list[Instance]:
        items = _offline("choice.jsonl", count + shots)
        shown = [
            f"Question: {item['question']}\nAnswer: {item['choices']['ABCD'.index(item['answer'])]}\n\n"
            for item in items
        ]
        requests = []
        for i, item in enumerate(items[:count]):
            examples = "".join(shown[count:] if fixed else (shown[i + 1 :] + shown[:i])[:shots])
            context = f"{examples}Question: {item['question']}\nAnswer:"
            requests += [Instance("loglikelihood", {}, (context, f" {choice}"), i) for choice in item["choices"]]
        return requests


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _offline(name: str, count: int) -> Sequence[dict[str, Any]]:
    lines = (tasks_folder() / "offline" / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]
