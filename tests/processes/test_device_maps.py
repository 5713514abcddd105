"""Models spread over devices and disk are steered exactly, or refused."""

import pytest
import torch
from accelerate import cpu_offload
from transformers import AutoModelForCausalLM

from lm_eval_cachesteer import KVSteerer

from .. import oracle
from ..conftest import random_texts
from ..harness.support import counts, generation, likelihood

EOS = 257
ENDS = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
MAPS = {
    "cpu": {"": "cpu"},
    "half on disk": ENDS | {f"model.layers.{i}": "disk" if i % 2 else "cpu" for i in range(4)},
    "embedding on disk": ENDS | {"model.embed_tokens": "disk"} | {f"model.layers.{i}": "cpu" for i in range(4)},
}


def assert_steered(lm, llama, tokenizer, vectors):
    texts = random_texts(5, 2, 40)
    keys = {i: 0.5 * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    prompts = [tokenizer.encode(text) for text in texts]
    expected = [oracle.greedy(llama, prompt, keys, values, 8, eos=EOS) for prompt in prompts]
    wanted = [tokenizer.decode(tokens, skip_special_tokens=True).split("<eos>")[0] for tokens in expected]
    assert lm.generate_until(generation(texts, max_gen_toks=8), disable_tqdm=True) == wanted
    assert counts(lm, "generate_until") == (5, 5, 0)
    scores = lm.loglikelihood(likelihood([(text, " yes") for text in texts]), disable_tqdm=True)
    for prompt, (logprob, _) in zip(prompts, scores, strict=True):
        found, _ = oracle.loglikelihood(llama, prompt, tokenizer.encode(" yes"), keys, values)
        assert logprob == pytest.approx(found, abs=1e-4)


@pytest.fixture
def spread(backend, vectors_file, tmp_path):
    """Builds the steered backend with accelerate's device maps; without a map it is left to accelerate."""

    def build(**arguments):
        steering = {"vectors": str(vectors_file), "c_keys": 0.5, "c_values": 2.0}
        return backend(**steering, parallelize=True, offload_folder=str(tmp_path), **arguments)

    return build


@pytest.mark.parametrize("devices", MAPS)
def test_device_maps(devices, spread, llama, tokenizer, vectors):
    lm = spread(device_map=MAPS[devices])
    on_disk = "disk" in devices
    assert any(parameter.is_meta for parameter in lm.model.parameters()) == on_disk
    assert (lm.packed_model() is None) == on_disk
    assert_steered(lm, llama, tokenizer, vectors)


def test_without_accelerators_parallelize_puts_the_model_on_disk_unless_it_may_use_memory(
    spread, llama, tokenizer, vectors
):
    on_disk, in_memory = spread(), spread(max_cpu_memory="1GiB")
    if not hasattr(on_disk.model, "hf_device_map"):
        pytest.skip("this transformers leaves a model that is wholly on disk without its weights")
    assert all(parameter.is_meta for parameter in on_disk.model.parameters())
    assert on_disk.packed_model() is None
    assert_steered(on_disk, llama, tokenizer, vectors)
    assert in_memory.packed_model() is not None
    assert_steered(in_memory, llama, tokenizer, vectors)


def test_a_loaded_model_whose_weights_are_offloaded(backend, llama_folder, llama, tokenizer, vectors, vectors_file):
    model = cpu_offload(AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32))
    assert model.device.type == "meta"
    lm = backend(pretrained=model, tokenizer=tokenizer, vectors=str(vectors_file), c_keys=0.5, c_values=2.0)
    assert_steered(lm, llama, tokenizer, vectors)


def test_the_python_interface_steers_an_offloaded_model(llama_folder, llama, tokenizer, vectors):
    model = cpu_offload(AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32))
    prompt = tokenizer.encode("What is it?")
    found = KVSteerer(vectors, ck=0.5, cv=2.0).steer(model, torch.tensor([prompt]), max_new_tokens=8, do_sample=False)
    keys = {i: 0.5 * vectors.keys[i] for i in (1, 2, 3)}
    values = {i: 2.0 * vectors.values[i] for i in (1, 2, 3)}
    assert found[0, len(prompt) :].tolist() == oracle.greedy(llama, prompt, keys, values, 8, eos=EOS)
