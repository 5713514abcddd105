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


@pytest.fixture(scope="module", params=[soak.fast_path, soak.plain_path], ids=lambda job: job.__name__)
def soaked(request, place):
    """What the job found."""
    ended = run(request.param, place)
    assert ended.code == 0, ended.said
    found = json.loads(ended.said.splitlines()[-1])
    print(found["early"], found["late"], ended.seconds)
    return found


def test_all_were_steered(soaked):
    counts = soaked["counts"]
    assert sum(of["requests"] for of in counts.values()) == soaked["requests"]
    assert all(of["interventions"] > 0 for of in counts.values())


def test_memory_files_and_threads_are_flat(soaked):
    early, late = soaked["early"], soaked["late"]
    assert late["files"] == early["files"]
    assert late["threads"] == early["threads"]
    assert late["tensors"] == early["tensors"]
    assert late["objects"] - early["objects"] < soaked["between"] / 10  # not one for each request, nor for each batch
    assert late["rss"] - early["rss"] < SETTLING + soaked["between"] * KEPT / 10


def test_the_model_is_what_it_was_to_the_bit(soaked):
    assert soaked["model"] == dict.fromkeys(soaked["model"], True)
    assert {"weights", "modules", "config", "attention"} <= soaked["model"].keys()


def test_settings_and_random_states_of_the_process_are_what_they_were(soaked):
    assert soaked["process"] == dict.fromkeys(soaked["process"], True)


def test_of_other_packages_only_the_task_manager_is_changed_and_by_registering(soaked):
    assert {tuple(name.split(".")[-2:]) for name in soaked["patched"]} == {("TaskManager", "__init__")}
    assert soaked["replaced"] == []


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
