"""A report of many files in the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from unitcircle._printable import printable
from unitcircle.diagnosis import RULES, Finding, diagnosis_view
from unitcircle.linting._report import Checked, Report

if TYPE_CHECKING:
    from rich.console import Group, RenderableType


def report_view(report: Report, /, *, statistics: bool = False) -> Group:
    """Return a report to print on a rich console.

    Parameters
    ----------
    report
        The report.
    statistics
        The number of findings by code instead of the findings.

    Returns
    -------
    rich.console.Group
        The diagnosis of every file, and a summary where there are several or a baseline.

    Examples
    --------
    >>> from rich.console import Console
    >>> from unitcircle.linting import Settings, check
    >>> report = check(["examples/popular-lstm.safetensors"], Settings(select=("UC101",)))
    >>> Console(width=80).print(report_view(report, statistics=True))  # doctest: +ELLIPSIS
         2  UC101  warning  stacked-orthogonal
    ...
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if statistics:
        parts += [Text(line) for line in _statistics(report)]
        parts += [Text(line) for file in report.files for line in _problems(file)]
    else:
        for place, file in enumerate(report.files):
            parts += [Text("")] if place else []
            parts += [Text(f"{file.path}: {file.error}", style="bold red")] if file.diagnosis is None else []
            parts += [diagnosis_view(file.diagnosis)] if file.diagnosis is not None else []
    parts += [Text(f"in the baseline and found no more: {entry}") for entry in report.stale]
    if len(report.files) > 1 or report.baseline is not None or statistics:
        parts += [Text(""), Text(report.summary, style="bold")]
    return Group(*parts)


def report_lines(report: Report, /) -> str:
    """Return one line for every finding, file that cannot be read and sentence about what was not read.

    Returns
    -------
    str
        The lines, without a line end after the last.

    Examples
    --------
    >>> from unitcircle.linting import Settings, check
    >>> report = check(["examples/popular-lstm.safetensors"], Settings(select=("UC101",)))
    >>> print(report_lines(report))  # doctest: +ELLIPSIS
    examples/popular-lstm.safetensors: lstm...: UC101 warning: ...
    """
    return "\n".join(printable(line) for file in report.files for line in _lines(file))


def _lines(file: Checked) -> list[str]:
    return [*_problems(file), *(f"{file.path}: {finding}" for finding in file.findings)]


def _problems(file: Checked) -> list[str]:
    problems = [f"error: {file.error}"] if file.error else [f"unread: {sentence}" for sentence in file.unread]
    return [f"{file.path}: {text}" for text in problems]


def _statistics(report: Report) -> list[str]:
    counts: Counter[str] = Counter(finding.code for _, finding in report.findings)
    worst: dict[str, Finding] = {}
    for _, finding in report.findings:
        worst[finding.code] = max(finding, worst.get(finding.code, finding), key=lambda f: f.severity)
    return [
        f"{count:>6}  {code}  {worst[code].severity!s:<8} {RULES[code].name}" for code, count in counts.most_common()
    ]
