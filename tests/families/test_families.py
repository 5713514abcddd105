"""Every family of the support matrix: steered exactly as the oracle says, or refused; docs/support.md says which."""

import importlib.util
from pathlib import Path

import pytest
import torch
import transformers

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.steerer import KVSteerer

from ..conftest import make_vectors
from ..harness.support import generation
from .checks import FamilyResult, build, check, layers_with_keys, telling_tokenizer
from .configs import CHUNK, FAMILIES, is_known

ROOT = Path(__file__).parents[2]
REFUSED = {
    "mamba": (
        "mamba keeps no keys and values: all its layers are of kind linear_attention. KV cache steering edits those of "
        "a prompt: use a model with attention layers."
    ),
    "t5": (
        "t5 is an encoder-decoder model. KV cache steering edits the prompt's cache of a decoder-only model: use one, "
        "such as any AutoModelForCausalLM."
    ),
    "minimax": (
        "The cache of MiniMaxForCausalLM counts 0 tokens of a prompt of 43, so that what follows would not go on from "
        "it. Use a model whose cache counts every token of the prompt."
    ),
    "deepseek_v4": (
        "Layer 0 keeps the same numbers as keys and as values (DeepseekV4HCACache): one cannot be steered without the "
        "other. Use a model that keeps both."
    ),
}


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("make_support_matrix", ROOT / "tools" / "make_support_matrix.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def documented(tool):
    """The version of transformers that docs/support.md was made with, and its rows."""
    return tool.documented(tool.DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", FAMILIES)
def test_steering_is_exact_or_refused_and_documented(family, tool, documented):
    if not is_known(family):
        pytest.skip(f"transformers {transformers.__version__} does not know {family}")
    result = check(family)
    assert not result.failures
    version, rows = documented
    if version == transformers.__version__:  # others may refuse others
        assert result.refused == REFUSED.get(family, "")
        assert rows[family] == tool.row(result)


@pytest.mark.parametrize(
    ("family", "steered", "said"),
    [
        ("lfm2", [1, 3], "those without keys and values, 0, 2, are never steered"),
        ("gemma3n_text", [1, 2, 3], "layers 4, 5 attend to the keys of other layers and have none to steer"),
    ],
)
def test_layers_without_keys_of_their_own_are_named(family, steered, said, documented, caplog, tmp_path):
    """Convolutions, and layers that attend to the keys of other layers."""
    if documented[0] != transformers.__version__:
        pytest.skip("other versions of transformers may refuse these models, or say it in other words")
    model = build(family)
    make_vectors(model, layers=layers_with_keys(model)).save(tmp_path / "v.safetensors")
    lm = CacheSteerLM(
        pretrained=model, tokenizer=telling_tokenizer(), device="cpu", vectors=str(tmp_path / "v.safetensors"),
        c_values=2.0, offset_token="none", max_length=64,
    )  # fmt: skip
    lm.generate_until(generation(["abc"]), disable_tqdm=True)
    lm.generate_until(generation(["abcd"]), disable_tqdm=True)
    assert caplog.text.count(said) == 1
    assert lm.get_model_info()["steering"]["layers"] == steered


def test_every_family_is_documented(documented):
    _, rows = documented
    assert list(rows) == list(FAMILIES)


def test_failed_checks_show_in_the_table(tool):
    failures = {"generation, fast path": "2 of 7 differ", "likelihood, generate path": "1 of 8 differ"}
    result = FamilyResult("toy", "ToyForCausalLM", 5, steered=(1, 2, 4), failures=failures)
    assert tool.row(result) == (
        "toy", "ToyForCausalLM", "1-2, 4 of 5", "fast", "2 of 7 differ", "1 of 8 differ", "1 of 8 differ", "exact",
        "exact", "",
    )  # fmt: skip


def test_the_table_of_a_document_is_replaced_and_read_back(tool):
    document = f"Head.\n\n{tool.START}\nold\n{tool.END}\n\nTail.\n"
    cells = len(tool.COLUMNS) - 2
    rows = [("toy", "Toy", *["exact"] * cells), ("none", "None", *[""] * cells)]
    written = tool.with_table(document, rows)
    assert written.startswith("Head.\n") and written.endswith("Tail.\n") and "old" not in written
    assert tool.documented(written) == (transformers.__version__, {"toy": rows[0], "none": rows[1]})
    assert tool.with_table(written, rows) == written


def test_texts_longer_than_a_chunk_of_attention_are_refused_when_steered(tmp_path):
    """The last token of a chunk is not seen, in chunked layers, by what follows: an edit there would not act."""
    model = build("llama4_text")
    make_vectors(model).save(tmp_path / "v.safetensors")

    def load(max_length, **steering):
        return CacheSteerLM(model, tokenizer=telling_tokenizer(), device="cpu", max_length=max_length, **steering)

    steering = {"vectors": str(tmp_path / "v.safetensors"), "c_values": 2.0}
    assert load(CHUNK, **steering).plan.edits
    assert not load(CHUNK + 1).plan.edits
    assert not load(CHUNK + 1, **steering | {"c_keys": 0.0, "c_values": 0.0}).plan.edits
    with pytest.raises(ArgumentError, match=f"within chunks of {CHUNK} tokens.*Use max_length={CHUNK}"):
        load(CHUNK + 1, **steering)
    steerer = KVSteerer.from_pretrained(str(tmp_path / "v.safetensors"), model=model)
    prompt = torch.ones(1, CHUNK + 1, dtype=torch.long)
    with pytest.raises(ArgumentError, match=f"within chunks of {CHUNK} tokens"):
        steerer.steer(model, prompt, cv=2.0, max_new_tokens=1)
    assert steerer.steer(model, prompt[:, 1:], cv=2.0, max_new_tokens=1).shape == (1, CHUNK + 1)
