"""What came of one call over many files, and the exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from unitcircle.diagnosis import Diagnosis, Finding
from unitcircle.linting._baseline import Baseline, Known
from unitcircle.linting._settings import Settings

CLEAN, FINDINGS, UNREADABLE, UNREAD = range(4)
"""The exit statuses of a call."""


@dataclass(frozen=True)
class Checked:
    """One file.

    Attributes
    ----------
    path
        The file, as the call names it.
    diagnosis
        Its diagnosis, of which the findings are those that are new; None where it cannot be read.
    error
        Why it cannot be read, or empty.
    known
        The findings that are in the baseline.
    """

    path: str
    diagnosis: Diagnosis | None = None
    error: str = ""
    known: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The new findings."""
        return self.diagnosis.findings if self.diagnosis is not None else ()

    @property
    def unread(self) -> tuple[str, ...]:
        """What looks recurrent and was not read; one sentence where nothing was analysed."""
        if self.diagnosis is None:
            return ()
        sentences = self.diagnosis.coverage.unread if self.diagnosis.coverage is not None else ()
        if self.diagnosis.layers or sentences:
            return sentences
        return (self.diagnosis.answer.sentence,)


@dataclass(frozen=True)
class Report:
    """All files of a call.

    Attributes
    ----------
    files
        In the order of the call.
    settings
        What was judged, and what makes the call fail.
    baseline
        The known findings, or None.
    """

    files: tuple[Checked, ...]
    settings: Settings
    baseline: Baseline | None = None

    @property
    def findings(self) -> Iterator[tuple[str, Finding]]:
        """Every new finding with its file."""
        return ((file.path, finding) for file in self.files for finding in file.findings)

    @property
    def known(self) -> Iterator[tuple[str, Finding]]:
        """Every finding in the baseline with its file."""
        return ((file.path, finding) for file in self.files for finding in file.known)

    @property
    def stale(self) -> list[Known]:
        """The entries of the baseline that hold no more: about these files, or about files that are gone."""
        if self.baseline is None:
            return []
        found = [*self.known, *self.findings]  # a finding whose severity has risen is there still
        return self.baseline.stale(found, [file.path for file in self.files if file.diagnosis is not None])

    @property
    def status(self) -> int:
        """The exit status, the first that holds: 2 a file cannot be read, 1 findings, 3 something not read, 0 clean."""
        if any(file.error for file in self.files):
            return UNREADABLE
        if self.settings.fails([finding for _, finding in self.findings]):
            return FINDINGS
        unread = any(file.unread for file in self.files)
        return UNREAD if unread and not self.settings.allow_unread else CLEAN

    @property
    def summary(self) -> str:
        """One line: files, findings by severity, what was not read."""
        counts = Counter(finding.severity for _, finding in self.findings)
        found = ", ".join(_counted(counts[severity], str(severity)) for severity in sorted(counts, reverse=True))
        known = sum(1 for _ in self.known)
        parts = [f"{_counted(len(self.files), 'file')}: {found or 'no findings'}"]
        parts += [f"{_counted(known, 'known finding')} in the baseline"] if known else []
        parts += (
            [f"{_counted(len(self.stale), 'entry', 'entries')} of the baseline found no more"] if self.stale else []
        )
        errors = sum(bool(file.error) for file in self.files)
        unread = sum(bool(file.unread) for file in self.files)
        parts += [f"{errors} cannot be read"] if errors else []
        parts += [f"{unread} not read in whole"] if unread else []
        return "; ".join(parts)


def _counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
