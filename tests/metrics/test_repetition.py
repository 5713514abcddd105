import pytest

from lm_eval_cachesteer.metrics import ADHERENCE, compression_ratio, is_looping, measure_response, repeated_ngram_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("one two three", 0.0),
        ("a b c d e f", 0.0),
        ("a b c d a b c d", 1 - 4 / 5),
        ("x x x x x x x x", 1 - 1 / 5),
    ],
)
def test_repeated_ngram_share(text, share):
    assert repeated_ngram_share(text) == pytest.approx(share)


def test_looping_is_more_than_half_repeated():
    assert is_looping("go on and on " * 10)
    assert not is_looping("Step 1: find the sum of both. Step 2: divide the sum by two. So it is four.")


def test_compression_ratio_is_size_over_compressed_size():
    import zlib

    assert compression_ratio("") == 0.0
    text = "Der Schnee f\u00e4llt. " * 20
    assert compression_ratio(text) == len(text.encode()) / len(zlib.compress(text.encode(), 9))
    assert compression_ratio(text) > compression_ratio(text[:20])


def test_all_measures_of_a_response_by_name():
    measures = measure_response("Step 1: Ice is frozen water. Step 2: Heat melts the ice.")
    assert measures.keys() == {"words", "looping", "repetition", "compression"} | ADHERENCE.keys()
    assert (measures["stepwise"], measures["cot"], measures["words"], measures["looping"]) == (1.0, 0.0, 12.0, 0.0)
