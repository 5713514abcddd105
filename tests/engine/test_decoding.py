"""Continuous decoding against the oracle, whatever the batch, the order, the memory and the sharing."""

import random

import pytest
import torch

from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.engine import decoding
from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.errors import ArgumentError

from .. import oracle
from ..conftest import build_model
from .support import decode, mixed_prompts

KINDS = ["llama", "gpt2", "gemma3_text"]


@pytest.fixture(scope="module", params=[(kind, header) for kind in KINDS for header in (30, 200)], ids=str)
def case(request):
    """A model, an edit, prompts with a common header that rows copy (short) or read together, the oracle's answers."""
    kind, header = request.param
    model = build_model(kind)
    keys, values = oracle.draw_vectors(model, [1, 2, 3], scale=2.0)
    prompts = mixed_prompts(header)
    lengths = [3 + 5 * (i % 4) for i in range(len(prompts))]
    expected = [oracle.greedy(model, p, keys, values, n) for p, n in zip(prompts, lengths, strict=True)]
    return model, CacheEdit(keys, values), prompts, lengths, expected


@pytest.mark.parametrize("rows", [1, 4, 16])
@pytest.mark.parametrize(("share", "drafted"), [(True, 0), (False, 0), (True, 4), (False, 7)])
def test_responses_equal_the_oracle_token_for_token(case, rows, share, drafted):
    model, edit, prompts, lengths, expected = case
    found = decode(model, prompts, edit, rows=rows, share=share, drafted=drafted, new_tokens=lengths)
    assert [response.tokens for response in found] == expected
    plain = decode(model, prompts, rows=rows, share=share, new_tokens=lengths)
    unsteered = [oracle.greedy(model, p, {}, {}, n) for p, n in zip(prompts, lengths, strict=True)]
    assert [response.tokens for response in plain] == unsteered
    assert unsteered != expected


def test_the_order_of_arrival_does_not_matter(case):
    model, edit, prompts, lengths, expected = case
    order = list(range(len(prompts)))
    random.Random(1).shuffle(order)
    found = decode(model, [prompts[i] for i in order], edit, rows=3, new_tokens=[lengths[i] for i in order])
    assert [response.tokens for response in found] == [expected[i] for i in order]


def test_little_memory_changes_the_speed_only(case):
    """Room for one row and no shared prefix beside it, up to room for some of them."""
    model, edit, prompts, lengths, expected = case
    one_token = PackedModel(model).bytes_per_token
    for tokens in (1, 60, 130, 250, 600):
        found = decode(model, prompts, edit, rows=8, kv_bytes=tokens * one_token, new_tokens=lengths)
        assert [response.tokens for response in found] == expected


@pytest.mark.parametrize("failing", [[0], [3], [1, 5, 9]])
def test_out_of_memory_halves_the_limits_and_goes_on(case, failing, monkeypatch, caplog):
    model, edit, prompts, lengths, expected = case
    feed, calls = PackedModel.feed, iter(range(10_000))

    def failing_feed(*arguments, **named):
        if next(calls) in failing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return feed(*arguments, **named)

    packed = PackedModel(model)
    assert packed.bytes_per_token > 0
    monkeypatch.setattr(PackedModel, "feed", failing_feed)
    done = []
    found = decode(
        model, prompts, edit, rows=16, new_tokens=lengths, packed=packed, on_done=lambda i, _: done.append(i)
    )
    assert [response.tokens for response in found] == expected
    assert sorted(done) == list(range(len(prompts)))  # nothing answered twice
    assert f"going on with {16 // 2 ** len(failing)} rows" in caplog.text


