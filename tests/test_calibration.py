"""Calibration against divergences computed plainly, token by token and prompt by prompt."""

import json

import pytest
import torch
from typer.testing import CliRunner

from lm_eval_cachesteer.calibration import DoseMeter, calibrate
from lm_eval_cachesteer.cli import app
from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.errors import ArgumentError

from . import oracle
from .conftest import random_texts

TOKENS = 5


@pytest.fixture(scope="module")
def prompts():
    return [list(text.encode()) for text in random_texts(7, 3, 30)]


def edit_of(vectors, c_values, c_keys=0.0):
    terms = [WeightedVectors("a", 1.0, vectors)]
    return CacheEdit.build(terms, c_keys=c_keys, c_values=c_values, n_layers=len(vectors.layers))


def plain_divergences(model, prompt, vectors, c_values):
    """One prompt: greedy unsteered tokens, then KL of both next-token distributions before each of them."""
    answer = oracle.greedy(model, prompt, {}, {}, TOKENS)
    found = []
    for i in range(TOKENS):
        sides = []
        for scale in (c_values, 0.0):
            with torch.no_grad():
                cache = model(torch.tensor([prompt[:-1]]), use_cache=True).past_key_values
                for layer in (n for n in vectors.layers if n > 0):
                    cache.layers[layer].values[0, :, -1] += scale * vectors.values[layer]
                fed = torch.tensor([[prompt[-1], *answer[:i]]])
                logits = model(fed, past_key_values=cache).logits[0, -1]
            sides.append(logits.double().softmax(-1))
        steered, plain = sides
        found.append(float((steered * (steered / plain).log()).sum()))
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_dose_is_the_percentile_of_plain_divergences(llama, vectors, prompts, batch_size):
    meter = DoseMeter(llama, prompts, tokens=TOKENS, batch_size=batch_size)
    for c_values in (0.5, 3.0):
        expected = [kl for prompt in prompts for kl in plain_divergences(llama, prompt, vectors, c_values)]
        quantile = float(torch.tensor(expected, dtype=torch.float64).quantile(0.95))
        assert meter.dose(edit_of(vectors, c_values)) == pytest.approx(quantile, rel=1e-3)
        assert quantile > 0


def test_the_meter_leaves_its_prompts_as_they_were(llama, vectors, prompts):
    meter = DoseMeter(llama, prompts, tokens=TOKENS)
    first = meter.dose(edit_of(vectors, 2.0))
    meter.dose(edit_of(vectors, 9.0))
    assert meter.dose(edit_of(vectors, 2.0)) == first


@pytest.mark.parametrize(("target", "keys"), [(0.01, 0.0), (0.2, 0.0), (0.2, 0.5)])
def test_the_coefficients_found_give_the_dose(llama, vectors, prompts, target, keys):
    meter = DoseMeter(llama, prompts, tokens=TOKENS)
    found = calibrate(meter, vectors, target=target, keys_per_value=keys)
    assert found.dose == pytest.approx(target, rel=0.03)
    assert found.c_keys == keys * found.c_values
    assert meter.dose(edit_of(vectors, found.c_values, found.c_keys)) == found.dose
    assert len(found.tried) < 30


def test_what_cannot_be_is_refused(llama, vectors, prompts):
    meter = DoseMeter(llama, prompts[:2], tokens=2)
    for target in (0.0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="above 0"):
            calibrate(meter, vectors, target=target)
    for factor, message in ((1e-6, "No c_values up to 1024 reaches a dose of 1 nats"), (0.0, "add up to zero")):
        weak = SteeringVectors(
            {n: factor * t for n, t in vectors.keys.items()},
            {n: factor * t for n, t in vectors.values.items()},
            vectors.metadata,
        )
        with pytest.raises(ArgumentError, match=message):
            calibrate(meter, weak)
    with pytest.raises(ArgumentError, match="two tokens"):
        DoseMeter(llama, [[5]])
    with pytest.raises(ArgumentError, match="0 prompts"):
        DoseMeter(llama, [])


class TestCommand:
    @pytest.fixture
    def asked(self, tmp_path):
        path = tmp_path / "prompts.jsonl"
        path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in random_texts(6, 5, 20)))
        return path

    def test_it_records_what_it_found(self, llama_folder, vectors_file, asked, tmp_path):
        out = tmp_path / "calibrated.safetensors"
        arguments = ["calibrate", "--vectors", vectors_file, "--pretrained", llama_folder, "--prompts", asked]
        arguments += ["--dose", "0.1", "--tokens", "3", "--limit", "4", "--device", "cpu", "--json", "--out", out]
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        found = json.loads(result.stdout)
        assert found["prompts"] == 4
        before, after = SteeringVectors.load(vectors_file), SteeringVectors.load(out)
        assert after.metadata.recommended_c_values == found["c_values"]
        assert after.sha256 == before.sha256

    @pytest.mark.parametrize("content", ["not json\n", '{"question": "?"}\n', '{"prompt": ""}\n', ""])
    def test_prompts_that_cannot_be_read_are_named(self, llama_folder, vectors_file, tmp_path, content):
        path = tmp_path / "bad.jsonl"
        path.write_text(content)
        arguments = ["calibrate", "--vectors", vectors_file, "--pretrained", llama_folder, "--prompts", path]
        with pytest.raises(ArgumentError, match=r"bad\.jsonl"):
            CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
