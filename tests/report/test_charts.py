import json

import pytest
from scipy.stats import binomtest

from lm_eval_cachesteer.report.charts import difference_charts, distribution_charts
from lm_eval_cachesteer.report.groups import read_groups
from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.runs import find_runs

from .support import answered, steered, unsteered, write_answers


def charts_of(folder):
    runs = find_runs([str(folder)])
    entries = leaderboard(runs)
    return difference_charts(entries), distribution_charts(read_groups(runs, entries, pytest.fail))


def answers(right, words=3, documents=40):
    """Answers of which the first are right, all of the same length."""
    return [answered(f"{i}?", " ".join(["w"] * words), exact_match=float(i < right)) for i in range(documents)]


@pytest.fixture
def runs(tmp_path):
    write_answers(tmp_path / "base", {"ways": answers(20)}, unsteered())
    for day, (style, right) in enumerate({"cot": 32, "stepwise": 21, "<b>spanish</b>": 4}.items(), start=2):
        date = f"2026-11-{day:02d}T10-00-00.000001"
        write_answers(tmp_path / f"run{day}", {"ways": answers(right, words=10 * day)}, steered(style), date=date)
    return tmp_path


def test_differences_are_drawn_with_interval_and_verdict(runs):
    (chart,), _ = charts_of(runs)
    drawn = {trace["x"][0]: trace for trace in chart["data"]}
    assert list(drawn) == pytest.approx([0.3, 0.025, -0.4])  # (32 - 20) / 40 and so on, best first
    texts = [one["text"] for one in chart["layout"]["annotations"]]
    assert texts[0] == "<b>ways</b>"
    for text, name, verdict in zip(
        texts[1:],
        ("cot, c_values 5", "stepwise, c_values 5", "&lt;b&gt;spanish&lt;/b&gt;, c_values 5"),
        ("better", "no significant difference", "worse"),
        strict=True,
    ):
        assert text.startswith(f"{name}<br>")
        assert text.endswith(f">{verdict}</span>")
    symbols = [trace["marker"]["symbol"] for trace in chart["data"]]
    assert symbols == ["triangle-up", "circle-open", "triangle-down"]
    # 12 of 40 documents rose, none fell: Tango's interval is then Wilson's of a share of 12 / 40.
    wilson = binomtest(12, 40).proportion_ci(method="wilson")
    best = drawn[0.3]
    assert 0.3 + best["error_x"]["array"][0] == pytest.approx(wilson.high, abs=1e-4)
    assert 0.3 - best["error_x"]["arrayminus"][0] == pytest.approx(wilson.low, abs=1e-4)
    assert "cot, c_values 5: +0.300" in chart["description"]
    assert "no significant difference" in chart["description"]


def test_texts_above_the_marks_do_not_overlap(runs):
    (chart,), _ = charts_of(runs)
    marks = [trace["y"][0] for trace in chart["data"]]
    texts = [(one["y"], one["y"] + 17 * (1 + one["text"].count("<br>"))) for one in chart["layout"]["annotations"]]
    for mark, (start, end), following in zip(marks, texts[1:], [*texts[2:], (1e9, 0)], strict=True):
        assert start < end < mark < following[0]
    assert chart["layout"]["yaxis"]["range"][0] > marks[-1]


def test_distributions_show_every_run(runs):
    _, charts = charts_of(runs)
    words, repetition = charts
    assert (words["caption"], repetition["caption"]) == ("Words in a response", "Share of repeated 4-grams")
    assert [set(trace["x"]) for trace in words["data"]] == [{20.0}, {30.0}, {3.0}, {40.0}]
    assert "unsteered: median 3, mean 3" in words["description"]
    # 20 equal words: 17 4-grams, of which one is new.
    assert repetition["data"][0]["x"][100] == pytest.approx(16 / 17, abs=1e-4)
    assert len(json.dumps(charts)) < 40_000


def test_a_distribution_keeps_its_quartiles_whatever_its_size(tmp_path):
    samples = [answered(f"{i}?", " ".join(["w"] * (i + 1)), exact_match=1.0) for i in range(1000)]
    write_answers(tmp_path, {"ways": samples})
    words = charts_of(tmp_path)[1][0]["data"][0]["x"]
    assert len(words) == 201
    assert (words[0], words[-1]) == (1.0, 1000.0)
    assert (words[50], words[100], words[150]) == pytest.approx((250.75, 500.5, 750.25))


def test_without_a_baseline_nothing_is_compared(tmp_path):
    write_answers(tmp_path, {"ways": answers(3)}, steered("cot"))
    differences, distributions = charts_of(tmp_path)
    assert differences == []
    assert len(distributions) == 2
