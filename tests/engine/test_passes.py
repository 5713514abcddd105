"""Packed passes against plain forward passes: ragged rows, chunks, shared prefixes of every kind."""

import pytest
import torch

from lm_eval_cachesteer.engine import attention
from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.engine.passes import Feed
from lm_eval_cachesteer.engine.storage import RowStore

from ..conftest import build_model, random_texts

KINDS = ["llama", "gpt2", "gemma3_text"]


@torch.no_grad()
def plain(model, tokens):
    return model(torch.tensor([tokens])).logits[0]


@pytest.fixture(params=[True, False], ids=["torch's kernel", "our own"])
def kernel(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr("lm_eval_cachesteer.engine.passes.causal_kernel", lambda *_: None)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scores_at_a_time", [40, 1 << 20])
def test_logits_are_those_of_each_row_alone(kind, scores_at_a_time, monkeypatch):
    """Two levels of shared tokens, rows of mixed lengths fed in two chunks, then a token each; every logit."""
    monkeypatch.setattr(attention, "_MAX_SCORES_ON_CPU", scores_at_a_time)
    model = build_model(kind)
    packed = PackedModel(model)
    header, one, other = ([*text.encode()] for text in random_texts(3, 20, 20))
    rows = [list(text.encode()) for text in random_texts(7, 3, 40, seed=5)]
    with torch.inference_mode(), packed.attached():
        shared = RowStore(3, 4)
        packed.feed(shared, [Feed(header, 0)])
        top = shared.segment(0, None)
        packed.feed(shared, [Feed(one, 1, top), Feed(other, 2, top)])
        prefixes = [None, top, shared.segment(1, top), shared.segment(2, top), None, top, shared.segment(1, top)]
        before = [[], header, header + one, header + other, [], header, header + one]
        store = RowStore(9, 2)
        slots = [4, 0, 7, 2, 8, 1, 3]
        found = [[] for _ in rows]
        for start, end in ((0, 2), (2, None)):
            feeds = [Feed(r[start:end], s, p) for r, s, p in zip(rows, slots, prefixes, strict=True)]
            everything = range(sum(len(feed.tokens) for feed in feeds))
            logits = packed.feed(store, feeds, everything)
            for i, part in enumerate(logits.split([len(feed.tokens) for feed in feeds])):
                found[i].append(part)
        last = packed.feed(store, [Feed([9], s, p) for s, p in zip(slots, prefixes, strict=True)])
    for i, row in enumerate(rows):
        expected = plain(model, [*before[i], *row, 9])[len(before[i]) :]
        torch.testing.assert_close(torch.cat([*found[i], last[i : i + 1]]), expected, rtol=1e-3, atol=1e-3)


def test_only_the_logits_asked_for_are_computed(llama):
    packed, store = PackedModel(llama), RowStore(2, 8)
    with torch.inference_mode(), packed.attached():
        logits = packed.feed(store, [Feed([1, 2, 3], 0), Feed([4, 5], 1)], wanted=[1, 4])
        assert packed.feed(store, [Feed([6], 0)], wanted=()).shape[0] == 0
    torch.testing.assert_close(logits, torch.stack([plain(llama, [1, 2])[-1], plain(llama, [4, 5])[-1]]))


def test_rows_grow_in_place_and_rarely(llama):
    packed, store = PackedModel(llama), RowStore(1, 4)
    capacities = []
    with torch.inference_mode(), packed.attached():
        for token in range(100):
            packed.feed(store, [Feed([token], 0)])
            capacities.append(store.capacity)
        last = packed.feed(store, [Feed([7], 0)])[0]
    torch.testing.assert_close(last, plain(llama, [*range(100), 7])[-1], rtol=1e-3, atol=1e-3)
    assert len(set(capacities)) <= 10


def test_attention_outside_of_a_pass_is_an_error(llama):
    packed = PackedModel(llama)
    with packed.attached(), pytest.raises(RuntimeError, match="outside of one"):
        llama(torch.tensor([[1, 2]]))
    assert llama.config._attn_implementation == "sdpa"


def test_a_kernel_with_a_key_head_for_each_query_head_is_not_used_where_heads_are_grouped(monkeypatch):
    """That of torch 2.6 reads past the last head of the keys instead of refusing."""

    def ungrouped(query, _keys, values, *_, **__):
        return values.as_strided(query.shape, values.stride()), query[..., 0]

    def grouped(query, _keys, values, *_, **__):
        return values.repeat_interleave(query.shape[1] // values.shape[1], 1), query[..., 0]

    def refusing(*_, **__):
        raise RuntimeError("as many heads of keys as of queries are needed")

    for kernel, takes_groups in ((ungrouped, False), (refusing, False), (grouped, True)):
        monkeypatch.setattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", kernel)
        assert attention.causal_kernel(torch.device("cpu"), 1) is kernel
        assert (attention.causal_kernel(torch.device("cpu"), 2) is kernel) == takes_groups
