import json

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.results.runs import find_run
from lm_eval_cachesteer.results.samples import read_samples

from .support import hashed, right_and_wrong, write_run


def samples_of(folder, samples, task="arith"):
    write_run(folder, {task: samples})
    return read_samples(find_run(str(folder)), task)


def test_figures_are_kept_apart_by_filter_and_metric(tmp_path):
    strict = right_and_wrong("10", filter="strict", words=7)
    found = samples_of(tmp_path, [*strict, *right_and_wrong("11", filter="flexible")])
    assert set(found.figures) == {("strict", "exact_match"), ("strict", "words"), ("flexible", "exact_match")}
    by_document = {key.document: figure for key, figure in found.figures["strict", "exact_match"].items()}
    assert by_document == {hashed("document 0"): 1.0, hashed("document 1"): 0.0}
    assert len(found.documents) == 2
    assert {document["question"] for document in found.documents.values()} == {"document 0", "document 1"}


def test_equal_documents_are_told_apart_by_their_number(tmp_path):
    found = samples_of(tmp_path, [{"document": "same", "exact_match": float(i)} for i in range(3)])
    assert [(key.number, figure) for key, figure in found.figures["none", "exact_match"].items()] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
    ]


def test_metrics_that_are_no_number_for_each_document_are_left_out(tmp_path):
    found = samples_of(tmp_path, [{"document": "a", "acc": True, "word_perplexity": [-3.0, 2], "brier": float("nan")}])
    assert found.figures == {("none", "acc"): dict.fromkeys(found.documents, 1.0)}
    assert found.left_out == {"word_perplexity", "brier"}


def test_samples_of_versions_that_do_not_list_their_metrics_are_read(tmp_path):
    path = write_run(tmp_path, {"arith": right_and_wrong("10")})
    file = find_run(str(path)).sample_files["arith"]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("\n".join(json.dumps({k: v for k, v in line.items() if k != "metrics"}) for line in lines))
    assert set(read_samples(find_run(str(path)), "arith").figures) == {("none", "exact_match")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"doc_hash": "a"', "is damaged"),
        ("[1]", "line 1: a JSON object was expected"),
        ('{"doc_hash": "a"}', "line 1, has no 'target_hash'"),
        ("\n", "is empty"),
    ],
)
def test_damaged_samples_are_refused_by_name(tmp_path, text, message):
    path = write_run(tmp_path, {"arith": right_and_wrong("1")})
    run = find_run(str(path))
    run.sample_files["arith"].write_text(text)
    with pytest.raises(ResultsError, match=f"samples_arith_.*{message}"):
        read_samples(run, "arith")


def test_runs_without_logged_samples_are_refused(tmp_path):
    write_run(tmp_path, {})
    with pytest.raises(ResultsError, match="no samples of 'arith'.*found: none.*--log_samples"):
        read_samples(find_run(str(tmp_path)), "arith")
