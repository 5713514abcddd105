import pytest

from lm_eval_cachesteer.results.comparison import compare_runs
from lm_eval_cachesteer.results.remarks import remarks
from lm_eval_cachesteer.results.runs import find_run

from .support import right_and_wrong, write_run


def remarks_of(tmp_path, base, other, options=None, **content):
    runs = []
    for name, tasks in (("a", base), ("b", other)):
        samples = {task: right_and_wrong(one) if isinstance(one, str) else one for task, one in tasks.items()}
        runs.append(find_run(str(write_run(tmp_path / name, samples, **content))))
    return remarks(compare_runs(*runs, **options or {}))


def test_a_run_that_shows_nothing_says_what_it_could_have_shown(tmp_path):
    """3 of 400 rose and 1 fell: 2.8 standard errors of sqrt(4 - 2**2 / 400) / 400, with n - 1."""
    (told,) = remarks_of(tmp_path, {"arith": "0" * 399 + "1"}, {"arith": "1" * 3 + "0" * 397})
    detectable = 2.8016 * ((4 - 4 / 400) / 399 / 400) ** 0.5
    told_of = "with this many documents, a true difference below"
    assert told == f"arith, exact_match: {told_of} {detectable:.3g} mostly goes unnoticed."


def test_the_verdict_follows_the_test_where_the_interval_says_something_else(tmp_path):
    found = remarks_of(tmp_path, {"arith": "0" * 300}, {"arith": "1" * 5 + "0" * 295})
    assert found[1:] == [
        "arith, exact_match: the interval leaves out 0, but p is 0.0625 (exact McNemar); the verdict follows p."
    ]


def test_documents_without_a_figure_are_told(tmp_path):
    base = right_and_wrong("1" * 40)
    other = [sample if i < 17 else {"document": sample["document"]} for i, sample in enumerate(base)]
    found = remarks_of(tmp_path, {"arith": base}, {"arith": other})
    assert "arith, exact_match: 17 of 40 documents have a figure in both runs." in found


def test_figures_that_are_not_averaged_are_told(tmp_path):
    results = {"lambada": {"alias": "lambada", "perplexity,none": 7.4}}
    samples = right_and_wrong("10" * 10, metric="perplexity")
    found = remarks_of(tmp_path, {"lambada": samples}, {"lambada": samples}, results=results)
    (told,) = (line for line in found if "report something else than the mean" in line)
    assert told.startswith("lambada, perplexity: ")


def test_means_say_what_is_known_of_them(tmp_path):
    """Both tasks ask the same documents, of which 3 changed; the runs report another figure of their group."""
    base, other = {"arc": "0" * 300, "arc_cot": "0" * 300}, {"arc": "111" + "0" * 297, "arc_cot": "1" + "0" * 299}
    results = {"both": {"alias": "both", "exact_match,none": 0.5}}
    found = remarks_of(tmp_path, base, other, results=results, group_subtasks={"both": ["arc", "arc_cot"]})
    told = [line.removeprefix("both, exact_match: ") for line in found if line.startswith("both, exact_match: ")]
    assert told[1:] == [
        "3 of 300 documents changed; for so few, the interval of a mean over tasks may be too narrow.",
        "tasks count equally, as the runs' own figure is no mean of the documents compared here.",
        "600 documents in 300 clusters, across tasks.",
    ]
    assert "mostly goes unnoticed" in told[0]


@pytest.mark.parametrize(("changed", "told"), [(9, True), (10, False)])
def test_means_of_which_enough_documents_changed_have_no_such_remark(tmp_path, changed, told):
    base, other = {"a": "0" * 100, "b": "0" * 100}, {"a": "1" * changed + "0" * (100 - changed), "b": "0" * 100}
    assert any("documents changed" in line for line in remarks_of(tmp_path, base, other)) == told


def test_filters_are_named_where_there_are_any(tmp_path):
    strict = right_and_wrong("1100" * 5, filter="strict")
    assert remarks_of(tmp_path, {"arith": strict}, {"arith": strict}) == [
        "Fewer than 200 independent documents in arith: normal approximations are weak there, so tests and intervals "
        "are those for small samples."
    ]
    flipped = right_and_wrong("0110" * 5, filter="strict")
    assert remarks_of(tmp_path / "2", {"arith": strict}, {"arith": flipped})[0].startswith(
        "arith, exact_match, strict: "
    )
