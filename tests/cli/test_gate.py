"""`cachesteer gate`, as a user and a workflow run it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..gate.support import parsed_xml, steered
from ..results.support import right_and_wrong, write_run

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")


@pytest.fixture
def runs(tmp_path):
    write_run(tmp_path / "base", {"arith": right_and_wrong("1" * 20 + "0" * 20)})
    write_run(tmp_path / "candidate", {"arith": right_and_wrong("1" * 32 + "0" * 8)}, **steered())
    return tmp_path


def gate(folder, check, *more, candidate="candidate"):
    (folder / "policy.yaml").write_text(f"checks: [{check}]")
    arguments = ("--baseline", folder / "base", "--candidate", folder / candidate, "--policy", folder / "policy.yaml")
    return run(*arguments, *more)


def run(*arguments):
    return subprocess.run([CACHESTEER, "gate", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("check", "exit_code", "outcome"),
    [
        ("{metric: exact_match, better_by: 0.1}", 0, "pass"),
        ("{metric: exact_match, at_least: 0.9}", 1, "fail"),
        ("{metric: exact_match, better_by: 0.2}", 2, "inconclusive"),
    ],
)
def test_outcomes_are_exit_codes_and_every_report_is_written(runs, check, exit_code, outcome):
    reports = ("--junit", runs / "new" / "gate.xml", "--markdown", runs / "new" / "gate.md")
    finished = gate(runs, check, *reports)
    assert finished.returncode == exit_code, finished.stderr
    assert finished.stdout.strip().splitlines()[-1].startswith(f"{outcome}: ")
    assert "arith: exact_match, " in finished.stdout
    assert sorted(file.name for file in (runs / "new").iterdir()) == ["gate.md", "gate.xml"]
    assert len(list(parsed_xml((runs / "new" / "gate.xml").read_text()).iter("testcase"))) == 2
    assert (runs / "new" / "gate.md").read_text().startswith("### Steering gate: ")


def test_json_holds_every_figure(runs):
    finished = gate(runs, "{metric: exact_match, better_by: 0.2}", "--json")
    found = json.loads(finished.stdout)
    assert (finished.returncode, found["exit_code"], found["outcome"]) == (2, 2, "inconclusive")
    assert [result["check"] for result in found["results"]] == ["candidate steered", "exact_match, better by 0.2"]
    assert found["results"][1]["difference"] == pytest.approx(0.3)
    assert found["results"][1]["needed"] > 40


@pytest.mark.parametrize(
    ("check", "candidate", "message"),
    [
        ("{metric: exact_match, at_leest: 0.9}", "candidate", "did you mean 'at_least'?"),
        ("{metric: f1, at_least: 0.9}", "candidate", "has the metric 'f1'"),
        ("{metric: f1, at_least: 0.9}", "[red]missing[/red]", "[red]missing[/red]"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_3_in_the_reports_too(runs, check, candidate, message):
    (runs / "gate.xml").write_text("an old report")
    reports = ("--junit", runs / "gate.xml", "--markdown", runs / "gate.md")
    finished = gate(runs, check, *reports, candidate=candidate)
    assert finished.returncode == 3
    assert message in " ".join(finished.stderr.split())
    assert "Traceback" not in finished.stderr
    assert message in parsed_xml((runs / "gate.xml").read_text()).find(".//error").get("message")
    assert "bad input" in (runs / "gate.md").read_text()


def test_a_report_that_cannot_be_written_is_bad_input(runs):
    finished = gate(runs, "{metric: exact_match, at_least: 0.5}", "--junit", runs / "policy.yaml" / "gate.xml")
    assert finished.returncode == 3
    assert "cannot be written" in " ".join(finished.stderr.split())


@pytest.mark.parametrize("arguments", [[], ["--nonsense"], ["--seed", "x"], ["extra"]])
def test_wrong_usage_does_not_look_inconclusive(arguments):
    finished = run(*arguments)
    assert finished.returncode == 3
    assert "Usage: cachesteer gate" in finished.stderr


def test_help_is_no_error():
    finished = run("--help")
    assert finished.returncode == 0
    assert "Example:" in finished.stdout


class TestTheExampleWorkflow:
    """Its steps after the evaluation, run with bash as GitHub does."""

    @pytest.fixture
    def steps(self):
        workflow = yaml.safe_load((EXAMPLES / "github-workflow.yml").read_text())
        (job,) = workflow["jobs"].values()
        return job["steps"]

    def shell(self, steps, word, folder):
        (step,) = (step for step in steps if word in step.get("run", ""))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PATH": path}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return step, subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    @pytest.mark.parametrize(("followed", "exit_code"), [(45, 0), (20, 1)])
    def test_it_judges_reports_and_sums_up(self, steps, tmp_path, followed, exit_code):
        (evaluation,) = (step["run"] for step in steps if "lm_eval " in step.get("run", ""))
        candidate = re.search(r"--output_path (\S+)", evaluation)[1]
        assert "--log_samples" in evaluation
        shutil.copytree(EXAMPLES, tmp_path / "steering")
        for place, right in (("steering/baseline", 46), (candidate, followed)):
            samples = [
                {"document": f"d{i}", "stepwise": float(i < right), "looping": 0.0, "repetition": 0.01 * (i % 7)}
                for i in range(50)
            ]
            content = {"versions": {"cachesteer_demo": 1.0}, "task_hashes": {"cachesteer_demo": "aa"}} | steered()
            better = {"stepwise": True, "looping": False, "repetition": False}
            write_run(tmp_path / place, {"cachesteer_demo": samples}, higher_is_better=better, **content)
        _, judged = self.shell(steps, "cachesteer gate", tmp_path)
        assert judged.returncode == exit_code, judged.stdout + judged.stderr
        step, summed = self.shell(steps, "GITHUB_STEP_SUMMARY", tmp_path)
        assert (step["if"], summed.returncode) == ("always()", 0)
        assert ("✅ pass" if exit_code == 0 else "❌ fail") in (tmp_path / "summary.md").read_text().splitlines()[0]
        (upload,) = (step for step in steps if "upload-artifact" in step.get("uses", ""))
        assert upload["if"] == "always()"
        assert (tmp_path / upload["with"]["path"].splitlines()[0]).is_file()
