"""Models that do not do with their cache what is expected of it: fed in another way, or refused."""

from functools import wraps

import pytest
import torch
from transformers import DynamicCache, StaticCache

from lm_eval_cachesteer.core.behaviour import takes_padding, takes_several, why_not_static
from lm_eval_cachesteer.core.decode import PaddedBatch, ScoredRow, prefill, score
from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.errors import ArgumentError, CacheLayoutError
from lm_eval_cachesteer.steerer import KVSteerer

from .. import oracle
from ..conftest import build_model, make_vectors

PAD = 257
ROWS = [[5, 6, 7], [1, 2, 3, 4, 5]]


def changed(model, change):
    """The model with a forward that passes its arguments through `change` first."""
    forward = model.forward

    @wraps(forward)
    def other(input_ids, **arguments):
        return forward(**change(arguments | {"input_ids": input_ids}))

    model.forward = other
    return model


def forgetful(model):
    """The model, starting from an empty cache whenever it is fed several tokens."""

    def change(arguments):
        cache = arguments.get("past_key_values")
        if cache is not None and arguments["input_ids"].shape[1] > 1:
            cache.crop(-int(cache.get_seq_length()))
            arguments["attention_mask"] = arguments["attention_mask"][:, -arguments["input_ids"].shape[1] :]
        return arguments

    return changed(model, change)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3_text"])
def test_ordinary_models(kind):
    model = build_model(kind)
    assert takes_several(model)
    assert takes_padding(model)
    assert why_not_static(model) == ""


def test_models_that_lose_their_state_are_fed_token_by_token(caplog):
    """Otherwise likelihoods of more than one token would ignore the prompt, as Jamba's would."""
    model = forgetful(build_model("llama"))
    assert not takes_several(model)
    keys, values = oracle.draw_vectors(model, [1, 2, 3], scale=2.0)
    continuations = [[3, 9, 4], [8, 2]]
    rows = [ScoredRow(tuple(p[:-1]), (p[-1], *c[:-1]), (tuple(c),)) for p, c in zip(ROWS, continuations, strict=True)]
    for _ in range(2):
        found = score(model, rows, CacheEdit(keys, values), pad_token_id=PAD, device="cpu").scores
        expected = [oracle.loglikelihood(model, p, c, keys, values) for p, c in zip(ROWS, continuations, strict=True)]
        assert [one.logprob for (one,) in found] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)
    assert caplog.text.count("LlamaForCausalLM loses the state of its cache") == 1


def test_models_that_number_positions_by_column_take_no_padding():
    model = changed(build_model("gpt2"), lambda arguments: arguments | {"position_ids": None})
    assert not takes_padding(model)
    with pytest.raises(CacheLayoutError, match="gives padded rows other logits than rows alone. Use batch_size=1"):
        prefill(model, PaddedBatch.of(ROWS, PAD, "cpu"), None)
    alone = prefill(model, PaddedBatch.of(ROWS[:1], PAD, "cpu"), None)
    assert alone.last_logits.shape == (1, 258)


def test_caches_that_do_not_count_their_tokens_are_refused(monkeypatch):
    """`generate` would feed the prompt again, behind the edited one."""
    model = build_model("llama")
    monkeypatch.setattr(DynamicCache, "get_seq_length", lambda *_, **__: 0)
    with pytest.raises(CacheLayoutError, match="counts 0 tokens of a prompt of 5"):
        prefill(model, PaddedBatch.of(ROWS, PAD, "cpu"), None)


@pytest.mark.parametrize(
    ("replacement", "reason"),
    [
        ("fails", "it fails there with RuntimeError"),
        ("attends to free slots", "it gives other logits there"),
        ("is not supported", "transformers supports none"),
    ],
)
def test_static_caches_that_do_not_fit_a_model_are_refused(replacement, reason):
    model = build_model("llama")

    def change(arguments):
        if isinstance(arguments.get("past_key_values"), StaticCache):
            if replacement == "fails":
                raise RuntimeError("no room")
            arguments["attention_mask"] = torch.zeros(1, 1, arguments["input_ids"].shape[1], 14)
        return arguments

    if replacement == "is not supported":
        model._can_compile_fullgraph = False
    else:
        changed(model, change)
    steerer = KVSteerer(make_vectors(build_model("llama")), cv=1.0)
    ids = torch.tensor([[1, 2, 3]])
    with pytest.raises(ArgumentError, match=f"does not fit LlamaForCausalLM: {reason}. Use cache_implementation=dyn"):
        steerer.steer(model, ids, cache_implementation="static", max_new_tokens=2, pad_token_id=PAD)
