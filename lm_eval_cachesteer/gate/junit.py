"""A decision as JUnit XML, which continuous integration shows as tests.

A failed check is a `failure`, an inconclusive one an `error` of the type "inconclusive": neither passed nor failed.
"""

import re
from typing import Any
from xml.etree import ElementTree as ET

from ..printable import printable
from .outcomes import COLUMNS, Decision, Outcome

_SUITE = "cachesteer gate"
_ELEMENTS: dict[Outcome, str] = {"fail": "failure", "inconclusive": "error"}
# XML 1.0 has no way to write these, and ElementTree writes them all the same.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(decision: Decision) -> bytes:
    """One test case for each check; the runs stand in the properties.

    Args:
        decision: What the gate found.

    Returns:
        The file's content, UTF-8.
    """
    outcomes = [result.outcome for result in decision.results]
    root, suite = _suite(len(outcomes), outcomes.count("fail"), outcomes.count("inconclusive"))
    properties = ET.SubElement(suite, "properties")
    for name, run in (("baseline", decision.baseline), ("candidate", decision.candidate)):
        ET.SubElement(properties, "property", name=name, value=_clean(str(run.path)))
    for result in decision.results:
        case = _case(suite, result.subject, result.check)
        if result.outcome in _ELEMENTS:
            ET.SubElement(case, _ELEMENTS[result.outcome], type=result.outcome, message=_clean(result.remark))
        shown = (f"{column}: {cell}" for column, cell in zip(COLUMNS, result.cells(), strict=True) if cell)
        ET.SubElement(case, "system-out").text = _clean("\n".join(shown))
    return _written(root)


def junit_of_error(message: str) -> bytes:
    """A report for a gate that could not decide: one test case with an error.

    Args:
        message: What was wrong with the input.
    """
    root, suite = _suite(1, 0, 1)
    ET.SubElement(_case(suite, "runs", "input"), "error", type="bad input", message=_clean(message))
    return _written(root)


def _suite(tests: int, failures: int, errors: int) -> tuple[ET.Element, ET.Element]:
    counts: dict[str, Any] = {"tests": str(tests), "failures": str(failures), "errors": str(errors), "time": "0"}
    root = ET.Element("testsuites", name=_SUITE, **counts)
    return root, ET.SubElement(root, "testsuite", name=_SUITE, skipped="0", **counts)


def _case(suite: ET.Element, subject: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_clean(f"gate.{subject}"), name=_clean(name), time="0")


def _clean(text: str) -> str:
    return printable(_NOT_XML.sub("\ufffd", text))


def _written(root: ET.Element) -> bytes:
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
