import numpy as np
import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.sweep.choice import Cell, recommend


def cell(right, size, looping=None, name=None):
    """A cell whose documents are right where the pattern has a 1."""
    scores = {f"document {i}": float(sign) for i, sign in enumerate(right)}
    return Cell({"c_values": size, "name": name}, scores, size, {} if looping is None else {"looping": looping})


UNSTEERED = cell("0" * 100, 0.0, looping=0.10)
BEST = "1" * 60 + "0" * 40


def distance(best, other):
    """Difference of the means and its paired standard error, from the definition."""
    differences = np.array([float(b) - float(a) for a, b in zip(best, other, strict=True)])
    return differences.mean(), np.sqrt(((differences - differences.mean()) ** 2).sum() / 99) / 10


@pytest.mark.parametrize(
    ("other", "difference", "error", "chosen"),
    [
        # One document worse: sqrt(0.01 * 0.99 / 99), exactly one standard error.
        ("1" * 59 + "0" * 41, -0.01, 0.01, "small"),
        # Four documents worse: sqrt(0.04 * 0.96 / 99).
        ("1" * 56 + "0" * 44, -0.04, 0.01969464, "large"),
        # 18 worse and 14 better, 0.04 below as well: sqrt((0.32 - 0.04 ** 2) / 99).
        ("0" * 18 + "1" * 56 + "0" * 26, -0.04, 0.05671121, "small"),
    ],
)
def test_the_smaller_edit_within_one_paired_standard_error_is_chosen(other, difference, error, chosen):
    assert distance(BEST, other) == pytest.approx((difference, error), rel=1e-6)
    cells = [cell(BEST, 6.0, name="large"), cell(other, 2.0, name="small")]
    assert recommend(cells, UNSTEERED).settings["name"] == chosen
    assert recommend(cells[::-1], UNSTEERED).settings["name"] == chosen


@pytest.mark.parametrize("documents", range(2, 200))
def test_one_document_worse_is_within_one_standard_error_of_any_number(documents):
    best, other = cell("1" * documents, 6.0), cell("1" * (documents - 1) + "0", 2.0)
    assert recommend([best, other], cell("0" * documents, 0.0)) is other


def test_scores_between_0_and_1_are_compared_likewise():
    best = Cell({}, {str(i): 0.5 + 0.001 * i for i in range(100)}, 3.0)
    # 0.02 lower everywhere but in one document: error 0.0002 * 10 / 10 = 0.002 < 0.02 - 0.0002.
    clear = Cell({}, {name: score - (0.02 if name != "7" else 0.0) for name, score in best.scores.items()}, 1.0)
    # Swings by 0.2 around 0.01 lower: standard error about 0.2 / 10 = 0.02 > 0.01.
    noisy = Cell({}, {name: score - 0.01 + 0.2 * (-1) ** int(name) for name, score in best.scores.items()}, 2.0)
    assert recommend([best, clear, noisy], UNSTEERED) is noisy


def test_among_equal_edits_the_better_one_is_chosen():
    cells = [cell("1" * 59 + "0" * 41, 2.0, name="worse"), cell(BEST, 2.0, name="better")]
    assert recommend(cells, UNSTEERED).settings["name"] == "better"
    assert recommend(cells[::-1], UNSTEERED).settings["name"] == "better"


def test_cells_that_loop_much_more_than_unsteered_are_left_out():
    loops = cell("1" * 90 + "0" * 10, 1.0, looping=0.16, name="loops")
    at_the_cap = cell("1" * 70 + "0" * 30, 5.0, looping=0.15, name="at the cap")
    assert recommend([loops, at_the_cap], UNSTEERED) is at_the_cap
    fewer = cell("0" * 100, 0.0, looping=0.12)  # 0.16 is within 0.05 of this one
    assert recommend([loops, at_the_cap], fewer) is loops


def test_a_cell_left_out_does_not_set_the_best_score():
    loops = cell("1" * 100, 9.0, looping=0.9)
    cells = [loops, cell(BEST, 6.0, looping=0.1, name="large"), cell("1" * 59 + "0" * 41, 2.0, name="small")]
    assert recommend(cells, UNSTEERED).settings["name"] == "small"


def test_if_all_loop_the_rule_applies_to_all():
    cells = [cell(BEST, 6.0, looping=0.5, name="large"), cell("1" * 20 + "0" * 80, 2.0, looping=0.3, name="small")]
    assert recommend(cells, UNSTEERED).settings["name"] == "large"


def test_without_a_measure_of_loops_nothing_is_left_out():
    assert recommend([cell(BEST, 6.0)], UNSTEERED).size == 6.0
    assert recommend([cell(BEST, 6.0, looping=0.9)], cell("0" * 100, 0.0)).size == 6.0


def test_cells_over_other_documents_are_refused():
    with pytest.raises(ResultsError, match="must score the same documents. Start over in another folder."):
        recommend([cell(BEST, 6.0), cell("1" * 50, 2.0)], UNSTEERED)
