import csv
import json

import pytest
from scipy.stats import binomtest

from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.listing import as_csv, as_json, as_markdown
from lm_eval_cachesteer.results.runs import find_runs

from .scored import STEPWISE, write_scored

HALF, MOST = "1" * 20 + "0" * 20, "1" * 32 + "0" * 8


def entries(folder, model="tiny", **more):
    """A baseline, a steered run with one figure for each column, and one without samples."""
    measures = {"stepwise,response": 0.9, "repetition,response": 0.123, "looping,response": 0.05}
    steering = {"vectors": [STEPWISE], "counts": {"generate_until": {"requests": 40, "interventions": 40}}}
    write_scored(folder / "a", {"arith": HALF}, model=model)
    write_scored(
        folder / "b",
        {"arith": MOST},
        model=model,
        measures=measures | {"tokens,response": 70.4, "words,response": 50.0},
        config={"steering": steering},
        total_evaluation_time_seconds="53.7",
        **more,
    )
    write_scored(folder / "c", {"arith": "0" * 40}, model=model, measures={"words,response": 66.2}, vectors=[STEPWISE])
    for file in (folder / "c").glob("samples_*"):
        file.unlink()
    return leaderboard(find_runs([str(folder)]))


def test_markdown_holds_every_column(tmp_path):
    lines = as_markdown(entries(tmp_path)).splitlines()
    assert lines[:3] == ["## tiny: arith", "", "score: exact_match, none; 40 documents"]
    cells = [cell.strip() for cell in lines[6].strip("|").split("|")]
    assert cells[:5] == ["stepwise, c_values 5", "2026-11-01 10:00:00", "40", "0.8 ±0.05", "+0.3"]
    # 12 documents of 40 rose, none fell: Tango's interval is then Wilson's of a share of 12 / 40.
    wilson = binomtest(12, 40).proportion_ci(method="wilson")
    assert [float(end) for end in cells[5].split(" to ")] == pytest.approx([wilson.low, wilson.high], abs=1e-3)
    assert cells[6:] == ["0.000488", "better", "stepwise 0.9", "0.123", "0.05", "70", "54 s", "40 of 40"]
    assert "unsteered (baseline)" in lines[7]
    assert "66 words" in lines[8]
    assert "- stepwise, c_values 5: no interval: this run has no samples; run lm_eval with --log_samples." in lines


def test_names_do_not_break_the_tables(tmp_path):
    found = entries(tmp_path, model="a|b\nc")
    assert "## a\\|b c: arith" in as_markdown(found)
    rows = list(csv.DictReader(as_csv(found).splitlines(keepends=True)))
    assert [row["model"] for row in rows] == ["a|b\nc"] * 3


def test_csv_is_flat(tmp_path):
    steered, base, bare = csv.DictReader(as_csv(entries(tmp_path)).splitlines())
    assert (steered["score"], steered["difference"][:3], steered["p_holm"]) == ("0.8", "0.3", str(2 / 2**12))
    assert (steered["verdict"], steered["adherence_stepwise"], steered["is_baseline"]) == ("better", "0.9", "False")
    assert (base["difference"], base["low"], base["p_value"], base["verdict"]) == ("", "", "", "")
    assert (bare["difference"], bare["low"]) == ("-0.5", "")
    assert bare["remarks"].startswith("no interval")


def test_json_holds_every_figure(tmp_path):
    steered, base, _ = json.loads(as_json(entries(tmp_path)))
    assert (steered["paired"]["found"]["up"], steered["paired"]["verdict"]) == (12, "better")
    assert steered["adherence"] == {"stepwise": 0.9}
    assert (base["paired"], base["is_baseline"], base["remarks"]) == (None, True, [])
