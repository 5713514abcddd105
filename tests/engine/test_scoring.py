"""Likelihoods against the oracle, whatever shares what, and how much is computed for them."""

import pytest
import torch

from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.engine.limits import Limits
from lm_eval_cachesteer.engine.prefixes import PromptPath
from lm_eval_cachesteer.engine.scoring import Scorer, ScoringRequest

from .. import oracle
from ..conftest import build_model
from .support import PLENTY, mixed_prompts

CONTINUATIONS = [[3], [7, 8], [7, 9], [1, 2, 3, 4]]


def items(prompts, edited=True):
    """Every continuation after every prompt, the prompt's next-to-last token edited."""
    requests = []
    for prompt in prompts:
        for continuation in CONTINUATIONS:
            tokens = (*prompt, *continuation[:-1])
            path = PromptPath(tokens, len(prompt) - 2, len(prompt) - 1) if edited else PromptPath(tokens)
            requests.append(ScoringRequest(path, continuation))
    return requests


KINDS = ["llama", "gpt2", "gemma3_text"]


@pytest.fixture(scope="module", params=[(kind, header) for kind in KINDS for header in (30, 200)], ids=str)
def case(request):
    """A model, an edit, prompts with a common header that rows copy (short) or read together, the oracle's scores."""
    kind, header = request.param
    model = build_model(kind)
    keys, values = oracle.draw_vectors(model, [1, 2, 3], scale=2.0)
    prompts = mixed_prompts(header)
    expected = [oracle.loglikelihood(model, p, c, keys, values) for p in prompts for c in CONTINUATIONS]
    return model, CacheEdit(keys, values), prompts, expected


@pytest.mark.parametrize("rows", [1, 4, 64])
@pytest.mark.parametrize("share", [True, False])
def test_scores_equal_the_oracle(case, rows, share):
    model, edit, prompts, expected = case
    done = {}
    scorer = Scorer(PackedModel(model), edit, Limits(rows, PLENTY, share))
    found = scorer.score(items(prompts), done.__setitem__)
    assert [score.logprob for score in found] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)
    assert [score.is_greedy for score in found] == [greedy for _, greedy in expected]
    assert done == dict(enumerate(found))
    plain = Scorer(PackedModel(model), None, Limits(rows, PLENTY, share)).score(items(prompts, edited=False))
    assert max(abs(a.logprob - b.logprob) for a, b in zip(found, plain, strict=True)) > 0.1


def test_little_memory_changes_the_speed_only(case):
    model, edit, prompts, expected = case
    packed = PackedModel(model)
    for tokens in (1, 20, 50, 100, 300):
        found = Scorer(packed, edit, Limits(8, tokens * packed.bytes_per_token)).score(items(prompts))
        assert [score.logprob for score in found] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)


def test_out_of_memory_halves_the_passes_and_goes_on(case, monkeypatch, caplog):
    model, edit, prompts, expected = case
    packed, feed, sizes = PackedModel(model), PackedModel.feed, []
    most = max(map(len, prompts)) + 10  # what cannot be divided fits
    assert packed.bytes_per_token > 0

    def failing_feed(packed, store, feeds, wanted=None):
        sizes.append(sum(len(f.tokens) for f in feeds))
        if sizes[-1] > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
        return feed(packed, store, feeds, wanted)

    monkeypatch.setattr(PackedModel, "feed", failing_feed)
    found = Scorer(packed, edit, Limits(16, PLENTY)).score(items(prompts))
    assert max(sizes) > most
    assert [score.logprob for score in found] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)
    assert "Out of memory" in caplog.text


def test_a_context_is_fed_once_for_all_its_choices(llama, monkeypatch):
    fed, feed = [], PackedModel.feed

    def counting(packed, store, feeds, wanted=None):
        fed.append(sum(len(f.tokens) for f in feeds))
        return feed(packed, store, feeds, wanted)

    packed = PackedModel(llama)
    assert packed.bytes_per_token > 0
    monkeypatch.setattr(PackedModel, "feed", counting)
    prompt = list(range(40))
    Scorer(packed, None, Limits(16, PLENTY)).score(items([prompt], edited=False))
    assert sum(fed) == 40 + 1 + 3  # the context, [7] for two of the choices, [1, 2, 3] for another


def test_the_softmax_takes_the_dtype_asked_for(llama):
    requests = items([[1, 2, 3]], edited=False)
    with torch.no_grad():
        expected = float(llama(torch.tensor([[1, 2, 3]])).logits[0, -1].double().log_softmax(-1)[3])

    def error(dtype):
        return abs(Scorer(PackedModel(llama), None, Limits(4, PLENTY), dtype).score(requests)[0].logprob - expected)

    assert error(None) < 1e-5
    assert error(torch.float64) < 1e-6
    assert error(torch.bfloat16) > 1e-4
