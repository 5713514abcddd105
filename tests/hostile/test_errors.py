"""Every error a user can cause: the input, the exact message, the exit code. How to change the table: errors.py."""

import pytest

from .errors import PAGE, Runner, matches, page, read_table, read_unreachable
from .property import assert_one_line
from .sites import sites

ROWS = read_table()


@pytest.fixture(scope="module")
def runner(tmp_path_factory, llama_folder):
    return Runner(tmp_path_factory.mktemp("errors"), llama_folder)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.section}: {row.when}" for row in ROWS])
def test_what_is_said_and_how_it_ends(runner, row):
    seen = runner.run(row)
    assert matches(seen.message, row.message), f"\nsaid:     {seen.message}\nexpected: {row.message}"
    assert seen.code == row.code
    assert seen.out == "" or "\n$ lm_eval " in seen.out  # the command line of a run that fails is shown before
    assert set(seen.sites) == set(row.sites)
    assert_one_line(row.message)


def test_every_place_that_makes_an_error_has_a_row_or_a_reason():
    covered, excused = {site for row in ROWS for site in row.sites}, read_unreachable()
    made = {site.name for site in sites()}
    assert made - covered - excused.keys() == set(), "add rows to errors.yaml, or reasons to its `unreachable`"
    assert excused.keys() - made == set(), "these are gone: take them out of `unreachable`"
    assert covered & excused.keys() == set(), "these are reached after all"
    assert all(reason.endswith(".") for reason in excused.values())


def test_rows_differ():
    assert len({(row.setup, row.input) for row in ROWS}) == len(ROWS)
    assert len({(row.section, row.when) for row in ROWS}) == len(ROWS)


def test_the_page_is_that_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(ROWS), "run python -m tests.hostile.errors"
