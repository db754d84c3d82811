"""JUnit XML: a test suite a file, a test case a rule."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from unitcircle._printable import printable
from unitcircle.diagnosis import RULES
from unitcircle.linting._entry import sentences
from unitcircle.linting._report import Checked, Report


def junit(report: Report, /) -> str:
    """Return XML in which a rule fails that has findings at or above the severity that fails."""
    suites = [_suite(file, report) for file in report.files]
    root = ET.Element("testsuites", _counts(suites, "unitcircle"))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _suite(file: Checked, report: Report) -> ET.Element:
    cases: list[ET.Element] = []
    if file.error:
        cases.append(_case(file, "read", "error", [file.error]))
    else:
        cases.append(_case(file, "read", "skipped" if report.settings.allow_unread else "failure", list(file.unread)))
        for code in report.settings.codes_for(file.path):
            found = [finding for finding in file.findings if finding.code == code]
            texts = [f"{finding.severity}: {sentences(finding)}" for finding in found]
            name = f"{code} {RULES[code].name}"
            # What does not make the call fail is output of a test that passes.
            cases.append(_case(file, name, "failure" if report.settings.fails(found) else "system-out", texts))
    suite = ET.Element("testsuite", {"name": printable(file.path)})
    suite.extend(cases)
    suite.attrib.update(
        {
            "tests": str(len(cases)),
            "failures": str(len(suite.findall("*/failure"))),
            "errors": str(len(suite.findall("*/error"))),
            "skipped": str(len(suite.findall("*/skipped"))),
        }
    )
    return suite


def _case(file: Checked, name: str, outcome: str, texts: list[str]) -> ET.Element:
    case = ET.Element("testcase", {"classname": printable(file.path), "name": name})
    if texts:
        result = ET.SubElement(case, outcome)
        if outcome != "system-out":
            result.set("message", printable(texts[0]))
        result.text = "\n".join(map(printable, texts))
    return case


def _counts(suites: list[ET.Element], name: str) -> dict[str, str]:
    keys = ("tests", "failures", "errors", "skipped")
    return {"name": name} | {key: str(sum(int(suite.attrib[key]) for suite in suites)) for key in keys}