def test_out_of_memory_with_one_row_is_an_error(llama, monkeypatch):
    def failing_feed(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    packed = PackedModel(llama)
    assert packed.bytes_per_token > 0
    monkeypatch.setattr(PackedModel, "feed", failing_feed)
    with pytest.raises(ArgumentError, match="Out of memory with a single row"):
        decode(llama, [[1, 2, 3]], rows=4, packed=packed)


def test_other_errors_are_not_taken_for_out_of_memory(llama, monkeypatch):
    def failing_feed(*_, **__):
        raise RuntimeError("shapes do not fit")

    packed = PackedModel(llama)
    assert packed.bytes_per_token > 0
    monkeypatch.setattr(PackedModel, "feed", failing_feed)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        decode(llama, [[1, 2, 3]], packed=packed)


@pytest.mark.parametrize("most", [1, 25, 60])
def test_prompts_that_exceed_a_pass_are_fed_in_several(case, most, monkeypatch):
    """What does not fit into a decode step goes before it; what fits rides along."""
    model, edit, prompts, lengths, expected = case
    monkeypatch.setattr(decoding, "tokens_in_a_pass", lambda _: most)
    found = decode(model, prompts, edit, rows=5, drafted=4, new_tokens=lengths)
    assert [response.tokens for response in found] == expected


class TestWork:
    """How much is computed: tokens fed, counted by a wrapped model."""

    @pytest.fixture
    def fed(self, llama, monkeypatch):
        """Tokens of every pass."""
        tokens, feed = [], PackedModel.feed

        def counting(packed, store, feeds, wanted=None):
            tokens.append(sum(len(f.tokens) for f in feeds))
            return feed(packed, store, feeds, wanted)

        assert PackedModel(llama).bytes_per_token > 0
        monkeypatch.setattr(PackedModel, "feed", counting)
        return tokens

    def test_a_shared_header_is_fed_once(self, llama, fed):
        header = list(range(60))
        prompts = [[*header, 100 + i, 7] for i in range(8)]
        decode(llama, prompts, rows=8, new_tokens=1)
        assert sum(fed) - 1 == 60 + 8 * 2  # the one is the pass that measures a token's memory
        fed.clear()
        decode(llama, prompts, rows=8, new_tokens=1, share=False)
        assert sum(fed) - 1 == 8 * 62

    def test_repeats_of_a_prompt_feed_it_once(self, llama, fed):
        decode(llama, [list(range(50))] * 8, rows=8, new_tokens=1)
        assert sum(fed) - 1 == 49 + 8

    def test_drafts_save_passes(self, fed):
        """A response that runs into a loop: the oracle's tokens, in fewer passes."""
        prompt = [5, 6, 7, 8] * 5
        models = (build_model("gpt2", seed) for seed in range(20))  # which of them loop depends on the version
        answers = ((model, oracle.greedy(model, prompt, {}, {}, 40)) for model in models)
        model, expected = next(answer for answer in answers if len(set(answer[1][:20])) < 5)
        passes = {}
        for drafted in (0, 4):
            fed.clear()
            [response] = decode(model, [prompt], new_tokens=40, drafted=drafted)
            assert response.tokens == expected
            passes[drafted] = len(fed) - 1  # one measures a token's memory; the first feeds the prompt as well
        assert passes[0] == 40
        assert passes[4] < 15

    def test_a_prompt_rides_along_with_the_steps_of_other_rows(self, llama, fed):
        """The third prompt takes the place of the first response, while the second row goes on decoding."""
        prompts = [[1, 2, 3], [5, 6, 7], [*range(40, 60)]]
        decode(llama, prompts, rows=2, new_tokens=[1, 30, 1], share=False)
        assert fed[1:4] == [3 + 3, 20 + 1, 1]
        assert len(fed) - 1 == 30

    def test_a_draft_never_runs_over_the_response_s_length(self, llama):
        prompt = [5, 6, 7, 8] * 5
        for new_tokens in (1, 2, 3, 5):
            [response] = decode(llama, [prompt], new_tokens=new_tokens, drafted=4)
            assert response.tokens == oracle.greedy(llama, prompt, {}, {}, new_tokens)

    def test_rows_that_end_leave_the_batch(self, llama, fed):
        prompts = [[i, i + 1, i + 2] for i in range(4)]
        decode(llama, prompts, rows=4, new_tokens=[1, 1, 1, 10])
        assert sum(fed) - 1 == 4 * 2 + 4 + 9

    def test_waiting_requests_take_their_place(self, llama, fed):
        prompts = [[i, i + 1, i + 2] for i in range(8)]
        decode(llama, prompts, rows=4, new_tokens=[2, 20] * 4)
        steps = len(fed) - 1
        assert steps < 2 * 22 + 8  # in batches of four it would be at least 2 * 20 steps and two prefills


def test_end_tokens_end_a_response(llama):
    prompts = mixed_prompts()
    whole = [response.tokens for response in decode(llama, prompts)]
    end = whole[0][3]
    settings = {"do_sample": False, "eos_token_id": end}
    for tokens, response in zip(whole, decode(llama, prompts, settings=settings), strict=True):
        assert response.tokens == (tokens[: tokens.index(end) + 1] if end in tokens else tokens)
