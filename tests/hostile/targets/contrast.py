"""Contrast sets, and files of prompts."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lm_eval_cachesteer.cli.calibrate import read_prompts
from lm_eval_cachesteer.core.contrast import ContrastItem, ContrastSet, Prompt, ReadyPair

from ..cases import EDITS, JSON_VALUES, RAW_JSON, changes_of, edited, replaced
from ..property import tried

_ITEMS = (
    {"question": "Q?", "reasoning": "R.", "answer": "A", "id": "a-1"},
    {"query": "Q2?", "steps": ["one", "two"], "solution": 7},
    {"positive": "p", "negative": "n"},
    {"positive": [{"role": "user", "content": "p"}], "negative": [{"role": "user", "content": "n"}]},
    {"prompt": "What melts ice?"},
)
_OF_ONE_KIND = st.sampled_from(((0, 1), (2, 3), (4,), (0, 1, 2, 3, 4)))


@st.composite
def _lines(draw: Any) -> bytes:
    lines, kinds = [], draw(_OF_ONE_KIND)
    for _ in range(draw(st.integers(0, 4))):
        item = replaced(_ITEMS[draw(st.sampled_from(kinds))], draw(changes_of(JSON_VALUES, 2)))
        raw = draw(st.integers(0, 9)) == 0
        lines.append(draw(RAW_JSON) if raw else json.dumps(item, ensure_ascii=draw(st.booleans())))
    content = draw(st.sampled_from(("\n", "\r\n", "\n\n", "\u2028"))).join(lines).encode(errors="surrogatepass")
    return edited(content, draw(EDITS), (b"\xff", b"\n", b'"', b"{")) if draw(st.integers(0, 4)) == 0 else content


CASES = _lines()


def check(content: bytes, folder: Path) -> None:
    """Sets that are read are of one kind of items, whose texts can be given to a tokenizer."""
    path = folder / "set.jsonl"
    path.write_bytes(content)
    contrast = tried(lambda: ContrastSet.read(path))
    if contrast is not None:
        assert len({type(item) for item in contrast.items}) == 1
        for item in contrast.items:
            if isinstance(item, ContrastItem):
                texts = [item.question, item.reasoning, item.answer]
                assert all(text.strip() for text in texts)
            else:
                assert isinstance(item, ReadyPair)
                texts = [*_texts_in(item.positive), *_texts_in(item.negative)]
            assert all(isinstance(text.encode(), bytes) for text in texts)
        assert contrast.only("*").items == contrast.items
        tried(lambda: contrast.only("a-[!x"))
    prompts = tried(lambda: read_prompts(path))
    assert prompts is None or (prompts and all(prompt.encode() for prompt in prompts))


def _texts_in(prompt: Prompt) -> list[str]:
    return [prompt] if isinstance(prompt, str) else [text for message in prompt for text in message.values()]
