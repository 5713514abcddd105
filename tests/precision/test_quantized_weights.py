"""Weights in 8 and 4 bits, quantized by bitsandbytes or torchao while loading: steered as the oracle steers them.

Neither package is needed by this one: without them these tests are skipped, but for what is said of bad arguments.
"""

import importlib.util

import pytest
import torch
from torch import nn
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from lm_eval_cachesteer.engine.packing import packable_sizes
from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.harness.weights import altered_weights, take_quantization

from .. import oracle
from ..conftest import HEADS, SIZES, TOKENS, build_model, make_vectors, random_texts
from ..harness.support import counts, generation, likelihood
from .support import answering_in_tokens, shortfalls, tokens_of

needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs the package bitsandbytes"
)
needs_torchao = pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="needs the package torchao")

TEXTS = random_texts(6, 3, 40)
# More than 64 new tokens, from where on weights are laid out anew for decode steps.
NEW_TOKENS = 70

# Model arguments, and how far rounding moves a log-probability: passes over one token use other kernels of 4-bit
# weights than passes over several.
BITSANDBYTES = {
    "4 bit": ({"load_in_4bit": True}, 0.1),
    "nf4": ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}, 0.1),
    "4 bit in bfloat16": ({"load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16", "dtype": "bfloat16"}, 0.4),
    "8 bit": ({"load_in_8bit": True, "llm_int8_threshold": 0.0}, 1e-2),
    "mapping": ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, 0.1),
}


def torchao_config(name):
    from torchao import quantization
    from transformers import TorchAoConfig

    settings = {"IntxWeightOnlyConfig": {"weight_dtype": torch.int4, "granularity": quantization.PerGroup(32)}}
    return TorchAoConfig(getattr(quantization, name)(**settings.get(name, {})))


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    """A llama wide enough for blocks of 64 weights, and its vectors."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "head_dim": 32, "intermediate_size": 256}
    model = LlamaForCausalLM(LlamaConfig(**(SIZES | HEADS | TOKENS | sizes))).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25 if "embed" not in name else 1.0)
    folder = tmp_path_factory.mktemp("wide")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    vectors = make_vectors(model)
    vectors.save(folder / "v.safetensors")
    return folder, vectors


def check(lm, tokenizer, vectors, close):
    """Steered answers and likelihoods of a backend against the oracle on the backend's own model."""
    keys = {i: 0.3 * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: 1.7 * vectors.values[i] for i in (1, 2, 3)}
    prompts = [tokenizer.encode(text) for text in TEXTS]
    answers = answering_in_tokens(lm).generate_until(generation(TEXTS, max_gen_toks=NEW_TOKENS), disable_tqdm=True)
    worst = [
        max(
            max(shortfalls(lm.model, prompt, tokens_of(answer), *edit))
            for prompt, answer in zip(prompts, answers, strict=True)
        )
        for edit in ((keys, values), ({}, {}))
    ]
    assert worst[0] <= close < worst[1]
    found = lm.loglikelihood(likelihood([(text, " yes") for text in TEXTS]), disable_tqdm=True)
    expected = [oracle.loglikelihood(lm.model, p, tokenizer.encode(" yes"), keys, values)[0] for p in prompts]
    assert [logprob for logprob, _ in found] == pytest.approx(expected, abs=close)
    assert counts(lm, "generate_until") == counts(lm, "loglikelihood") == (6, 6, 0)


@pytest.fixture
def vectors(checkpoint):
    return checkpoint[1]


@pytest.fixture
def quantized(backend, checkpoint):
    folder, _ = checkpoint

    def build(**arguments):
        steering = {"vectors": str(folder / "v.safetensors"), "c_keys": 0.3, "c_values": 1.7}
        return backend(**({"pretrained": str(folder)} | steering | arguments))

    return build


@needs_bitsandbytes
@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize("kind", BITSANDBYTES)
def test_bitsandbytes(quantized, tokenizer, vectors, kind, engine):
    arguments, close = BITSANDBYTES[kind]
    lm = quantized(engine=engine, **arguments)
    assert type(lm.model.model.layers[0].mlp.up_proj).__module__.startswith("bitsandbytes")
    check(lm, tokenizer, vectors, close)


