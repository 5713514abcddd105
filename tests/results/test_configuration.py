import pytest

from lm_eval_cachesteer.results.configuration import configurations, plain_task
from lm_eval_cachesteer.results.figures import task_figures
from lm_eval_cachesteer.results.runs import find_run

from .scored import STEPWISE, write_scored


def described(folder, *runs, task="arith"):
    """The configurations of runs that were written with these arguments of `write_scored`."""
    paths = [write_scored(folder / str(i), {task: "10"}, **run) for i, run in enumerate(runs)]
    return configurations([one for path in paths for one in task_figures(find_run(str(path)))], plain_task(task))


def test_steering_prompt_examples_and_generation_are_named(tmp_path):
    terms = [STEPWISE | {"c_keys": 0.25}, STEPWISE | {"name": "formal", "weight": -0.5, "c_values": 1.0}]
    run = {
        "vectors": terms,
        "config": {"gen_kwargs": {"temperature": 0.6, "do_sample": True}, "torch_seed": 7},
        "n-shot": {"arith_cot": 5},
        "configs": {"arith_cot": {"generation_kwargs": {"temperature": 0.6, "do_sample": True}}},
    }
    (found,) = described(tmp_path, run, task="arith_cot")
    steering = "stepwise, c_keys 0.25, c_values 5 + -0.5*formal, c_values 1"
    assert found == f"{steering}, CoT prompt, 5-shot, temperature=0.6, do_sample=True, seed 7"


@pytest.mark.parametrize(
    ("settings", "seeded"),
    [
        ({"do_sample": True}, True),
        ({"temperature": 0.7}, True),  # the harness samples then
        ({"do_sample": False, "temperature": 0.7}, False),
        ({"temperature": 0.0}, False),
        ({"max_gen_toks": 9}, False),
    ],
)
def test_the_seed_is_named_where_responses_are_sampled(tmp_path, settings, seeded):
    run = {"configs": {"arith": {"generation_kwargs": settings}}, "config": {"torch_seed": 3}}
    assert described(tmp_path, run) == ["unsteered, seed 3" if seeded else "unsteered"]


def test_other_settings_are_named_where_runs_differ(tmp_path):
    first = {"config": {"model_args": {"pretrained": "tiny", "dtype": "float32", "vectors": "x", "layers": "1-3"}}}
    second = {"config": {"model_args": {"pretrained": "tiny", "dtype": "float32", "c_values": 3}, "model": "hf"}}
    assert described(tmp_path / "1", first) == ["unsteered"]
    assert described(tmp_path / "2", first, second) == [
        "unsteered, backend=hf-cachesteer, layers=1-3",
        "unsteered, backend=hf",
    ]
    prompted = {"chat_template": "{{ messages }}", "system_instruction": "Be brief.\n" + "x" * 40 + " Thanks."}
    assert described(tmp_path / "3", {}, prompted) == [
        "unsteered, apply_chat_template=False",
        f"unsteered, apply_chat_template=True, system_instruction=...{'x' * 29} Thanks.",
    ]


def test_arguments_of_older_versions_are_read_from_text(tmp_path):
    config = {"model": "hf", "model_args": "pretrained=tiny,dtype=float16", "gen_kwargs": "temperature=0"}
    other = {"config": config | {"model_args": "pretrained=tiny"}}
    assert described(tmp_path, {"config": config}, other) == [
        "unsteered, temperature=0, dtype=float16",
        "unsteered, temperature=0",
    ]
