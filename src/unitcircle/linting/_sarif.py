"""SARIF 2.1.0, the format of code scanning."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unitcircle._json import to_json
from unitcircle.diagnosis import RULES, Finding, Rule, Severity
from unitcircle.linting._entry import fingerprint, location, sentences
from unitcircle.linting._report import Checked, Report

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(report: Report, /) -> str:
    """Return a log with one run: rules from their pages, results with file, layer and gate."""
    # https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    codes = sorted({code for file in report.files for code in report.settings.codes_for(file.path)})
    places = {code: place for place, code in enumerate(codes)}
    results = [
        _result(file, finding, places, report, known=known)
        for file in report.files
        for known, findings in ((False, file.findings), (True, file.known))
        for finding in findings
    ]
    driver = {"name": "unitcircle", "semanticVersion": version("unitcircle"), "rules": [_rule(code) for code in codes]}
    notes = [note for file in report.files for note in _notifications(file)]
    run = {
        "tool": {"driver": driver},
        # A file that cannot be read is a failure of the tool, not a finding.
        "invocations": [
            {
                "executionSuccessful": not any(file.error for file in report.files),
                "exitCode": report.status,
                "toolExecutionNotifications": notes,
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return to_json({"$schema": SCHEMA, "version": VERSION, "runs": [run]})


def _rule(code: str) -> dict[str, Any]:
    rule = RULES[code]
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": _what(rule)},
        "help": {"text": rule.page, "markdown": rule.page},
        "defaultConfiguration": {"enabled": not rule.on_request},
    }


def _what(rule: Rule[Any]) -> str:
    """Return the first paragraph of a page, below its heading."""
    paragraph = rule.page.partition("\n\n")[2].partition("\n\n")[0]
    return " ".join(line for line in paragraph.splitlines() if not line.startswith("#")) or rule.summary


def _result(file: Checked, finding: Finding, places: dict[str, int], report: Report, *, known: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": places[finding.code],
        "level": LEVELS[finding.severity],
        "message": {"text": sentences(finding, why=True)},
        "locations": [_location(file.path, finding)],
        "partialFingerprints": {"place/v1": fingerprint(file.path, finding)},
        "properties": {"evidence": dict(finding.evidence)},
    }
    if report.baseline is not None:
        result["baselineState"] = "unchanged" if known else "new"
    if known:
        result["suppressions"] = [{"kind": "external", "justification": f"in the baseline {report.baseline.path.name}"}]  # pyright: ignore[reportOptionalMemberAccess]
    return result


def _location(path: str, finding: Finding) -> dict[str, Any]:
    place = finding.place
    logical = [{"name": place.gate or place.layer, "fullyQualifiedName": str(place), "kind": "member"}]
    logical += [{"name": place.tensor, "fullyQualifiedName": place.tensor, "kind": "parameter"}] if place.tensor else []
    # A file of weights has no lines; GitHub shows only results that have a region.
    physical = {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": 1}}
    return {"physicalLocation": physical} | ({"logicalLocations": logical} if place.layer or place.tensor else {})


def _notifications(file: Checked) -> list[dict[str, Any]]:
    texts = [("error", file.error)] if file.error else [("warning", f"not read: {text}") for text in file.unread]
    where = [{"physicalLocation": {"artifactLocation": {"uri": _uri(file.path)}}}]
    return [{"level": level, "message": {"text": text}, "locations": where} for level, text in texts]


def _uri(path: str) -> str:
    if "://" in path:
        return quote(path, safe=":/?&=%@+~")
    name = location(path)
    return Path(name).as_uri() if Path(name).is_absolute() else quote(os.fsencode(name))
