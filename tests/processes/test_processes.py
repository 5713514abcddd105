"""What ranks share and how what they found is put together, without starting any."""

import os
from types import SimpleNamespace

import pytest
import torch
from lm_eval.api.model import CachingLM
from typer.testing import CliRunner

from lm_eval_cachesteer import cli
from lm_eval_cachesteer.core.edit import CacheEdit
from lm_eval_cachesteer.errors import ArgumentError, ResponseCacheError, ResultsError, VectorMismatchError
from lm_eval_cachesteer.harness import processes
from lm_eval_cachesteer.harness.arguments import SteeringArguments
from lm_eval_cachesteer.harness.backend import CacheSteerLM
from lm_eval_cachesteer.harness.counts import InterventionCounts
from lm_eval_cachesteer.harness.processes import Neighbours, Place, in_document_order, share_cores, warn_if_alone
from lm_eval_cachesteer.harness.tensor_parallel import local_part
from lm_eval_cachesteer.sweep.evaluation import HarnessEvaluator, Work


def place(host, *cores):
    return Place(host, frozenset(cores))


@pytest.mark.parametrize(
    ("others", "memory", "cores"),
    [
        ([], 1, 1),
        ([place("a", 0, 1, 2, 3)], 2, 2),  # both on all cores
        ([place("a", 4, 5), place("b", 0, 1)], 2, 1),  # bound to cores of their own, and on another machine
    ],
)
def test_neighbours_share_memory_on_a_machine_and_cores_where_they_overlap(others, memory, cores):
    mine = place("a", 0, 1, 2, 3)
    assert Neighbours.of(mine, [mine, *others]) == Neighbours(memory, cores)


@pytest.fixture
def threads(monkeypatch):
    """Records the threads asked for; torch reports one."""
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    return asked


@pytest.mark.parametrize(("alone", "sharing", "each"), [(8, 2, 4), (8, 3, 2), (2, 4, 1)])
def test_threads_are_divided(monkeypatch, threads, alone, sharing, each):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share_cores(alone, sharing)
    assert threads == [each]


@pytest.mark.parametrize(("cores", "said"), [(16, True), (4, True), (3, False)])
def test_a_given_number_of_threads_is_kept_and_idle_cores_are_named(monkeypatch, threads, caplog, cores, said):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(Place, "here", lambda: place("a", *range(cores)))
    monkeypatch.setattr(processes.psutil, "cpu_count", lambda **_: 64)
    share_cores(8, 2)
    assert threads == []
    assert (f"Set OMP_NUM_THREADS={cores // 2}" in caplog.text) == said


