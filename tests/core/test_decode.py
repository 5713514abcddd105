"""Prefill, edit and decode against the oracle."""

import pytest
import torch

from lm_eval_cachesteer.core.decode import PaddedBatch, ScoredRow, continue_generation, forward, prefill, score
from lm_eval_cachesteer.core.edit import CacheEdit

from .. import oracle
from ..conftest import build_model, random_texts

KINDS = ["llama", "gpt2", "gemma3_text", "lfm2"]
ATTENTION = {"lfm2": [1, 3]}
PAD = 257


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """A model, an edit of keys and values of some layers, and ragged prompts (up to beyond gemma's window)."""
    model = build_model(request.param)
    layers = ATTENTION.get(request.param, [1, 2, 3])
    keys, values = oracle.draw_vectors(model, layers, scale=2.0)
    prompts = [list(text.encode()) for text in random_texts(6, 2, 40)] + [[5, 9]]
    return model, keys, values, prompts


def test_left_padded_batches_equal_the_oracle_token_for_token(case):
    model, keys, values, prompts = case
    if model.config.model_type == "lfm2":
        prompts = [prompt[:5] for prompt in prompts if len(prompt) >= 5]  # its convolutions see left padding
    expected = [oracle.greedy(model, prompt, keys, values, 12) for prompt in prompts]
    batch = PaddedBatch.of(prompts, PAD, "cpu")
    prefilled = prefill(model, batch.without_last(), CacheEdit(keys, values))
    assert prefilled.steered.all()
    out = continue_generation(
        model, batch, prefilled, max_new_tokens=12, do_sample=False, pad_token_id=PAD, eos_token_id=None
    )
    assert out[:, batch.input_ids.shape[1] :].tolist() == expected
    unsteered = [oracle.greedy(model, prompt, {}, {}, 12) for prompt in prompts]
    assert unsteered != expected  # the edit matters, so the equality above is not empty


def test_scores_equal_the_oracle(case):
    model, keys, values, prompts = case
    if model.config.model_type == "lfm2":
        prompts = [prompt[:5] for prompt in prompts if len(prompt) >= 5]
    continuations = [[3], [7, 8, 9], [4, 4], [1], [2, 6, 5, 4], [11], [12, 13]][: len(prompts)]
    rows = [
        ScoredRow(tuple(p[:-1]), (p[-1], *c[:-1]), (tuple(c),)) for p, c in zip(prompts, continuations, strict=True)
    ]
    result = score(model, rows, CacheEdit(keys, values), pad_token_id=PAD, device="cpu")
    assert result.steered == [True] * len(rows)
    for prompt, continuation, (found,) in zip(prompts, continuations, result.scores, strict=True):
        logprob, greedy = oracle.loglikelihood(model, prompt, continuation, keys, values)
        assert found.logprob == pytest.approx(logprob, abs=1e-4)
        assert found.is_greedy == greedy


def test_scores_with_the_last_context_token_edited_equal_the_oracle(case):
    """As in rolling windows: the first continuation token is predicted by the context as it was."""
    model, keys, values, _ = case
    context, continuation = [7, 1, 2], [3, 4, 5]
    row = ScoredRow(tuple(context), tuple(continuation[:-1]), (tuple(continuation),))
    ((found,),) = score(model, [row], CacheEdit(keys, values), pad_token_id=PAD, device="cpu").scores
    expected, _ = oracle.loglikelihood(model, context, continuation, keys, values, edit_last=True)
    assert found.logprob == pytest.approx(expected, abs=1e-4)


def test_beam_search_goes_on_from_the_edited_cache(llama):
    keys, values = oracle.draw_vectors(llama, [1, 2], scale=2.0)
    batch = PaddedBatch.of([[1, 2, 3, 4], [5, 6]], PAD, "cpu")

    def beams(edit):
        cache = prefill(llama, batch.without_last(), edit)
        return continue_generation(llama, batch, cache, num_beams=3, max_new_tokens=8, pad_token_id=PAD)

    plain = llama.generate(
        batch.input_ids, attention_mask=batch.attention_mask, num_beams=3, max_new_tokens=8, pad_token_id=PAD
    )
    assert torch.equal(beams(None), plain)
    assert not torch.equal(beams(CacheEdit(keys, values)), plain)


def test_prompt_logits_are_computed_for_the_last_column_only(llama):
    batch = PaddedBatch.of([[1, 2, 3, 4, 5]], PAD, "cpu")
    assert forward(llama, batch.input_ids, batch.attention_mask, None, keep=1).logits.shape[1] == 1


def test_every_cached_position_but_one_keeps_its_bits(llama):
    keys, values = oracle.draw_vectors(llama, [1, 3])
    batch = PaddedBatch.of([[1, 2, 3, 4, 5], [6, 7]], PAD, "cpu")
    plain, edited = (prefill(llama, batch, edit).cache for edit in (None, CacheEdit(keys, values)))
    for i in range(4):
        for name in ("keys", "values"):
            before, after = getattr(plain.layers[i], name), getattr(edited.layers[i], name)
            assert torch.equal(before[:, :, :-1], after[:, :, :-1])
            assert torch.equal(before[:, :, -1], after[:, :, -1]) == (i not in (1, 3))
