from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.gate.policy import Check, Policy, read_policy

ROOT = Path(__file__).parents[2]
CHECK = "checks: [{metric: acc, at_least: 0.9"


def read(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return read_policy(path)


def test_everything_a_policy_can_say(tmp_path):
    text = """
same: [model, steering, fingerprint, task_versions, prompts, generation, seeds]
allow_unmatched: true
checks:
  - {task: gsm8k, metric: exact_match, filter: strict, not_worse_by: 0.02, direction: higher, cluster_by: text}
  - {metric: stepwise, better_by: 0}
  - {metric: stepwise, at_least: 0.9, confident: true}
  - {metric: words, at_most: 120}
"""
    assert read(tmp_path, text) == Policy(
        same=("model", "steering", "fingerprint", "task_versions", "prompts", "generation", "seeds"),
        checks=(
            Check("exact_match", "not_worse_by", 0.02, "gsm8k", "strict", "higher", "text"),
            Check("stepwise", "better_by", 0.0),
            Check("stepwise", "at_least", 0.9, confident=True),
            Check("words", "at_most", 120.0),
        ),
        allow_unmatched=True,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a mapping with the keys same, checks, allow_unmatched was expected, got None"),
        ("- model", "a mapping .* was expected, got \\['model'\\]"),
        ("same: []", "checks nothing"),
        ("chekcs: []", "unknown key 'chekcs' \\(did you mean 'checks'\\?\\). Known: same, checks"),
        ("same: model", "same: a list was expected, got 'model'"),
        ("same: [sterring]", "unknown entry 'sterring' \\(did you mean 'steering'\\?\\). Known: model, steering"),
        ("same: [model]\nallow_unmatched: 1", "allow_unmatched must be true or false, got 1"),
        ("checks: {metric: acc}", "checks: a list was expected"),
        ("checks: [acc]", "check 1: a mapping"),
        ("checks: [{metric: acc, atleast: 1}]", "check 1: unknown key 'atleast' \\(did you mean 'at_least'\\?\\)"),
        ("checks: [{at_least: 1}]", "check 1 needs `metric` and exactly one of .*; it has at_least"),
        ("checks: [{metric: acc}]", "needs .* exactly one of not_worse_by, better_by, at_least, at_most"),
        (f"{CHECK}, at_most: 1}}]", "exactly one of"),
        ("checks: [{metric: 7, at_least: 1}]", "metric must be a name, got 7"),
        (f"{CHECK}, filter: null}}]", "filter must be a name, got None. Leave it out, or put it in quotes"),
        ("checks: [{metric: acc, at_least: 1e-2}]", "at_least must be a finite number such as 0.02, got '1e-2'"),
        ("checks: [{metric: acc, at_least: .nan}]", "finite number"),
        ("checks: [{metric: acc, at_least: true}]", "finite number"),
        ("checks: [{metric: acc, not_worse_by: 0}]", "must be above 0, got 0: .*`better_by: 0`"),
        ("checks: [{metric: acc, better_by: -0.1}]", "at least 0, got -0.1"),
        ("checks: [{metric: acc, better_by: 0, direction: up}]", "direction must be higher or lower"),
        (f"{CHECK}, direction: lower}}]", "direction goes with not_worse_by or better_by, not with at_least"),
        ("checks: [{metric: acc, better_by: 0, confident: true}]", "confident goes with at_least or at_most"),
        ("same: [model]\nsame: [seeds]", "the key 'same' is there twice.*line 1"),
        ("checks: [{metric: a, metric: b, at_least: 1}]", "'metric' is there twice"),
        ("same: [model", "not valid YAML"),
        ("same: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_what_it_cannot_say_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ArgumentError, match=message) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)
    assert "policy.yaml" in str(error.value)


def test_a_missing_policy_is_named(tmp_path):
    with pytest.raises(ArgumentError, match="nowhere.yaml cannot be read"):
        read_policy(tmp_path / "nowhere.yaml")


def test_the_policies_that_are_shipped_and_documented_can_be_read(tmp_path):
    assert read_policy(ROOT / "examples" / "policy.yaml").checks
    documented = (ROOT / "docs" / "gate.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert len(read(tmp_path, documented).checks) >= 4
