"""From contrast items to the token rows of positive and negative prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError, ContrastError
from .contrast import ContrastItem, ContrastSet, Message, Prompt, ReadyPair
from .fewshot import choose_examples


@dataclass(frozen=True)
class TokenPair:
    """Token ids of a positive and a negative prompt that end in the same token."""

    positive: tuple[int, ...]
    negative: tuple[int, ...]


@dataclass(frozen=True)
class PromptSettings:
    """How contrast prompts are built.

    Attributes:
        fewshot: Few-shot examples in each prompt (the paper uses 5 to 12); ignored for ready pairs.
        selection: "random" or "similar", see `choose_examples`.
        seed: Seed of the random selection.
        chat: Whether prompts are chat conversations; None for whatever the tokenizer has a template for.
    """

    fewshot: int = 5
    selection: str = "random"
    seed: int = 0
    chat: bool | None = None

    def uses_chat(self, contrast: ContrastSet, tokenizer: Any) -> bool:
        """Whether the prompts of a set are chat conversations; ready pairs decide it by what they hold.

        Raises:
            ArgumentError: The prompts are chat conversations and the tokenizer has no chat template.
        """
        ready = [prompt for i in contrast.items if isinstance(i, ReadyPair) for prompt in (i.positive, i.negative)]
        has_template = bool(getattr(tokenizer, "chat_template", None))
        wanted = any(not isinstance(prompt, str) for prompt in ready) if ready else self.chat
        if wanted and not has_template:
            raise ArgumentError(
                f"The prompts of {contrast.name!r} are chat conversations, but the tokenizer has no chat template. "
                "Use --no-chat, or text prompts."
            )
        return has_template if wanted is None else wanted


def build_pairs(
    contrast: ContrastSet, tokenizer: Any, settings: PromptSettings, against: ContrastSet | None = None
) -> list[TokenPair]:
    """Builds the token rows of every contrast pair.

    The positive prompt's few-shot answers hold reasoning and answer, the negative prompt's the answer alone; the
    final question is the same (arXiv 2507.08799, section 3).

    Args:
        contrast: The contrast set.
        tokenizer: The model's tokenizer.
        settings: How prompts are built.
        against: A set with the same questions: the negative prompt's answers are its reasonings, and the positive
            prompt's are the reasonings alone. What both have in common, such as reasoning at all, cancels out; what
            is left is the form.

    Raises:
        ArgumentError: The settings do not fit the set or the tokenizer.
        ContrastError: A pair's prompts are equal, or end in different tokens, or `against` lacks a question.
    """
    chat = settings.uses_chat(contrast, tokenizer)
    pairs = []
    for number, (positive, negative) in enumerate(_prompts(contrast, settings, chat, against), start=1):
        pair = TokenPair(_encode(positive, tokenizer), _encode(negative, tokenizer))
        if pair.positive == pair.negative:
            raise ContrastError(
                f"Pair {number} of {contrast.name!r}: both prompts are the same, so nothing differs. Remove it."
            )
        if not pair.positive or not pair.negative or pair.positive[-1] != pair.negative[-1]:
            raise ContrastError(
                f"Pair {number} of {contrast.name!r}: the prompts end in different tokens, so their last tokens "
                "cannot be compared. End both with the same question or text."
            )
        pairs.append(pair)
    return pairs


def _prompts(
    contrast: ContrastSet, settings: PromptSettings, chat: bool, against: ContrastSet | None
) -> list[tuple[Prompt, Prompt]]:
    ready = [item for item in contrast.items if isinstance(item, ReadyPair)]
    if ready:
        if against is not None:
            raise ContrastError(
                f"{contrast.name!r} holds ready pairs, which have their negative already: no `against`."
            )
        return [(item.positive, item.negative) for item in ready]
    items = [item for item in contrast.items if isinstance(item, ContrastItem)]
    questions = [item.question for item in items]
    positive, negative = _shown_answers(items, against)
    write = _conversation if chat else _plain_text
    prompts = []
    for question, examples in zip(
        questions, choose_examples(questions, settings.fewshot, settings.selection, settings.seed), strict=True
    ):
        one, two = (write([(questions[j], shown[j]) for j in examples], question) for shown in (positive, negative))
        prompts.append((one, two))
    return prompts


def _shown_answers(items: Sequence[ContrastItem], against: ContrastSet | None) -> tuple[list[str], list[str]]:
    """What the positive and the negative prompt answer, item by item."""
    if against is None:
        return [f"{item.reasoning}\n{item.answer}" for item in items], [item.answer for item in items]
    others = {item.question: item.reasoning for item in against.items if isinstance(item, ContrastItem)}
    missing = [item.question for item in items if item.question not in others]
    if missing:
        raise ContrastError(
            f"{against.name!r} lacks {len(missing)} of the questions, the first is {missing[0]!r}. Name a set of the "
            "same questions."
        )
    return [item.reasoning for item in items], [others[item.question] for item in items]


def _conversation(examples: Sequence[tuple[str, str]], question: str) -> Prompt:
    turns: list[Message] = []
    for asked, answered in examples:
        turns.append({"role": "user", "content": asked})
        turns.append({"role": "assistant", "content": answered})
    return (*turns, {"role": "user", "content": question})


def _plain_text(examples: Sequence[tuple[str, str]], question: str) -> Prompt:
    shown = [f"Question: {asked}\nAnswer: {answered}\n\n" for asked, answered in examples]
    return "".join(shown) + f"Question: {question}\nAnswer:"


def _encode(prompt: Prompt, tokenizer: Any) -> tuple[int, ...]:
    if isinstance(prompt, str):
        return tuple(tokenizer.encode(prompt))
    text = tokenizer.apply_chat_template([dict(m) for m in prompt], tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer.encode(text, add_special_tokens=False))