@pytest.mark.parametrize(("rank", "said"), [(None, True), ("0", False)])
def test_a_launch_that_started_one_process_only_is_named(monkeypatch, caplog, rank, said):
    """The environment in which `accelerate launch --num_processes 2` runs a program where there are no GPUs."""
    for name, value in {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_MIXED_PRECISION": "no", "LOCAL_RANK": rank}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    warn_if_alone()
    assert ("needs --multi_gpu" in caplog.text) == said
    assert "LOCAL_RANK" not in os.environ or rank


def samples(task_filters, documents):
    return [{"filter": name, "doc_id": i} for name in task_filters for i in documents]


def test_what_was_dealt_out_is_put_back_in_order():
    gathered = [
        {"t": samples(["one", "two"], [0, 3, 6])},
        {"t": samples(["one", "two"], [1, 4])},
        {"t": samples(["one", "two"], [2, 5])},
    ]
    merged, *rest = in_document_order(gathered)
    assert merged["t"] == samples(["one", "two"], range(7))
    assert [found["t"] for found in rest] == [[], []]


def test_figures_are_put_back_in_order_for_each_metric():
    acc, f1 = ("acc", "none"), ("f1", "none")
    gathered = [{"t": {acc: [0, 2, 4], f1: [0.0, 0.2]}}, {"t": {acc: [1, 3], f1: [0.1]}}]
    merged, other = in_document_order(gathered)
    assert merged["t"] == {acc: [0, 1, 2, 3, 4], f1: [0.0, 0.1, 0.2]}
    assert other["t"][acc] == []  # the harness reads every metric of rank 0 from all


def test_a_metric_that_rank_0_has_not_seen_is_refused_not_dropped():
    with pytest.raises(ResultsError, match=r"'t' reports \('late', 'none'\) .* Run this task in one process"):
        in_document_order([{"t": {("acc", "none"): [1]}}, {"t": {("acc", "none"): [1], ("late", "none"): [1]}}])


def test_counts_of_ranks_add_up():
    ranks = [InterventionCounts(), InterventionCounts()]
    ranks[0].of("generate_until").add(requests=3, steered=2, wanted=3, near_ties=1)
    ranks[1].of("generate_until").add(requests=2, steered=2, wanted=2)
    ranks[1].of("loglikelihood").add(requests=1)
    assert InterventionCounts.total(ranks).summary() == {
        "generate_until": {"requests": 5, "interventions": 4, "not_steered": 1, "near_ties": 1},
        "loglikelihood": {"requests": 1, "interventions": 0, "not_steered": 0, "near_ties": 0},
    }


def test_a_sweep_in_several_processes_is_refused():
    lm = SimpleNamespace(world_size=2)
    work = Work(["any"], metric=None, limit=None, held_out=0.5, seed=0, chat=False, fewshot=None)
    with pytest.raises(ArgumentError, match="A sweep runs in one process, and 2 were started"):
        HarnessEvaluator(lm, SteeringArguments(), work)


def test_a_study_in_several_processes_is_refused(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(cli.app, ["study"])
    assert str(result.exception).startswith("A study runs in one process, and 2 were started")


def test_tensor_parallel_in_one_process_is_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ArgumentError, match="tp_plan='auto' needs several processes.*torchrun"):
        CacheSteerLM("no/such-model", tp_plan="auto")


def test_tensor_parallel_with_a_batch_size_that_each_process_finds_for_itself_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ArgumentError, match="batch_size='auto' does not go with tp_plan"):
        CacheSteerLM("no/such-model", tp_plan="auto", batch_size="auto")


@pytest.fixture
def second_of_two(monkeypatch):
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)


@pytest.mark.parametrize("heads", [2, 4])
def test_the_part_of_an_edit_is_that_of_the_heads_in_this_process(second_of_two, llama, vectors, heads):
    """The tiny llama has two KV heads: all of a vector with two, the second half of one with four."""
    numbers = torch.arange(1.0, heads + 1)[:, None]  # so that no two heads are alike
    wide = {i: torch.cat([delta] * (heads // 2)) * numbers for i, delta in vectors.keys.items()}
    part = local_part(CacheEdit(wide, wide), llama, torch.device("cpu"))
    for i, delta in wide.items():
        assert torch.equal(part.keys[i], delta[heads - 2 :])
        assert torch.equal(part.values[i], delta[heads - 2 :])


def test_heads_that_the_processes_do_not_share_evenly_are_refused(second_of_two, llama, vectors):
    odd = {i: torch.cat([delta, delta[:1]]) for i, delta in vectors.keys.items()}
    with pytest.raises(VectorMismatchError, match="has 2 KV heads in each of 2 processes, but the vectors have 3"):
        local_part(CacheEdit(odd, odd), llama, torch.device("cpu"))


def test_a_response_cache_with_tensor_parallel_is_refused(monkeypatch, backend, tmp_path):
    lm = backend()
    monkeypatch.setattr(lm.model, "_tp_size", 2)
    with pytest.raises(ResponseCacheError, match="--use_cache does not go with tp_plan"):
        CachingLM(lm, str(tmp_path / "responses.db"))


def test_a_device_map_without_parallelize_is_named_as_idle(backend, caplog):
    backend(device_map={"": "cpu"})
    assert "has no effect without parallelize=True" in caplog.text
