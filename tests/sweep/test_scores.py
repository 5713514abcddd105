import json

import numpy as np
import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.results.runs import find_run
from lm_eval_cachesteer.results.samples import read_samples
from lm_eval_cachesteer.sweep.scores import figures_of, scores_of

from ..results.support import write_run


def sample(document, filter_name="none", **figures):
    hashes = {"doc_hash": f"d{document}", "target_hash": f"t{document}"}
    return {"filter": filter_name, "metrics": list(figures), **hashes, **figures}


def test_the_first_metric_that_says_whether_an_answer_is_right_in_its_first_filter():
    samples = [
        sample(1, "strict", words=9, exact_match=0.0),
        sample(2, "strict", words=8, exact_match=1),
        sample(1, "flexible", words=9, exact_match=1.0),
        sample(2, "flexible", words=8, exact_match=1.0),
    ]
    assert scores_of("a", samples, {}) == {"a d1 t1 0": 0.0, "a d2 t2 0": 1.0}
    assert scores_of("a", samples, {}, "exact_match,flexible") == {"a d1 t1 0": 1.0, "a d2 t2 0": 1.0}
    assert scores_of("a", samples, {"words": False}, "words") == {"a d1 t1 0": -9.0, "a d2 t2 0": -8.0}


def test_equal_documents_are_told_apart_by_their_number():
    samples = [sample(1, acc=0.0), sample(1, acc=1.0), sample(2, acc=True)]
    assert scores_of("a", samples, {}) == {"a d1 t1 0": 0.0, "a d1 t1 1": 1.0, "a d2 t2 0": 1.0}


@pytest.mark.parametrize("odd", [[1.0, 0.5], (3, 4), "yes", None, {"a": 1}, float("nan"), float("inf")])
def test_a_metric_that_is_not_a_number_everywhere_is_left_out(odd):
    samples = [sample(1, acc=1.0, f1=0.25), sample(2, acc=odd, f1=0.5)]
    assert scores_of("a", samples, {}) == {"a d1 t1 0": 0.25, "a d2 t2 0": 0.5}
    assert figures_of(samples, "acc") == []
    assert figures_of(samples, "f1") == [0.25, 0.5]
    with pytest.raises(ArgumentError) as raised:
        scores_of("a", samples, {}, "acc")
    assert str(raised.value) == (
        "Task 'a' does not report acc as one number for each document. Choose with --metric: f1,none."
    )


@pytest.mark.parametrize("odd", [[1.0, 0.5], "yes", None, float("inf")])
def test_samples_read_from_disk_leave_out_the_same(tmp_path, odd):
    samples = [{"document": "1", "acc": 1.0, "f1": 0.25}, {"document": "2", "acc": odd, "f1": 0.5}]
    write_run(tmp_path, {"a": samples})
    on_disk = read_samples(find_run(str(tmp_path)), "a")
    logged = [json.loads(line) for line in on_disk.file.read_text().splitlines()]
    assert sorted(scores_of("a", logged, {}).values()) == sorted(on_disk.figures["none", "f1"].values())
    assert on_disk.left_out == {"acc"}


def test_where_nothing_is_a_number_that_is_said():
    with pytest.raises(ArgumentError, match=r"does not report whether an answer is right. Choose another task\."):
        scores_of("a", [sample(1, bleu=[1, 2])], {})
    with pytest.raises(ArgumentError, match="whether an answer is right. Choose with --metric: words,none."):
        scores_of("a", [sample(1, words=3)], {})


def test_numbers_of_numpy_are_numbers():
    samples = [sample(1, acc=np.float32(0.5)), sample(2, acc=np.bool_(True)), sample(3, acc=np.int64(1))]
    assert list(scores_of("a", samples, {}).values()) == [0.5, 1.0, 1.0]
    assert figures_of([*samples, sample(4)], "acc") == [0.5, 1.0, 1.0]
