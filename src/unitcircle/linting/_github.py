"""Annotations of GitHub Actions."""

from __future__ import annotations

from unitcircle._printable import printable
from unitcircle.diagnosis import Severity
from unitcircle.linting._entry import location, sentences
from unitcircle.linting._report import Report

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def github(report: Report, /) -> str:
    """Return one workflow command a finding."""
    # https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    lines: list[str] = []
    for file in report.files:
        lines += [_command("error", file.path, "cannot be read", file.error)] if file.error else []
        lines += [_command("warning", file.path, "not read", sentence) for sentence in file.unread]
        for finding in file.findings:
            title = f"{finding.code} {finding.name}"
            lines.append(_command(LEVELS[finding.severity], file.path, title, sentences(finding)))
    return "\n".join(lines)


def _command(level: str, path: str, title: str, message: str) -> str:
    return f"::{level} file={_property(location(path))},title={_property(title)}::{_escape(message)}"


def _escape(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
