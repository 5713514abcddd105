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


def build_pairs(contrast: ContrastSet, tokenizer: Any, settings: PromptSettings) -> list[TokenPair]:
    """Builds the token rows of every contrast pair.

    The positive prompt's few-shot answers hold reasoning and answer, the negative prompt's the answer alone; the
    final question is the same (METHOD: arXiv 2507.08799, section 3).

    Raises:
        ArgumentError: The settings do not fit the set or the tokenizer.
        ContrastError: A pair's prompts are equal, or end in different tokens.
    """
    chat = settings.uses_chat(contrast, tokenizer)
    pairs = []
    for number, (positive, negative) in enumerate(_prompts(contrast, settings, chat), start=1):
        pair = TokenPair(_encode(positive, tokenizer), _encode(negative, tokenizer))
        if pair.positive == pair.negative:
            raise ContrastError(f"Pair {number} of {contrast.name!r}: both prompts are the same; nothing to contrast.")
        if not pair.positive or not pair.negative or pair.positive[-1] != pair.negative[-1]:
            raise ContrastError(
                f"Pair {number} of {contrast.name!r}: the prompts end in different tokens, so their last tokens "
                "cannot be compared. End both with the same question or text."
            )
        pairs.append(pair)
    return pairs


def _prompts(contrast: ContrastSet, settings: PromptSettings, chat: bool) -> list[tuple[Prompt, Prompt]]:
    ready = [item for item in contrast.items if isinstance(item, ReadyPair)]
    if ready:
        return [(item.positive, item.negative) for item in ready]
    items = [item for item in contrast.items if isinstance(item, ContrastItem)]
    chosen = choose_examples([item.question for item in items], settings.fewshot, settings.selection, settings.seed)
    write = _conversation if chat else _plain_text
    return [
        tuple(write([items[j] for j in examples], item.question, reasoning) for reasoning in (True, False))  # type: ignore[misc]
        for item, examples in zip(items, chosen, strict=True)
    ]


def _shown_answer(item: ContrastItem, reasoning: bool) -> str:
    return f"{item.reasoning}\n{item.answer}" if reasoning else item.answer


def _conversation(examples: Sequence[ContrastItem], question: str, reasoning: bool) -> tuple[Message, ...]:
    turns: list[Message] = []
    for item in examples:
        turns.append({"role": "user", "content": item.question})
        turns.append({"role": "assistant", "content": _shown_answer(item, reasoning)})
    return (*turns, {"role": "user", "content": question})


def _plain_text(examples: Sequence[ContrastItem], question: str, reasoning: bool) -> str:
    shown = [f"Question: {item.question}\nAnswer: {_shown_answer(item, reasoning)}\n\n" for item in examples]
    return "".join(shown) + f"Question: {question}\nAnswer:"


def _encode(prompt: Prompt, tokenizer: Any) -> tuple[int, ...]:
    if isinstance(prompt, str):
        return tuple(tokenizer.encode(prompt))
    text = tokenizer.apply_chat_template([dict(m) for m in prompt], tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer.encode(text, add_special_tokens=False))
