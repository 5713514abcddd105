"""`cachesteer study`, as a user runs it; lm_eval itself is replaced where it would start as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_cachesteer import SteeringVectors
from lm_eval_cachesteer.study.arms import SAMPLING

from ..conftest import make_vectors
from ..results.scored import STEPWISE, write_scored

GREEDY = ["baseline", "CoT prompt", "cache steering", "cache steering + CoT prompt", "activation steering"]
FOLDERS = ["baseline", "CoT_prompt", "cache_steering", "cache_steering-CoT_prompt", "activation_steering"]
# Right answers of 40.
RIGHT = dict(zip(FOLDERS, (20, 22, 32, 28, 18), strict=True))
TASK, WITHOUT_COT = "cachesteer_offline_choice", "cachesteer_offline_open"
CACHESTEER = Path(sys.executable).with_name("cachesteer")


class Child:
    """Does what `lm_eval` would do: writes a result folder, and prints something.

    Attributes:
        calls: The words after `lm_eval`, call by call.
        failing: The arm, by its folder, that fails after having written something.
    """

    def __init__(self):
        self.calls, self.failing = [], None

    def __call__(self, command, *, check, stdout):  # noqa: ARG002 - as subprocess.run is called
        assert command[:3] == [sys.executable, "-m", "lm_eval_cachesteer"]
        words = command[3:]
        self.calls.append(words)
        print("[table of lm_eval]", file=stdout or sys.stdout)
        folder, arguments = Path(option(words, "--output_path")), json.loads(option(words, "--model_args"))
        model = folder / "model"
        if folder.name == self.failing:
            model.mkdir(parents=True)
            (model / "half").write_text("of a result")
            return subprocess.CompletedProcess(command, 1)
        right = RIGHT[folder.name.removesuffix("-sampled")] - 2 * folder.name.endswith("-sampled")
        config = {"model": option(words, "--model"), "model_args": arguments}
        if "--gen_kwargs" in words:
            config["gen_kwargs"] = json.loads(option(words, "--gen_kwargs"))
        write_scored(
            model,
            dict.fromkeys(option(words, "--tasks").split(","), "1" * right + "0" * (40 - right)),
            vectors=[STEPWISE] if "vectors" in arguments else [],
            config=config,
            date=f"2026-11-01T10-00-00.{len(self.calls):06}",
        )
        return subprocess.CompletedProcess(command, 0)

    @property
    def arms(self):
        """The folders of the arms that were run."""
        return [Path(option(words, "--output_path")).name for words in self.calls]


def option(words, name):
    return words[words.index(name) + 1]


@pytest.fixture
def child(monkeypatch):
    child = Child()
    monkeypatch.setattr(subprocess, "run", child)
    return child


@pytest.fixture
def vectors(llama, tokenizer, tmp_path):
    path = tmp_path / "mine.safetensors"
    make_vectors(llama, tokenizer, offset_token="\n", offset_token_id=tokenizer.encode("\n")[0]).save(path)
    return path


@pytest.fixture
def study(cachesteer, only_shipped_tasks, llama_folder, vectors, tmp_path):
    """Runs the command on the tiny llama."""
    pairs = [{"positive": f"Because of {i}.", "negative": f"It is {i}."} for i in range(3)]
    contrast = tmp_path / "pairs.jsonl"
    contrast.write_text("\n".join(map(json.dumps, pairs)))
    given = ["--pretrained", llama_folder, "--vectors", vectors, "--contrast", contrast, "--out", tmp_path / "study"]

    def run(*arguments):
        return cachesteer("study", *given, "--tasks", f"{TASK},{WITHOUT_COT}", *arguments)

    return run


def document(finished):
    assert finished.code == 0, finished.error
    return json.loads(finished.out, parse_constant=lambda name: pytest.fail(name))


def test_every_arm_is_run_and_summed_up(study, child, llama_folder, tmp_path):
    found = document(study("--json", "--limit", 40, "--gen-kwargs", "max_gen_toks=8"))
    out = tmp_path / "study"
    assert found["folder"] == str(out)
    assert [arm["name"] for arm in found["arms"]] == GREEDY
    assert {arm["state"] for arm in found["arms"]} == {"run"}
    assert [arm["folder"] for arm in found["arms"]] == [str(out / name) for name in FOLDERS]
    assert [arm["command"] for arm in found["arms"]] == [["lm_eval", *words] for words in child.calls]
    plain, cot = [TASK, WITHOUT_COT], [f"{TASK}_cot"]
    assert [arm["tasks"] for arm in found["arms"]] == [plain, cot, plain, cot, plain]

    models = [option(words, "--model") for words in child.calls]
    assert models == ["hf-cachesteer"] * 4 + ["steered"]
    arguments = [json.loads(option(words, "--model_args")) for words in child.calls]
    assert {one["pretrained"] for one in arguments} == {str(llama_folder)}
    assert [one.get("offset_token") for one in arguments] == ["\n", "\n", None, None, None]  # as the vectors record
    assert ["vectors" in one for one in arguments] == [False, False, True, True, False]
    assert Path(arguments[4]["steer_path"]).is_file()
    for words in child.calls:
        assert {"--log_samples", "--apply_chat_template"} <= set(words)
        assert (option(words, "--limit"), option(words, "--batch_size")) == ("40", "16")
        assert json.loads(option(words, "--gen_kwargs")) == {"max_gen_toks": 8}

    entries = {Path(e["path"]).parents[1].name: e for e in found["leaderboard"] if e["group"] == TASK}
    assert {name: entry["score"] for name, entry in entries.items()} == {n: r / 40 for n, r in RIGHT.items()}
    assert [name for name, entry in entries.items() if entry["is_baseline"]] == ["baseline"]
    for name, entry in entries.items():
        if name != "baseline":
            assert entry["paired"]["found"]["difference"] == pytest.approx((RIGHT[name] - 20) / 40)
    assert entries["cache_steering"]["paired"]["verdict"] == "better"
    (report,) = found["reports"]
    assert report["path"] == str(out / "report.html")
    assert report["bytes"] == (out / "report.html").stat().st_size
    assert report["runs"] == 5


def test_a_terminal_sees_commands_table_and_report(study, child, tmp_path):
    finished = study()
    shown = " ".join(finished.out.split())
    assert shown.count("$ lm_eval --model ") == 5
    assert "0.8 ±0.05 │ +0.3 better" in shown
    assert shown.endswith(" MB")
    assert f"{tmp_path / 'study' / 'report.html'}: 5 runs" in shown


def test_finished_arms_are_kept(study, child, tmp_path):
    first = document(study("--json"))
    child.calls.clear()
    second = document(study("--json"))
    assert child.calls == []
    assert {arm["state"] for arm in second["arms"]} == {"kept"}
    assert second["leaderboard"] == first["leaderboard"]
    (tmp_path / "study/baseline/stale").write_text("")
    assert {arm["state"] for arm in document(study("--json", "--fresh"))["arms"]} == {"run"}
    assert child.arms == FOLDERS
    for folder in FOLDERS:
        assert len(list((tmp_path / "study" / folder).rglob("results_*.json"))) == 1  # not beside old ones
    assert not (tmp_path / "study/baseline/stale").exists()


@pytest.mark.parametrize(
    ("changed", "run_again"),
    [
        (["--steering", "c_values=3"], ["cache_steering", "cache_steering-CoT_prompt"]),
        (["--layer", 1], ["activation_steering"]),
        (["--coefficient", 2], ["activation_steering"]),
        (["--limit", 3], FOLDERS),
    ],
)
def test_an_arm_is_run_again_if_what_decides_it_has_changed(study, child, changed, run_again):
    study()
    child.calls.clear()
    assert study(*changed).code == 0
    assert child.arms == run_again


def test_vectors_made_anew_under_the_same_name_are_other_vectors(study, child, vectors, llama, tokenizer):
    study()
    child.calls.clear()
    before = SteeringVectors.load(vectors)
    make_vectors(llama, tokenizer, seed=1, offset_token="\n", offset_token_id=before.metadata.offset_token_id).save(
        vectors
    )
    study()
    assert child.arms == ["cache_steering", "cache_steering-CoT_prompt"]


def test_an_arm_that_fails_ends_the_study_and_keeps_what_is_finished(study, child, tmp_path):
    child.failing = "cache_steering"
    finished = study("--json")
    assert finished[:2] == (3, "")
    assert finished.error.splitlines()[-1] == (
        "Error: cache steering: lm_eval ended with exit code 1; its message is above. Finished arms are kept: the "
        "same command goes on with this one."
    )
    assert child.arms == FOLDERS[:3]
    child.calls.clear()
    child.failing = None
    states = [arm["state"] for arm in document(study("--json"))["arms"]]
    assert states == ["kept", "kept", "run", "run", "run"]
    assert child.arms == FOLDERS[2:]
    assert not list((tmp_path / "study").rglob("half"))


def test_sampled_arms_have_a_leaderboard_and_a_report_of_their_own(study, child, tmp_path):
    found = document(study("--sampled", "--json"))
    assert [arm["name"] for arm in found["arms"]] == GREEDY + [f"{name}, sampled" for name in GREEDY]
    given = [json.loads(option(words, "--gen_kwargs")) if "--gen_kwargs" in words else None for words in child.calls]
    assert given == [None] * 5 + [SAMPLING] * 5
    entries = {Path(e["path"]).parents[1].name: e for e in found["leaderboard"] if e["group"] == TASK}
    assert [name for name, entry in entries.items() if entry["is_baseline"]] == ["baseline", "baseline-sampled"]
    for name, right in RIGHT.items():
        for one in (name, f"{name}-sampled"):
            expected = None if name == "baseline" else pytest.approx((right - 20) / 40)  # each from its own baseline
            assert entries[one]["difference"] == expected
    assert [Path(report["path"]).name for report in found["reports"]] == ["report.html", "report-sampled.html"]


def test_arms_and_tasks_can_be_left_out(study, child):
    finished = study("--no-activation", "--tasks", WITHOUT_COT)
    assert finished.code == 0
    assert child.arms == ["baseline", "cache_steering"]
    assert "CoT prompt: left out, no task has a variant *_cot." in finished.out
    states = [arm["state"] for arm in document(study("--no-activation", "--tasks", WITHOUT_COT, "--json"))["arms"]]
    assert states == ["kept", "left out", "kept", "left out"]


def test_a_folder_of_somebody_else_is_not_cleared(study, child, tmp_path):
    own = write_scored(tmp_path / "study" / "cache_steering" / "model", {TASK: "10"})
    finished = study()
    assert finished[:2] == (3, "")
    assert "cache_steering holds files that no study wrote. Choose another folder with --out." in finished.error
    assert own.is_file()
    assert child.calls == []


def test_without_plotly_the_study_goes_without_a_report(study, child, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    finished = study("--json")
    assert document(finished)["reports"] == []
    assert "No report will be written. A report needs plotly." in finished.error
    assert not (tmp_path / "study" / "report.html").exists()


def test_arguments_of_our_own_are_not_given_to_the_harness_s_model(study, child):
    study("--model-args", "dtype=float32,kv_memory=1,offset_token=none")
    arguments = [json.loads(option(words, "--model_args")) for words in child.calls]
    assert [one.get("kv_memory") for one in arguments] == [1, 1, 1, 1, None]
    assert [one.get("offset_token", "absent") for one in arguments] == ["none", "none", None, None, "absent"]
    assert {one["dtype"] for one in arguments} == {"float32"}


@pytest.mark.slow
def test_the_embedded_model_is_studied(embedded_folder, tmp_path):
    """All ten arms for real: one document, four tokens, an activation vector of two pairs."""
    contrast = tmp_path / "rhyme.jsonl"
    pairs = [
        {"positive": f"Answer in rhyme.\n{word}?\nAnswer:", "negative": f"{word}?\nAnswer:"} for word in ("Who", "Why")
    ]
    contrast.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    command = [CACHESTEER, "study", "--tasks", TASK, "--limit", "1", "--sampled", "--gen-kwargs", "max_gen_toks=4"]
    command += ["--out", tmp_path / "study", "--contrast", contrast, "--json"]
    environment = os.environ | {"COLUMNS": "200"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)
    assert [(arm["name"], arm["state"]) for arm in found["arms"]] == [
        (name + suffix, "run") for suffix in ("", ", sampled") for name in GREEDY
    ]
    assert len(found["leaderboard"]) == 10
    assert {entry["documents"] for entry in found["leaderboard"]} == {1}
    assert len(found["reports"]) == 2
    for arm in found["arms"]:
        (path,) = Path(arm["folder"]).rglob("results_*.json")
        config = json.loads(path.read_text())["config"]
        steered = arm["name"].startswith("cache steering")
        assert config["model"] == ("steered" if arm["name"].startswith("activation") else "hf-cachesteer")
        assert config["gen_kwargs"] == {"max_gen_toks": 4} | (SAMPLING if arm["sampled"] else {})
        if config["model"] == "hf-cachesteer":
            assert config["steering"]["offset_token"] == "\n"  # of unsteered arms too
            assert config["steering"]["counts"]["generate_until"]["interventions"] == int(steered)
        (samples,) = Path(arm["folder"]).rglob("samples_*.jsonl")
        answers = [json.loads(line)["resps"] for line in samples.read_text().splitlines()]
        assert all(isinstance(answer, str) for ((answer,),) in answers)
