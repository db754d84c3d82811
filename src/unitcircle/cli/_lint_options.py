"""The options of ``unitcircle diagnose`` that make it a linter: what is judged, and where the report goes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from unitcircle.errors import ArgumentError, CheckpointError

if TYPE_CHECKING:
    from unitcircle.diagnosis import Severity
    from unitcircle.linting import Baseline, Report, Settings


@dataclass(frozen=True)
class Judgement:
    """What is judged, and what fails. Each option overrides the setting of the same name in [tool.unitcircle]."""

    steps: int | None = None
    """The length your task needs, in time steps. For a module with --data the default is the length of its sequences.
    Otherwise the report answers for 64 steps, and no finding is about the length."""
    select: tuple[str, ...] = ()
    """Codes of the findings to look for, or prefixes of codes."""
    extend_select: tuple[str, ...] = ()
    """Codes, or prefixes, to look for besides, such as those on request."""
    ignore: tuple[str, ...] = ()
    """Codes of the findings to leave out, or prefixes of codes."""
    per_file_ignores: tuple[str, ...] = ()
    """Codes to leave out in some files: GLOB:CODE."""
    severity: tuple[str, ...] = ()
    """Severity of the findings of a code or a prefix: CODE=error, CODE=warning or CODE=note."""
    fail_on: Literal["error", "warning", "never"] | None = None
    """The severity from which the exit status is 1 (default: warning)."""
    allow_unread: bool = False
    """Let the exit status be 0 where nothing was analysed or something was not read."""
    baseline: Path | None = None
    """A file of known findings: only new ones count."""
    write_baseline: bool = False
    """Write all findings of this call to the file of --baseline."""
    config: Path | None = None
    """The file of settings; by default the nearest unitcircle.toml or pyproject.toml, from here upwards."""
    isolated: bool = False
    """Read no file of settings."""

    def settings(self) -> Settings:
        """Return the settings of the project, with what this call gives."""
        from unitcircle.linting import Settings, find_settings

        if self.config is not None and self.isolated:
            raise ArgumentError("--config", "must not be given with --isolated", "both")
        file = self.config or (None if self.isolated else find_settings())
        project = Settings() if file is None else Settings.load(file)
        return project.overridden(
            steps=self.steps,
            select=self.select,
            extend_select=self.extend_select,
            ignore=self.ignore,
            per_file_ignores=_ignores(self.per_file_ignores),
            severity=_severities(self.severity),
            fail_on=self.fail_on,
            allow_unread=self.allow_unread,
            baseline=self.baseline,
        )

    def known(self, settings: Settings) -> Baseline | None:
        """Return the known findings, with which those of this call are compared."""
        from unitcircle.linting import Baseline

        if self.write_baseline:
            if settings.baseline is None:
                raise ArgumentError("--baseline", "must be given for --write-baseline", "none")
            if settings.baseline.exists():
                Baseline.read(settings.baseline)  # what is no baseline is not replaced
            return None
        return None if settings.baseline is None else Baseline.read(settings.baseline)

    def replace_baseline(self, report: Report) -> int:
        """Write the findings of this call as the known ones; return the exit status."""
        from unitcircle.linting import CLEAN, Baseline

        unreadable = [f"{file.path}: {file.error}" for file in report.files if file.error]
        if unreadable:
            # A baseline without this file would let its next findings look new.
            raise CheckpointError("; ".join(unreadable))
        assert report.settings.baseline is not None
        found = list(report.findings)
        Baseline(report.settings.baseline).write(found)
        print(f"baseline: {report.settings.baseline}, {len(found)} findings", file=sys.stderr)
        return CLEAN


@dataclass(frozen=True)
class Output:
    """Where the report goes, and in what form."""

    output_format: Literal["text", "json", "sarif", "github", "gitlab", "junit"] = "text"
    """text; json (its schema: unitcircle schema); sarif (2.1.0, for code scanning); github (annotations of Actions);
    gitlab (Code Quality); junit (XML)."""
    output_file: Path | None = None
    """Write the report to this file instead."""
    as_json: Annotated[bool, arg(name="json")] = False
    """Short for --output-format json."""
    statistics: bool = False
    """Print the number of findings by code instead of the findings."""
    quiet: bool = False
    """Print one line a finding, and nothing where all is clean."""

    @property
    def form(self) -> str:
        """The form of the report."""
        return "json" if self.as_json else self.output_format

    def write(self, report: Report) -> None:
        """Print a report, or write it to the file."""
        from unitcircle._files import written_whole
        from unitcircle._printable import printable
        from unitcircle.linting import render_report, report_lines

        if self.statistics and self.form != "text":
            raise ArgumentError("--statistics", "must be given with text", f"the format {self.form}")
        if self.form == "json" or self.output_file is not None:
            # Where the report is not looked at by a person, the log must say why there is no diagnosis.
            for file in report.files:
                if file.error:
                    print(f"unitcircle: {printable(file.error)}", file=sys.stderr)

        if self.form != "text":
            text = render_report(report, self.form)
        elif self.quiet and not self.statistics:
            text = report_lines(report)
        else:
            text = self._view(report)
        if self.output_file is None:
            print(text, end="\n" if text else "", flush=True)
            return
        with written_whole(self.output_file) as file:
            file.write(text.encode(errors="backslashreplace") + b"\n")
        print(f"report: {self.output_file}", file=sys.stderr)

    def _view(self, report: Report) -> str:
        """Return a report as text, coloured where it goes to a terminal."""
        from unitcircle.cli._terminal import console
        from unitcircle.linting import report_view

        out, view = console(), report_view(report, statistics=self.statistics)
        with out.capture() as capture:
            out.print(view)
        return capture.get().rstrip("\n")


def _ignores(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for text in texts:
        glob, colon, code = text.rpartition(":")
        if not (glob and colon and code):
            raise ArgumentError("--per-file-ignores", "must be GLOB:CODE", text)
        result[glob] = (*result.get(glob, ()), code)
    return result


def _severities(texts: tuple[str, ...]) -> dict[str, Severity]:
    from unitcircle.diagnosis import Severity

    result: dict[str, Severity] = {}
    for text in texts:
        code, _, name = text.partition("=")
        if name.upper() not in Severity.__members__:
            raise ArgumentError("--severity", "must be CODE=error, CODE=warning or CODE=note", text)
        result[code] = Severity[name.upper()]
    return result