@needs_bitsandbytes
def test_bitsandbytes_with_outliers_row_by_row(quantized, tokenizer, vectors):
    """By default it keeps columns in 16 bits that are large in any token of a pass: other batches, other answers."""
    lm = quantized(engine="generate", batch_size=1, load_in_8bit=True)
    keys = {i: 0.3 * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: 1.7 * vectors.values[i] for i in (1, 2, 3)}
    answers = answering_in_tokens(lm).generate_until(generation(TEXTS), disable_tqdm=True)
    for text, answer in zip(TEXTS, answers, strict=True):
        assert max(shortfalls(lm.model, tokenizer.encode(text), tokens_of(answer), keys, values)) <= 1e-2


@needs_torchao
@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize(
    ("kind", "close"),
    [
        ("Int8WeightOnlyConfig", 1e-2),
        ("IntxWeightOnlyConfig", 1e-2),
        ("Int8DynamicActivationInt8WeightConfig", 0.5),  # activations are rounded too, which amplifies rounding
    ],
)
def test_torchao(quantized, tokenizer, vectors, kind, close, engine):
    lm = quantized(engine=engine, quantization_config=torchao_config(kind))
    assert type(lm.model.model.layers[0].mlp.up_proj.weight) is not nn.Parameter
    check(lm, tokenizer, vectors, close)


@needs_bitsandbytes
def test_quantization_belongs_to_the_fingerprint(quantized):
    found = {quantized(**arguments).fingerprint for arguments, _ in BITSANDBYTES.values()}
    assert len(found | {quantized().fingerprint}) == len(BITSANDBYTES)  # "mapping" asks for what "4 bit" asks for


def test_a_loaded_models_quantization_and_adapters_are_described():
    model = build_model("llama")
    assert altered_weights(model) == {}
    model.config.quantization_config = BitsAndBytesConfig()
    described = altered_weights(model)
    assert described["quantization"]["quant_method"] == "bitsandbytes"


def test_weights_of_other_tensor_types_are_not_laid_out_anew():
    class Quantized(torch.Tensor):
        pass

    layer = nn.Linear(8, 8)
    assert bool(packable_sizes(layer, 4)) == hasattr(torch.ops.mkl, "_mkl_linear")
    layer.weight = nn.Parameter(torch.randn(8, 8).as_subclass(Quantized))
    assert not packable_sizes(layer, 4)


class TestArguments:
    def test_without_any_nothing_is_taken(self):
        arguments = {"dtype": "float32", "load_in_8bit": False}
        assert take_quantization(arguments) is None
        assert arguments == {"dtype": "float32"}

    def test_an_object_is_handed_on(self):
        config = BitsAndBytesConfig()
        arguments = {"quantization_config": config, "dtype": "float32"}
        assert take_quantization(arguments) is config
        assert arguments == {"dtype": "float32"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"load_in_8bit": True, "load_in_4bit": True}, "given with load_in_8bit and load_in_4bit. Set one of"),
            ({"bnb_4bit_quant_type": "nf4"}, "bnb_4bit_quant_type given with neither load_in_8bit nor load_in_4bit"),
            ({"load_in_4bit": True, "quantization_config": {}}, "both say how weights are quantized"),
            ({"quantization_config": {"quant_method": "magic"}}, "quantization_config=.* is not one of transformers"),
        ],
    )
    def test_contradictions_are_refused(self, backend, arguments, message):
        with pytest.raises(ArgumentError, match=message):
            backend(**arguments)

    @pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
    @pytest.mark.parametrize("name", ["load_in_8bit", "load_in_4bit"])
    def test_a_missing_package_is_named(self, backend, name):
        with pytest.raises(ArgumentError, match=f"{name}=True needs the package bitsandbytes. Install it"):
            backend(**{name: True})

    def test_a_loaded_model_is_not_quantized_in_silence(self, backend, tokenizer):
        with pytest.raises(ArgumentError, match="A loaded model cannot be quantized by model arguments"):
            backend(pretrained=build_model("llama"), tokenizer=tokenizer, quantization_config=BitsAndBytesConfig())
