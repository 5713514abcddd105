"""Requests that follow a response in its row, against the same requests asked anew."""

import pytest

from lm_eval_cachesteer.core.edit import CacheEdit, WeightedVectors
from lm_eval_cachesteer.engine.choosing import TokenChoice
from lm_eval_cachesteer.engine.decoding import Decoder
from lm_eval_cachesteer.engine.forward import PackedModel
from lm_eval_cachesteer.engine.limits import Limits
from lm_eval_cachesteer.engine.prefixes import PromptPath
from lm_eval_cachesteer.engine.requests import DecodeRule, GenerationRequest, kept_tokens
from lm_eval_cachesteer.engine.stopping import StopRule

from ..conftest import build_model, make_vectors
from .support import GREEDY, PLENTY, mixed_prompts, path_of

TAIL = [61, 62, 63]


@pytest.mark.parametrize(
    ("held", "before", "after", "kept"),
    [
        ("abcdef", PromptPath("abc"), PromptPath("abcdx"), 4),
        ("abcdef", PromptPath("abc"), PromptPath("abcdef"), 6),
        ("abcdef", PromptPath("abc"), PromptPath("abcdefgh"), 6),
        ("abcdef", PromptPath("abc"), PromptPath("x"), 0),
        ("abcdef", PromptPath("abc", 2, 3), PromptPath("abcde"), 2),  # what follows an edit has seen it
        ("abcdef", PromptPath("abc"), PromptPath("abcde", 2, 3), 2),
        ("abcdef", PromptPath("abc", 2, 3), PromptPath("abcdex", 2, 3), 5),
        ("abcdef", PromptPath("abc", 2, 3), PromptPath("abcdef", 4, 5), 2),
        ("abcdef", PromptPath("abcd", 1, 4), PromptPath("abcx", 1, 4), 1),  # the edit would come too early
        ("abcdef", PromptPath("abcd", 1, 3), PromptPath("abcdef", 1, 4), 1),
    ],
)
def test_what_is_kept_of_a_cache(held, before, after, kept):
    assert kept_tokens(held, before, after) == kept


def rule(model, new_tokens, drafted, **settings):
    choice = TokenChoice(model, GREEDY | settings, seed=0)
    return DecodeRule(choice, StopRule(choice.end_tokens, [], None), new_tokens, drafted)


def edit_of(model):
    return CacheEdit.build([WeightedVectors("v", 1.0, make_vectors(model))], c_values=2.0, n_layers=4)


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
@pytest.mark.parametrize("drafted", [0, 3])
@pytest.mark.parametrize("steered", [False, True])
@pytest.mark.parametrize("kv_bytes", [PLENTY, 1 << 19])
def test_following_requests_are_answered_as_if_asked_anew(kind, drafted, steered, kv_bytes):
    """Unsteered ones after steered ones, and steered ones that go on from the same edit; repeats, shared beginnings."""
    model = build_model(kind)
    edit, prompts = edit_of(model), mixed_prompts()
    lengths = [3 + i % 7 for i in range(len(prompts))]

    def path(prompt, response):
        fed = (*prompt, *response, *TAIL)
        return PromptPath(fed[:-1], len(prompt) - 2, len(prompt) - 1) if steered and len(prompt) > 1 else PromptPath(
            fed[:-1]
        )  # fmt: skip

    second = rule(model, 5, drafted, repetition_penalty=1.3)  # chosen otherwise than the responses beside them

    def ask(then):
        return [
            GenerationRequest(
                path_of(p), p[-1], rule(model, n, drafted), (lambda r, p=p: after(p, r)) if then else None, 8
            )
            for p, n in zip(prompts, lengths, strict=True)
        ]

    def after(prompt, response):
        return GenerationRequest(path(prompt, response), TAIL[-1], second)

    packed = PackedModel(model)
    plain = Decoder(packed, edit, Limits(4, kv_bytes, True))
    responses = plain.decode(ask(then=False))
    expected = plain.decode([after(p, r.tokens) for p, r in zip(prompts, responses, strict=True)])
    fed, feed = [], packed.feed

    def counted(store, feeds, wanted=None):
        fed.append(sum(len(one.tokens) for one in feeds))
        return feed(store, feeds, wanted)

    packed.feed = counted
    done = []
    found = plain.decode(ask(then=True), lambda i, _: done.append(i))
    assert [one.before.tokens for one in found] == [one.tokens for one in responses]
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.edited for one in found] == [one.edited for one in expected]
    assert sorted(done) == list(range(len(prompts)))
    asked_anew = sum(len(p) + n + len(TAIL) for p, n in zip(prompts, lengths, strict=True))
    in_all = sum(map(len, prompts)) + sum(lengths) + 5 * len(prompts) + asked_anew
    spared = sum(len(p) - 2 for p in prompts) if not steered else sum(len(p) + n for p, n in zip(prompts, lengths))  # noqa: B905
    assert drafted or sum(fed) <= in_all - 0.9 * spared


def test_a_following_request_may_itself_be_followed_and_share_nothing():
    model = build_model("llama")
    long = list(range(5, 95))
    chain = GenerationRequest(PromptPath((7, 8, 9)), 10, rule(model, 2, 0))
    middle = GenerationRequest(PromptPath(tuple(long)), 11, rule(model, 3, 0), lambda _: chain)
    first = GenerationRequest(PromptPath((1, 2)), 3, rule(model, 4, 0), lambda _: middle)
    decoder = Decoder(PackedModel(model), None, Limits(2, PLENTY, True))
    alone = [
        r.tokens
        for r in decoder.decode(
            [GenerationRequest(one.path, one.last, one.rule) for one in (first, middle, chain)],
        )
    ]
    found = decoder.decode([first, first])
    assert [[r.before.before.tokens, r.before.tokens, r.tokens] for r in found] == [alone, alone]
