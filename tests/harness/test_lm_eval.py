"""The harness's own front doors, run as a user runs them, with the tiny llama and the shipped demo task."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(command, cwd, **environment):
    finished = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=os.environ | environment
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished


def results_below(folder):
    (path,) = Path(folder).rglob("results_*.json")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def options(llama_folder, tmp_path_factory, llama, tokenizer):
    from ..conftest import make_vectors

    path = tmp_path_factory.mktemp("vectors") / "chat.safetensors"
    make_vectors(llama, tokenizer, offset_token="\n", offset_token_id=tokenizer.encode("\n")[0]).save(path)
    model_args = f"pretrained={llama_folder},vectors={path},c_values=2,max_length=1024"
    return [
        *("--model", "hf-cachesteer", "--model_args", model_args, "--tasks", "cachesteer_demo", "--limit", "2"),
        *("--apply_chat_template", "--gen_kwargs", "max_gen_toks=4"),
    ]


FRONT_DOORS = {
    "lm_eval": ([BIN / "lm_eval"], {}),
    "lm-eval run": ([BIN / "lm-eval", "run"], {}),
    "python -m, no hook": ([sys.executable, "-m", "lm_eval_cachesteer"], {"CACHESTEER_NO_HOOK": "1"}),
}


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_command_lines_run_steered_and_record_it(door, options, tmp_path):
    program, environment = FRONT_DOORS[door]
    run([*program, *options, "--output_path", tmp_path, "--log_samples"], tmp_path, **environment)
    results = results_below(tmp_path)
    steering = results["config"]["steering"]
    assert steering["counts"]["generate_until"] == {"requests": 2, "interventions": 2, "not_steered": 0, "near_ties": 0}
    assert steering["offset_token"] == "\n"
    assert steering["layers"] == [1, 2, 3]
    (recorded,) = steering["vectors"]
    assert recorded["c_values"] == 2.0
    assert recorded["c_keys"] == 0.0
    assert len(recorded["sha256"]) == 64
    assert set(steering["versions"]) >= {"lm-eval", "torch", "transformers", "lm-eval-cachesteer"}
    assert "stepwise,response" in results["results"]["cachesteer_demo"]


def test_a_config_file_runs_and_takes_lists(options, llama_folder, tmp_path):
    import yaml

    model_args = dict(part.split("=", 1) for part in options[3].split(","))
    config = {
        "model": "hf-cachesteer",
        "model_args": model_args | {"layers": [1, 3], "c_values": 2.0, "max_length": 1024},
        "tasks": ["cachesteer_demo"],
        "limit": 2,
        "apply_chat_template": True,
        "gen_kwargs": {"max_gen_toks": 4},
        "output_path": str(tmp_path / "out"),
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run([BIN / "lm-eval", "run", "--config", tmp_path / "run.yaml"], tmp_path)
    assert results_below(tmp_path / "out")["config"]["steering"]["layers"] == [1, 3]


def test_simple_evaluate_and_every_request_type(llama_folder, vectors_file, tmp_path):
    import lm_eval
    from lm_eval.tasks import TaskManager

    documents = [{"text": "a short text", "answer": 1}, {"text": "and another", "answer": 0}]
    (tmp_path / "docs.jsonl").write_text("\n".join(map(json.dumps, documents)))
    data = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {tmp_path}/docs.jsonl\ntest_split: test\n"
    (tmp_path / "choice.yaml").write_text(
        "task: tiny_choice\noutput_type: multiple_choice\ndoc_to_text: '{{text}}'\ndoc_to_choice: [A, B]\n"
        "doc_to_target: answer\nmetric_list: [{metric: acc}]\n" + data
    )
    (tmp_path / "rolling.yaml").write_text(
        "task: tiny_rolling\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        "metric_list: [{metric: word_perplexity}]\n" + data
    )
    results = lm_eval.simple_evaluate(
        model="hf-cachesteer",
        model_args={"pretrained": str(llama_folder), "vectors": str(vectors_file), "c_values": 2.0},
        tasks=["tiny_choice", "tiny_rolling"],
        task_manager=TaskManager(include_path=str(tmp_path)),
        device="cpu",
        batch_size=2,
    )
    counts = results["config"]["steering"]["counts"]
    assert counts["loglikelihood"] == {"requests": 4, "interventions": 4, "not_steered": 0, "near_ties": 0}
    assert counts["loglikelihood_rolling"] == {"requests": 2, "interventions": 2, "not_steered": 0, "near_ties": 0}


def test_errors_reach_the_user_in_one_message(llama_folder, tmp_path):
    finished = subprocess.run(
        [
            *(str(BIN / "lm_eval"), "--model", "hf-cachesteer", "--tasks", "cachesteer_demo", "--limit", "1"),
            *("--model_args", f"pretrained={llama_folder},vectors=nothing-like-this"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert finished.returncode != 0
    assert (
        "No vectors are known as 'nothing-like-this'. Known: analogical_reasoning" in finished.stderr.splitlines()[-1]
    )
