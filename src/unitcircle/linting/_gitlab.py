"""A report of GitLab Code Quality."""

from __future__ import annotations

import hashlib
from typing import Any

from unitcircle._json import to_json
from unitcircle.diagnosis import Severity
from unitcircle.linting._entry import fingerprint, location, sentences
from unitcircle.linting._report import Report

LEVELS = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}


def gitlab(report: Report, /) -> str:
    """Return a JSON list of issues."""
    # https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    issues: list[dict[str, Any]] = []
    for file in report.files:
        if file.error:
            issues.append(_issue(file.path, "cannot-be-read", "blocker", file.error, _hash(file.path, file.error)))
        issues += [_issue(file.path, "not-read", "minor", text, _hash(file.path, text)) for text in file.unread]
        for finding in file.findings:
            text, mark = sentences(finding), fingerprint(file.path, finding)
            issues.append(_issue(file.path, finding.code, LEVELS[finding.severity], text, mark))
    return to_json(issues)


def _issue(path: str, name: str, severity: str, text: str, mark: str) -> dict[str, Any]:
    # A file of weights has no lines, and the format wants one.
    where = {"path": location(path), "lines": {"begin": 1}}
    return {"description": text, "check_name": name, "fingerprint": mark, "severity": severity, "location": where}


def _hash(path: str, text: str) -> str:
    return hashlib.sha256(f"{location(path)}\0{text}".encode(errors="surrogatepass")).hexdigest()
