from lm_eval_cachesteer.gate.junit import junit, junit_of_error
from lm_eval_cachesteer.gate.outcomes import Decision, Result

from .support import parsed_xml, run_of

PASSED = Result("arith", "acc, at least 0.5", "pass", "", 0.5, 0.6)
FAILED = Result("arith", "acc, at least 0.9", "fail", "0.6 is below 0.9", 0.5, 0.6)
OPEN = Result("open", "stepwise, better by 0.1", "inconclusive", "too few documents: 40, about 90 are needed")


def parsed(tmp_path, *results):
    run = run_of(tmp_path, {"arith": "10"})
    return parsed_xml(junit(Decision(run, run, results)))


def test_each_check_is_a_test_case(tmp_path):
    root = parsed(tmp_path, PASSED, FAILED, OPEN)
    (suite,) = root
    for element in (root, suite):
        assert [element.get(count) for count in ("tests", "failures", "errors")] == ["3", "1", "1"]
    passed, failed, inconclusive = suite.iter("testcase")
    assert [(case.get("classname"), case.get("name")) for case in (passed, inconclusive)] == [
        ("gate.arith", "acc, at least 0.5"),
        ("gate.open", "stepwise, better by 0.1"),
    ]
    assert [child.tag for child in passed] == ["system-out"]
    assert failed.find("failure").attrib == {"type": "fail", "message": "0.6 is below 0.9"}
    assert inconclusive.find("error").attrib == {"type": "inconclusive", "message": OPEN.remark}
    assert "candidate: 0.6" in failed.find("system-out").text
    assert {p.get("name"): p.get("value") for p in suite.iter("property")}["baseline"].startswith(str(tmp_path))


def test_texts_that_xml_cannot_hold_or_could_misread_stay_texts(tmp_path):
    result = Result("a<b>&\x1b[0m", 'say "x" \ud800', "fail", "]]> <failure/> \x00")
    (case,) = parsed(tmp_path, result).iter("testcase")
    assert case.get("classname") == "gate.a<b>&\ufffd[0m"
    assert case.get("name") == 'say "x" \ufffd'
    assert case.find("failure").get("message") == "]]> <failure/> \ufffd"


def test_bad_input_is_an_error():
    root = parsed_xml(junit_of_error("No results at 'x'."))
    assert root.get("errors") == "1"
    assert root.find(".//error").attrib == {"type": "bad input", "message": "No results at 'x'."}
