"""After thousands of steered requests nothing has grown, and model, harness and torch are what they were."""

import json

import pytest

from lm_eval_cachesteer.engine import forward, passes

from ..harness.support import generation, likelihood
from . import soak
from .processes import run
from .soak import state_of

# Bytes of one request's keys and values, had somebody kept them: 40 tokens on average, 4 layers, keys and values, 2
# heads, 8 wide, float32. A tenth of that for each request is refused, past what the C library keeps for itself: from
# request 500 to 2,000 half a megabyte, then nothing more up to 5,500.
KEPT = 40 * 4 * 2 * 2 * 8 * 4
SETTLING = 1 << 20


@pytest.mark.parametrize("job", [soak.fast_path, soak.plain_path], ids=lambda job: job.__name__)
def test_many_steered_requests_leave_nothing_behind(job, place):
    ended = run(job, place)
    assert ended.code == 0, ended.said
    found = json.loads(ended.said.splitlines()[-1])
    check_all_were_steered(found)
    check_nothing_has_grown(found)
    for part in ("model", "process"):  # weights to the bit, modules, hooks, settings, random states
        assert found[part] == dict.fromkeys(found[part], True)
    assert {tuple(name.split(".")[-2:]) for name in found["patched"]} == {("TaskManager", "__init__")}  # by registering
    assert found["replaced"] == []


def check_all_were_steered(found):
    assert sum(of["requests"] for of in found["counts"].values()) == found["requests"]
    assert all(of["interventions"] > 0 for of in found["counts"].values())


def check_nothing_has_grown(found):
    early, late, between = found["early"], found["late"], found["between"]
    assert late["files"] == early["files"]
    assert late["threads"] == early["threads"]
    assert late["tensors"] == early["tensors"]
    assert late["objects"] - early["objects"] < between / 10  # not one for each request, nor for each batch
    assert late["rss"] - early["rss"] < SETTLING + between * KEPT / 10


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("moment", [1, 9, 100])
def test_an_interrupted_pass_leaves_the_model_as_it_was(backend, vectors_file, monkeypatch, error, moment):
    lm = backend(vectors=str(vectors_file))
    prompts = generation(["one", "another one", "a third"], max_gen_toks=70)
    pairs = likelihood([("one", " two"), ("three", " four")])
    expected = lm.generate_until(prompts, disable_tqdm=True), lm.loglikelihood(pairs, disable_tqdm=True)
    before = state_of(lm.model)
    calls, attend = 0, passes.Pass.attend

    def interrupted(*arguments):
        nonlocal calls
        calls += 1
        if calls == moment:
            raise error
        return attend(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(passes.Pass, "attend", interrupted)
        with pytest.raises(error):
            lm.generate_until(prompts, disable_tqdm=True)
    assert calls == moment
    assert state_of(lm.model) == before
    assert forward._running is None
    assert (lm.generate_until(prompts, disable_tqdm=True), lm.loglikelihood(pairs, disable_tqdm=True)) == expected
