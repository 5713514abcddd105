"""Two processes on CPUs, started by accelerate: the run of one process, item by item."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import random_texts
from . import ranks
from .support import read_run, write_task

DOCUMENTS = 5  # over two ranks: three and two
REPEATS = 3
LAUNCH = [
    *(str(Path(sys.executable).parent / "accelerate"), "launch", "--multi_gpu", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port"),
]
PATIENCE = 300  # seconds; ranks that wait for each other would wait forever


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder with one task of each kind, in which all prompts differ, and one that only rank 1 fails at."""
    folder = tmp_path_factory.mktemp("tasks")
    documents = [{"text": text, "answer": i % 2} for i, text in enumerate(random_texts(DOCUMENTS, 10, 60))]
    generated = {"output_type": "generate_until", "doc_to_text": "{{text}}", "doc_to_target": "{{answer}}"}
    generated["metric_list"] = [{"metric": "exact_match"}]
    greedy = {"until": [], "max_gen_toks": 12, "do_sample": False}
    write_task(folder, "tiny_text", documents, **generated, generation_kwargs=greedy)
    sampled = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 0.8}
    write_task(folder, "tiny_sampled", documents, **generated, generation_kwargs=sampled, repeats=REPEATS)
    choice = {"output_type": "multiple_choice", "doc_to_text": "{{text}}", "doc_to_target": "answer"}
    choice["metric_list"] = [{"metric": "acc"}, {"metric": "acc_norm"}]
    write_task(folder, "tiny_choice", documents, **choice, doc_to_choice=["yes", "no", "A"])
    broken = [{"text": "fine", "choices": ["a", "b"]}, {"text": "too long for rank 1", "choices": ["a", 999 * "b"]}]
    broken = [document | {"answer": 0} for document in broken]
    write_task(folder, ranks.BROKEN, broken, **choice, doc_to_choice="choices")
    long = [{"text": text} for text in random_texts(DOCUMENTS, 100, 700)]  # one window or several
    rolling = {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}"}
    rolling["metric_list"] = [{"metric": "word_perplexity"}, {"metric": "bits_per_byte"}]
    write_task(folder, "tiny_rolling", long, **rolling)
    return folder


@pytest.fixture(scope="module")
def one_process(tasks, llama_folder, vectors_file, tmp_path_factory):
    """The run to equal: results and samples."""
    folder = tmp_path_factory.mktemp("one")
    ranks.evaluate(
        tasks, ranks.TASKS, folder, model_args=f"pretrained={llama_folder},vectors={vectors_file},c_values=2"
    )
    return read_run(folder)


@dataclass
class Launched:
    """A launched run.

    Attributes:
        folder: What it has written.
        results: Its results file.
        samples: By task, its logged samples.
        returncode: Exit status of the launcher.
        stderr: What launcher and ranks have said.
    """

    folder: Path
    results: dict
    samples: dict
    returncode: int
    stderr: str


@pytest.fixture(scope="module")
def two_processes(tasks, llama_folder, vectors_file, tmp_path_factory):
    """The same run by `accelerate launch`, with response caches; then what else ranks.py does."""
    folder = tmp_path_factory.mktemp("two")
    arguments = map(str, (tasks, llama_folder, vectors_file, folder))
    finished = subprocess.run(
        [*LAUNCH, str(free_port()), "-m", "tests.processes.ranks", *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert list(folder.glob("run/*/results_*.json")), finished.stderr[-3000:]
    return Launched(folder, *read_run(folder / "run"), finished.returncode, finished.stderr)


def free_port():
    """A port nobody listens at; the oldest accelerate cannot find one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_close(found, expected, place=""):
    """Equal but for numbers, also within logged texts such as "-12.5", which may differ by rounding."""
    if isinstance(expected, dict | list):
        assert type(found) is type(expected) and len(found) == len(expected), place
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            assert_close(found[key], expected[key], f"{place}/{key}")
        return
    try:
        assert float(found) == pytest.approx(float(expected), rel=1e-4, abs=1e-4), place
    except (TypeError, ValueError):
        assert found == expected, place


@pytest.mark.parametrize("task", ranks.TASKS)
def test_samples_are_those_of_one_process_in_the_same_order(task, one_process, two_processes):
    _, expected = one_process
    assert [sample["doc_id"] for sample in two_processes.samples[task]] == list(range(DOCUMENTS))
    assert_close(two_processes.samples[task], expected[task])


def test_texts_are_equal_to_the_letter(one_process, two_processes):
    _, expected = one_process
    for task in ("tiny_text", "tiny_sampled"):
        found = [sample["resps"] for sample in two_processes.samples[task]]
        assert found == [sample["resps"] for sample in expected[task]]
    assert all(len(set(sample["resps"][0])) > 1 for sample in two_processes.samples["tiny_sampled"])  # drawn anew


def test_metrics_and_hashes_are_those_of_one_process(one_process, two_processes):
    expected, _ = one_process
    for section in ("results", "n-samples", "n-shot", "higher_is_better", "versions"):
        assert_close(two_processes.results[section], expected[section], section)
    assert two_processes.results["task_hashes"] == expected["task_hashes"]


def test_every_document_is_counted_once_by_whichever_rank(one_process, two_processes):
    expected, _ = one_process
    config = two_processes.results["config"]
    counts = config["steering"]["counts"]
    assert counts == expected["config"]["steering"]["counts"]
    generated = DOCUMENTS * (1 + REPEATS)
    assert (counts["generate_until"]["requests"], counts["generate_until"]["interventions"]) == (generated, generated)
    choices = DOCUMENTS * 3
    assert (counts["loglikelihood"]["requests"], counts["loglikelihood"]["interventions"]) == (choices, choices)
    assert counts["loglikelihood_rolling"]["requests"] == DOCUMENTS
    assert counts["loglikelihood_rolling"]["interventions"] > DOCUMENTS  # windows
    assert (config["processes"], expected["config"]["processes"]) == (2, 1)


def test_each_rank_has_a_response_cache_of_its_own(two_processes):
    caches = {path.name for path in two_processes.folder.glob("responses*.db")}
    assert caches == {"responses_rank0.db", "responses_rank1.db"}


def test_only_the_first_rank_shows_progress(two_processes):
    lines = two_processes.stderr.replace("\r", "\n").splitlines()
    shown = "".join(line for line in lines if "Running generate_until" in line)
    per_document = 1 + REPEATS
    assert f" {3 * per_document}/{3 * per_document} [" in shown  # documents 0, 2 and 4
    assert f" {2 * per_document}/{2 * per_document} [" not in shown


def test_tensor_parallel_answers_are_those_of_one_process(llama_folder, vectors_file, two_processes):
    expected = ranks.answer(llama_folder, vectors_file)
    assert expected.pop("heads") == [2]
    for rank in (0, 1):
        found = json.loads((two_processes.folder / f"answers_{rank}.json").read_text())
        assert found.pop("heads") == [1]  # its own
        assert found["texts"] == expected["texts"]
        assert_close(found["scores"], [list(score) for score in expected["scores"]])
        assert_close(found["rolling"], expected["rolling"])
        for kind, counts in expected["counts"].items():
            assert found["counts"][kind]["interventions"] == counts["interventions"] > 0


def test_an_error_on_one_rank_ends_the_run_with_its_message(two_processes):
    assert two_processes.returncode != 0
    message = "ArgumentError: A continuation has 1000 tokens; allowed are 1 to the model's maximum length, 256."
    assert message in two_processes.stderr
    assert not list(two_processes.folder.glob("broken/*/results_*.json"))
