"""Tiny random-weight models and a byte-level tokenizer, built from configurations: nothing is downloaded."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import random
import string
from importlib import import_module

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from lm_eval_cachesteer.core.architecture import Architecture, text_sha256
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.vectors import SteeringVectors

from . import oracle

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SIZES = {"vocab_size": 258, "hidden_size": 32, "num_hidden_layers": 4, "max_position_embeddings": 256}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64}
TOKENS = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 257}

CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES, **HEADS, **TOKENS),
    "gpt2": lambda: GPT2Config(vocab_size=258, n_embd=32, n_layer=4, n_head=4, n_positions=256, **TOKENS),
    "gemma3_text": lambda: Gemma3TextConfig(
        **SIZES, **HEADS, **TOKENS, tie_word_embeddings=False, sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * 2,
    ),
    "lfm2": lambda: Lfm2Config(
        **SIZES, **TOKENS, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
        layer_types=["conv", "full_attention", "conv", "full_attention"],
    ),
}  # fmt: skip


def build_model(kind: str, seed: int = 0):
    """A tiny model with random weights."""
    if kind == "lfm2" and hasattr(import_module("transformers.models.lfm2.modeling_lfm2"), "Lfm2HybridConvCache"):
        pytest.skip("this transformers keeps hybrid models in caches of another kind, which are refused")
    torch.manual_seed(seed)
    return random_weights(AutoModelForCausalLM.from_config(CONFIGS[kind](), dtype=torch.float32))


def random_weights(model):
    """Gives a model weights that are large enough for clear preferences between tokens."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25 if "embed" not in name and "wte" not in name else 1.0)
    return model.eval()


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte; the last two are <bos> and <eos>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate(alphabet)} | {"<bos>": 256, "<eos>": 257}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>", model_max_length=256
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


@pytest.fixture(scope="session")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture(scope="session")
def llama():
    return build_model("llama")


@pytest.fixture(scope="session")
def llama_folder(llama, tokenizer, tmp_path_factory):
    """The tiny llama as a checkpoint that `pretrained=` can load."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-llama"
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).encode("a\n") == tokenizer.encode("a\n")
    return folder


def make_vectors(model, tokenizer=None, *, seed=0, scale=1.0, layers=None, **metadata) -> SteeringVectors:
    """Random steering vectors for a model, with complete metadata."""
    available = range(model.config.get_text_config().num_hidden_layers) if layers is None else layers
    keys, values = oracle.draw_vectors(model, available, seed, scale)
    settings = {
        "kind": "test",
        "model_id": "tiny-llama",
        "architecture": Architecture.of(model.config),
        "chat_template_sha256": text_sha256(tokenizer.chat_template) if tokenizer is not None else "",
        "recommended_c_values": 1.0,
    }
    return SteeringVectors(keys, values, VectorMetadata(**(settings | metadata)))


@pytest.fixture(scope="session")
def vectors(llama):
    return make_vectors(llama)


@pytest.fixture(scope="session")
def vectors_file(vectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "random.safetensors"
    vectors.save(path)
    return path


def random_texts(count, shortest, longest, seed=0):
    """Texts of many lengths, so that batches are ragged."""
    generator = random.Random(seed)
    letters = string.ascii_letters + " .,?"
    return ["".join(generator.choices(letters, k=generator.randint(shortest, longest))) for _ in range(count)]


@pytest.fixture(scope="session")
def embedded_folder():
    """The embedded model, prepared once in the user's cache (this one fixture may use the network)."""
    from lm_eval_cachesteer.sources import embedded

    offline = os.environ.pop("HF_HUB_OFFLINE", None)
    try:
        return embedded.ensure_embedded_model()
    finally:
        if offline is not None:
            os.environ["HF_HUB_OFFLINE"] = offline
