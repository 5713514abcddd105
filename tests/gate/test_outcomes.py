import json

from lm_eval_cachesteer.gate.outcomes import COLUMNS, Decision, Result

from .support import run_of


def test_cells_are_texts_in_the_order_of_the_columns():
    margin = Result("arith", "acc, not worse by 0.02", "pass", "", 0.5, 0.51234, 0.01234, -0.01, 0.035, 900)
    assert dict(zip(COLUMNS, margin.cells(), strict=True)) == {
        "check": "arith: acc, not worse by 0.02", "baseline": "0.5", "candidate": "0.5123", "difference": "+0.01234",
        "95 % interval": "-0.01 to +0.035", "outcome": "pass", "remark": "",
    }  # fmt: skip
    limit = Result("arith", "acc, at least 0.5", "inconclusive", "few", None, 0.6, None, 0.4, 0.8, 20)
    assert limit.cells()[1:5] == ["", "0.6", "", "0.4 to 0.8"]


def test_plain_data_is_json_even_without_an_interval(tmp_path):
    run = run_of(tmp_path, {"arith": "10"})
    result = Result("arith", "acc", "inconclusive", low=float("-inf"), high=float("nan"), documents=1)
    described = json.loads(json.dumps(Decision(run, run, (result,)).described(), allow_nan=False))
    assert described["baseline"].endswith(".json")
    assert (described["exit_code"], described["results"][0]["low"], described["results"][0]["high"]) == (2, None, None)
