"""The shipped tasks: documents from the hub's columns, figures of a run, and the figures' independent computation."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lm_eval.tasks import TaskManager

from lm_eval_cachesteer.metrics import MEASURES
from lm_eval_cachesteer.sources.folders import tasks_folder

BIN = Path(sys.executable).parent
HUB = Path(__file__).parents[3] / "shared" / "hub"

# One document of each dataset in the hub's own columns, and what becomes of it.
DOCUMENTS = {
    "arc_challenge": (
        {
            "id": "x",
            "question": "What melts ice?",
            "choices": {"text": ["Cold", "Heat", "Shade"], "label": ["1", "2", "3"]},
            "answerKey": "2",
        },
        "What melts ice?\nA. Cold\nB. Heat\nC. Shade",
        "B",
    ),
    "commonsense_qa": (
        {
            "id": "x",
            "question": "Where do boats wait?",
            "question_concept": "boat",
            "choices": {"text": ["hill", "harbor", "oven", "roof", "well"], "label": list("ABCDE")},
            "answerKey": "B",
        },
        "Where do boats wait?\nA. hill\nB. harbor\nC. oven\nD. roof\nE. well",
        "B",
    ),
    "piqa": (
        {"goal": "Dry a cup.", "sol1": "Use a towel.", "sol2": "Use a stone.", "label": 0},
        "Dry a cup.\nA. Use a towel.\nB. Use a stone.",
        "A",
    ),
    "gsm8k": (
        {"question": "What is 600 + 634?", "answer": "600 + 634 = <<600+634=1234>>1234\n#### 1,234"},
        "What is 600 + 634?",
        "1234",
    ),
    "openbookqa": (
        {
            "id": "x",
            "question_stem": "A magnet pulls",
            "choices": {"text": ["wool", "iron", "milk", "sand"], "label": list("ABCD")},
            "answerKey": "B",
        },
        "A magnet pulls\nA. wool\nB. iron\nC. milk\nD. sand",
        "B",
    ),
    "winogrande": (
        {"sentence": "The cup broke as the _ was thin.", "option1": "glass", "option2": "table", "answer": "1"},
        "Which option fills the blank?\nThe cup broke as the _ was thin.\nA. glass\nB. table",
        "A",
    ),
    "boolq": (
        {"passage": "Ice floats.", "question": "does ice float", "idx": 0, "label": 1},
        "Ice floats.\n\nDoes ice float?\nA. Yes\nB. No",
        "A",
    ),
    "hellaswag": (
        {
            "ind": 1,
            "activity_label": "Baking",
            "ctx_a": "A man mixes flour.",
            "ctx_b": "he",
            "ctx": "A man mixes flour. he",
            "endings": ["adds water.", "[header] flies away."],
            "label": "0",
        },
        "How does this text go on? Baking: A man mixes flour. He\nA. adds water.\nB. flies away.",
        "A",
    ),
    "mmlu": (
        {"question": "2 + 2 =", "subject": "arithmetic", "choices": ["3", "4", "5", "6"], "answer": 1},
        "2 + 2 =\nA. 3\nB. 4\nC. 5\nD. 6",
        "B",
    ),
    "math500": (
        {"problem": "Halve $1$.", "solution": "...", "answer": "\\frac{1}{2}", "subject": "Algebra", "level": 1},
        "Halve $1$.",
        "\\frac{1}{2}",
    ),
    "svamp": (
        {"ID": "x", "Body": "Dan has 290 plums in 2 bags", "Question": "How many in each?", "Answer": "145.0"},
        "Dan has 290 plums in 2 bags. How many in each?",
        "145",
    ),
    "strategyqa": (
        {"qid": "x", "term": "ice", "question": "Can ice float?", "answer": False, "facts": "..."},
        "Can ice float?\nA. Yes\nB. No",
        "B",
    ),
}
GPQA = {
    "Question": "Which is a noble gas?",
    "Correct Answer": "Neon\n",
    "Incorrect Answer 1": "Iron",
    "Incorrect Answer 2": "Zinc",
    "Incorrect Answer 3": "Lead",
}


@pytest.fixture
def load(tmp_path):
    """Builds a task over one document that lies in a file instead of on the hub."""

    def build(name, document, **overrides):
        data, config = tmp_path / "data.json", tmp_path / "task.yaml"
        data.write_text(json.dumps(document) + "\n")
        files = {split: str(data) for split in ("train", "validation", "test", "dev")}
        where = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
        (original,) = tasks_folder().rglob(f"{name}.yaml")
        config.write_text(yaml.safe_dump({"include": str(original)} | where | overrides))
        (task,) = TaskManager(include_defaults=False).load([str(config)])["tasks"].values()
        return task

    return build


def evaluation_doc(task):
    return next(iter(task.test_docs() if task.has_test_docs() else task.validation_docs()))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_come_from_the_hubs_own_columns(name, load):
    document, prompt, target = DOCUMENTS[name]
    task = load(f"cachesteer_{name}", document)
    doc = evaluation_doc(task)
    assert task.doc_to_text(doc) == prompt
    assert task.doc_to_target(doc) == target
    assert {column: doc[column] for column in document} == document


def test_gpqa_options_are_shuffled_alike_in_every_run(load):
    task = load("cachesteer_gpqa_diamond", GPQA)
    doc = evaluation_doc(task)
    assert sorted(doc["options"]) == ["Iron", "Lead", "Neon", "Zinc"]
    assert doc["options"]["ABCD".index(doc["target"])] == "Neon"
    assert evaluation_doc(load("cachesteer_gpqa_diamond", GPQA))["options"] == doc["options"]


def test_variants_add_the_prompt_or_the_sampling_and_nothing_else(load):
    for name in ("arc_challenge", "commonsense_qa", "piqa", "gsm8k"):
        document = DOCUMENTS[name][0]
        plain, cot, sampled = (load(f"cachesteer_{name}{suffix}", document) for suffix in ("", "_cot", "_sampled"))
        assert cot.config.gen_prefix == "Let's think step by step."
        assert (plain.config.repeats, cot.config.repeats, sampled.config.repeats) == (1, 1, 5)
        assert plain.config.generation_kwargs == cot.config.generation_kwargs
        assert plain.config.generation_kwargs["do_sample"] is False
        settings = sampled.config.generation_kwargs
        assert (settings["temperature"], settings["top_p"], settings["top_k"]) == (0.6, 0.9, 50)
        assert settings["do_sample"] is True
        assert len({task.doc_to_text(evaluation_doc(task)) for task in (plain, cot, sampled)}) == 1


def test_a_split_without_labels_is_refused(load):
    from lm_eval_cachesteer.errors import ArgumentError

    document = DOCUMENTS["piqa"][0] | {"label": -1}
    with pytest.raises(ArgumentError, match="splits without labels"):
        evaluation_doc(load("cachesteer_piqa", document))


def test_every_task_is_valid_for_the_harness():
    names = [re.search(r"^(?:task|group): (\S+)$", path.read_text(), re.M) for path in tasks_folder().rglob("*.yaml")]
    names = [found[1] for found in names if found]
    assert len(names) == len(set(names)) == 13 + 2 * 4 + 4 + 2 + 3
    command = [str(BIN / "lm_eval"), "validate", "--tasks", ",".join(names)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert "All tasks found and valid" in finished.stdout, finished.stdout + finished.stderr


def test_scores_and_measures_are_means_over_the_responses(load, llama_folder):
    document = DOCUMENTS["gsm8k"][0]
    task = load("cachesteer_gsm8k_sampled", document, metadata={"pretrained": str(llama_folder)})
    doc = evaluation_doc(task)
    answers = [["1234", "statement"], ["1234", "last_number"], ["7", "statement"], ["[invalid]", "none"]]
    assert task.process_results(doc, [answers]) == {"exact_match": 0.5, "extracted": 0.75}
    responses = ["word " * 40, "Step 1: Add both numbers. Step 2: The sum is 1234."]
    measured = task.process_results(doc, [responses])
    assert measured.keys() == {"tokens", "truncated", *MEASURES}
    assert (measured["looping"], measured["stepwise"]) == (0.5, 0.5)


def test_tokens_and_truncation_come_from_the_models_tokenizer(load, llama_folder, tokenizer):
    settings = {"until": [], "max_gen_toks": 12}
    metadata = {"pretrained": "elsewhere", "tokenizer": str(llama_folder)}
    task = load("cachesteer_gsm8k", DOCUMENTS["gsm8k"][0], metadata=metadata, generation_kwargs=settings)
    doc = evaluation_doc(task)
    for response in ("Ice", "Ice melts in the sun because the sun is warm and ice is cold."):
        tokens = len(tokenizer(response, add_special_tokens=False)["input_ids"])
        measured = task.process_results(doc, [[response]])
        assert (measured["tokens"], measured["truncated"]) == (tokens, float(tokens >= 10))


def test_without_a_tokenizer_the_rest_is_still_measured(load, caplog):
    task = load("cachesteer_gsm8k", DOCUMENTS["gsm8k"][0], metadata={"pretrained": "no/such-model-anywhere"})
    measured = task.process_results(evaluation_doc(task), [["It is 5."]])
    assert measured.keys() == set(MEASURES)
    assert "No tokenizer" in caplog.text


def test_filters_that_drop_responses_are_refused(load):
    from lm_eval_cachesteer.errors import ArgumentError

    first = [{"name": "none", "filter": [{"function": "take_first"}]}]
    with pytest.raises(ArgumentError, match="Leave out take_first"):
        load("cachesteer_gsm8k", DOCUMENTS["gsm8k"][0], filter_list=first)
    with pytest.raises(ArgumentError, match="has no filter_list"):
        load("cachesteer_gsm8k", DOCUMENTS["gsm8k"][0], filter_list=[])


def test_a_missing_math_verify_is_said_before_the_run(load, monkeypatch):
    from lm_eval_cachesteer.errors import ArgumentError

    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(ArgumentError, match=r"lm-eval-cachesteer\[math\]"):
        load("cachesteer_math500", DOCUMENTS["math500"][0])


def test_equal_expressions_match_whatever_their_form(load):
    task = load("cachesteer_math500", DOCUMENTS["math500"][0])
    doc = evaluation_doc(task)
    for answer, right in (("0.5", 1.0), ("\\dfrac{2}{4}", 1.0), ("2", 0.0), ("[invalid]", 0.0)):
        assert task.process_results(doc, [[[answer, "boxed"]]])["exact_match"] == right


def run(folder, cwd, *options):
    command = [
        BIN / "lm_eval",
        *options,
        "--apply_chat_template",
        "--limit",
        "2",
        "--output_path",
        folder,
        "--log_samples",
    ]
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    finished = subprocess.run(map(str, command), cwd=cwd, capture_output=True, text=True, env=os.environ | offline)
    assert finished.returncode == 0, finished.stderr[-3000:]
    (path,) = folder.rglob("results_*.json")
    return json.loads(path.read_text())["results"], finished.stdout


@pytest.mark.parametrize("model", ["hf", "hf-cachesteer"])
def test_any_backend_reports_all_figures_in_the_harnesss_own_table(model, llama_folder, tmp_path):
    options = ("--model", model, "--model_args", f"pretrained={llama_folder},max_length=1024")
    results, table = run(
        tmp_path, tmp_path, *options, "--tasks", "cachesteer_offline", "--gen_kwargs", "max_gen_toks=4"
    )
    measured = {f"{figure},response" for figure in ("tokens", "truncated", *MEASURES)}
    scored = {f"{figure},{name}" for figure in ("exact_match", "extracted") for name in ("strict", "flexible")}
    for task, figures in (("choice", measured | scored), ("word_problems", measured | scored), ("open", measured)):
        reported = results[f"cachesteer_offline_{task}"]
        assert figures <= reported.keys()
        assert {figure.replace(",", "_stderr,") for figure in figures} <= reported.keys()
        assert reported["truncated,response"] == 1.0
    assert "|analogical_reasoning" in table
    (samples,) = tmp_path.rglob("samples_cachesteer_offline_choice_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    rules = [line["filtered_resps"][0][0][1] for line in lines if line["filter"] == "flexible"]
    assert len(rules) == 2
    assert all(isinstance(rule, str) for rule in rules)


@pytest.mark.skipif(not HUB.is_dir(), reason="needs a folder with the hub's datasets")
def test_the_papers_tasks_run_on_the_hubs_datasets(llama_folder, tmp_path):
    tasks = ["cachesteer_paper", "cachesteer_gsm8k_cot", "cachesteer_arc_challenge_sampled"]
    options = ("--model", "hf-cachesteer", "--model_args", f"pretrained={llama_folder},max_length=2048")
    results, _ = run(tmp_path, HUB, *options, "--tasks", ",".join(tasks), "--gen_kwargs", "max_gen_toks=4")
    assert {"exact_match,strict", "exact_match,flexible"} <= results["cachesteer_paper"].keys()
    (samples,) = tmp_path.rglob("samples_cachesteer_arc_challenge_sampled_*.jsonl")
    first = json.loads(samples.read_text().splitlines()[0])
    assert len(first["resps"][0]) == 5
