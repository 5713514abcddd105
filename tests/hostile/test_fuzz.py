"""2,000 cases, the same every time; `python tools/fuzz.py` puts new ones."""

import pytest

from .fuzzing import TARGETS, fuzz
from .property import in_time
from .targets.responses import check_answers, check_measures

OPTIONS = ["copper", "a glass rod", "wood", "B"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_input_is_read_or_refused_in_one_line(target, tmp_path):
    put = []
    fuzz(target, target.share, tmp_path, on_case=lambda _: put.append(None))
    assert len(put) >= target.share


def test_there_are_2000():
    assert sum(target.share for target in TARGETS) == 2000


@pytest.mark.parametrize(
    "word",
    [
        *(
            "the answer is ",
            "\\boxed{",
            "\\text{",
            "\\(",
            "$",
            "if ",
            "[Premise] ",
            "Strategy: ",
            "Just like ",
            "wait, ",
        ),
        *("\n", " ", "(", "<<", "~~", "a", "9" * 30, "1. ", "Question: ", "| ", "Just like "),
    ],
)
def test_the_time_for_an_answer_grows_with_its_length_only(word, tmp_path):
    """A model that loops repeats a few words up to its last token; no rule may go back and forth over them."""
    text = (word * 16_000)[:16_000]
    in_time(text, lambda: (check_answers((text, OPTIONS), tmp_path), check_measures(text, tmp_path)))
