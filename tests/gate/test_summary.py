import html

from lm_eval_cachesteer.gate.outcomes import Decision, Result
from lm_eval_cachesteer.gate.summary import summary, summary_of_error

from .support import run_of, steered

FAILED = Result("arith", "acc, at least 0.9", "fail", "0.6 is below 0.9", 0.5, 0.6)


def written(tmp_path, *results):
    base, candidate = run_of(tmp_path / "1", {"arith": "10"}), run_of(tmp_path / "2", {"arith": "10"}, **steered())
    return summary(Decision(base, candidate, results)).splitlines()


def test_a_headline_the_runs_and_a_row_for_each_check(tmp_path):
    lines = written(tmp_path, Result("runs", "candidate steered", "pass", "50 prompts were steered"), FAILED)
    assert lines[0] == "### Steering gate: ❌ fail"
    assert lines[2] == "1 pass, 1 fail. Baseline: unsteered (hf). Candidate: stepwise, c_values 5 (SmolLM2)."
    assert lines[4:6] == [
        "| check | baseline | candidate | difference | 95 % interval | outcome | remark |",
        "|---|---|---|---|---|---|---|",
    ]
    assert lines[6] == "| runs: candidate steered |  |  |  |  | ✅ pass | 50 prompts were steered |"
    assert lines[7] == "| arith: acc, at least 0.9 | 0.5 | 0.6 |  |  | ❌ fail | 0.6 is below 0.9 |"


def test_texts_of_runs_are_never_markup(tmp_path):
    hostile = "a|b\n<img src=x> @team [x](http://y) `c` **d** #1 _e_ cachesteer_demo"
    row = written(tmp_path, Result(hostile, "acc", "pass"))[6]
    assert row.count("|") == 8
    assert not set("<>@[]`*#") & set(row.replace("&#", ""))
    assert "cachesteer_demo" in row
    assert html.unescape(row).startswith(f"| {' '.join(hostile.split())}: acc |")


def test_bad_input_is_said(tmp_path):
    assert summary_of_error("No results at <x>.") == "### Steering gate: ❌ bad input\n\nNo results at &#60;x&#62;.\n"
