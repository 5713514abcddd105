"""`peft=` and `delta=`: steering a model with an adapter equals steering the merged model."""

import logging

import pytest
import torch

from lm_eval_cachesteer import KVSteerer
from lm_eval_cachesteer.errors import ArgumentError

from ..conftest import build_model, random_texts
from ..harness.support import counts, generation, likelihood, rolling

peft = pytest.importorskip("peft", reason="adapters need the package peft, which comes with lm_eval[hf]")

TEXTS = [*random_texts(6, 2, 40), *(random_texts(1, 30, 30, seed=3)[0] + text for text in random_texts(3, 2, 20))]
PAIRS = [(text, choice) for text in TEXTS for choice in (" yes", " no")]


@pytest.fixture(scope="module")
def adapter(llama_folder, tokenizer, tmp_path_factory):
    """A LoRA with random weights, and the checkpoint with it merged into the base."""
    folder = tmp_path_factory.mktemp("adapters")
    torch.manual_seed(3)
    settings = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "down_proj"], init_lora_weights=False
    )
    settings.base_model_name_or_path = str(llama_folder)
    model = peft.get_peft_model(build_model("llama"), settings)
    model.save_pretrained(folder / "lora")
    merged = model.merge_and_unload()
    merged.save_pretrained(folder / "merged")
    tokenizer.save_pretrained(folder / "merged")
    return folder / "lora", folder / "merged"


@pytest.fixture
def steered(backend, vectors_file):
    def build(**arguments):
        return backend(**({"vectors": str(vectors_file), "c_keys": 0.3, "c_values": 1.7} | arguments))

    return build


@pytest.mark.parametrize("engine", ["auto", "generate"])
@pytest.mark.parametrize("steering", [{}, {"c_keys": 0.0, "c_values": 0.0}])
def test_an_adapted_model_equals_the_merged_one(steered, adapter, engine, steering):
    lora, merged = adapter
    lm, other = steered(peft=str(lora), engine=engine, **steering), steered(pretrained=str(merged), **steering)
    assert (lm.packed_model() is None) == (engine == "generate")
    answers = lm.generate_until(generation(TEXTS), disable_tqdm=True)
    assert answers == other.generate_until(generation(TEXTS), disable_tqdm=True)
    assert answers != steered(engine=engine, **steering).generate_until(generation(TEXTS), disable_tqdm=True)
    found, expected = (one.loglikelihood(likelihood(PAIRS), disable_tqdm=True) for one in (lm, other))
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-3)
    assert [f[1] for f in found] == [e[1] for e in expected]
    whole = [one.loglikelihood_rolling(rolling(TEXTS), disable_tqdm=True) for one in (lm, other)]
    assert whole[0] == pytest.approx(whole[1], abs=1e-2)
    assert lm.counts.summary() == other.counts.summary()


def test_the_adapters_weights_stay_apart(steered, adapter):
    """A run merges nothing into the base."""
    lm = steered(peft=str(adapter[0]))
    before = {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    lm.generate_until(generation(TEXTS), disable_tqdm=True)
    after = lm.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())


def test_vectors_of_the_base_are_taken_and_fingerprints_differ(steered, adapter, caplog):
    with caplog.at_level(logging.WARNING, logger="lm_eval_cachesteer"):
        adapted = steered(peft=str(adapter[0]))
    assert "were extracted from" not in caplog.text
    assert adapted.fingerprint != steered().fingerprint
    assert adapted.get_model_info()["steering"]["fingerprint"] == adapted.fingerprint


def test_kvsteerer_takes_an_adapted_model(adapter, vectors):
    lora, _ = adapter
    ids, options = torch.tensor([[5, 6, 7, 8]]), {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 257}
    adapted = peft.PeftModel.from_pretrained(build_model("llama"), str(lora)).eval()
    steerer = KVSteerer(vectors)
    found = steerer.steer(adapted, ids, cv=2.0, **options)
    plain = peft.PeftModel.from_pretrained(build_model("llama"), str(lora)).merge_and_unload().eval()
    assert torch.equal(found, steerer.steer(plain, ids, cv=2.0, **options))
    assert not torch.equal(found, steerer.steer(build_model("llama"), ids, cv=2.0, **options))


KINDS = {
    "PREFIX_TUNING": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "PROMPT_TUNING": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "P_TUNING": lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8),
    "activated LoRA": lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=2, target_modules=["v_proj"], alora_invocation_tokens=[104, 101]
    ),
}


@pytest.mark.parametrize("vectors_given", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_adapters_that_feed_tokens_or_wait_for_them_are_refused(backend, tokenizer, vectors_file, kind, vectors_given):
    model = peft.get_peft_model(build_model("llama"), KINDS[kind]()).eval()
    steering = {"vectors": str(vectors_file), "c_values": 2.0} if vectors_given else {}
    lm = backend(pretrained=model, tokenizer=tokenizer, max_length=200, **steering)
    for ask in (
        lambda: lm.generate_until(generation(["hello there"]), disable_tqdm=True),
        lambda: lm.loglikelihood(likelihood([("hello", " there")]), disable_tqdm=True),
        lambda: lm.loglikelihood_rolling(rolling(["hello there"]), disable_tqdm=True),
    ):
        with pytest.raises(ArgumentError, match=f"The adapter is of kind {kind}, which"):
            ask()


def test_delta_weights_equal_the_sum(steered, backend, tokenizer, vectors_file, tmp_path):
    base, delta, whole = build_model("llama"), build_model("llama", seed=1), build_model("llama")
    with torch.no_grad():
        for parameter, difference in zip(whole.parameters(), delta.parameters(), strict=True):
            difference.mul_(0.3)
            parameter.add_(difference)
    for name, model in (("base", base), ("delta", delta), ("whole", whole)):
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    lm = steered(pretrained=str(tmp_path / "base"), delta=str(tmp_path / "delta"))
    other = steered(pretrained=str(tmp_path / "whole"))
    answers = lm.generate_until(generation(TEXTS), disable_tqdm=True)
    assert answers == other.generate_until(generation(TEXTS), disable_tqdm=True)
    base_run = steered(pretrained=str(tmp_path / "base"))
    assert answers != base_run.generate_until(generation(TEXTS), disable_tqdm=True)
    assert lm.fingerprint != base_run.fingerprint
    assert counts(lm, "generate_until") == (len(TEXTS), len(TEXTS), 0)
