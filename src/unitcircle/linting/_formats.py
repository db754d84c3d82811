"""The formats that other programs read."""

from __future__ import annotations

from collections.abc import Callable

from unitcircle._json import to_json
from unitcircle.errors import UnknownNameError
from unitcircle.linting._github import github
from unitcircle.linting._gitlab import gitlab
from unitcircle.linting._junit import junit
from unitcircle.linting._report import Checked, Report
from unitcircle.linting._sarif import sarif

SCHEMA = 1
"""Version of the JSON form of many files."""


def json(report: Report, /) -> str:
    """Return JSON: the diagnosis of one file, or a list where there are several or one cannot be read."""
    if len(report.files) == 1 and (diagnosis := report.files[0].diagnosis) is not None:
        return to_json(diagnosis.to_dict() | _known(report.files[0], report))
    files = [_file(file, report) for file in report.files]
    return to_json({"schema": SCHEMA, "summary": report.summary, "status": report.status, "files": files})


def _file(file: Checked, report: Report) -> dict[str, object]:
    diagnosis = None if file.diagnosis is None else file.diagnosis.to_dict() | _known(file, report)
    return {"path": file.path, "error": file.error, "diagnosis": diagnosis}


def _known(file: Checked, report: Report) -> dict[str, object]:
    return {} if report.baseline is None else {"known": [finding.to_dict() for finding in file.known]}


FORMATS: dict[str, Callable[[Report], str]] = {
    "json": json,
    "sarif": sarif,
    "github": github,
    "gitlab": gitlab,
    "junit": junit,
}
"""Name of a format → the function that writes a report in it."""


def render_report(report: Report, name: str, /) -> str:
    """Return a report in a format.

    Parameters
    ----------
    report
        The report.
    name
        ``"json"`` (see :func:`diagnosis_schema`), ``"sarif"`` (SARIF 2.1.0, which code scanning reads), ``"github"``
        (annotations of GitHub Actions), ``"gitlab"`` (a report of GitLab Code Quality) or ``"junit"`` (XML).

    Returns
    -------
    str
        The report, without a line end.

    Raises
    ------
    UnknownNameError
        There is no format of this name.

    Examples
    --------
    >>> from unitcircle.linting import Settings, check
    >>> report = check(["examples/popular-lstm.safetensors"], Settings(select=("UC101",)))
    >>> print(render_report(report, "github").splitlines()[0])  # doctest: +ELLIPSIS
    ::warning file=examples/popular-lstm.safetensors,title=UC101...
    """
    if name not in FORMATS:
        raise UnknownNameError("output format", name, FORMATS)
    return FORMATS[name](report)
