"""What happens when a rule finds something: a warning, a stop, or a call, not too often."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Any, Literal

from unitcircle.diagnosis import Finding, Rule, Severity
from unitcircle.errors import ArgumentError, UnitcircleError, UnknownNameError
from unitcircle.monitor._history import History
from unitcircle.monitor._rules import RULES

OnFinding = Literal["warn", "stop", "ignore"] | Callable[[Finding], Any]
QUIET = 10
"""Measurements for which a finding is not repeated; twice as many after each time. A note is not repeated at all."""
ACTIONS = ("warn", "stop", "ignore")
FOREVER = 1 << 62


class UnitcircleWarning(UserWarning):
    """A finding made while training goes on, or something that the monitor has to do without."""


class TrainingStopped(UnitcircleError):  # noqa: N818  (a stop that was asked for is no error)
    """A monitor with ``on_finding="stop"`` found something.

    Parameters
    ----------
    finding
        What it found.
    """

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(f"{finding}. {finding.remedy[:1].upper()}{finding.remedy[1:]}.")


class Alarm:
    """Runs the rules, and reports each finding at most so often."""

    def __init__(self, on_finding: OnFinding, rules: Iterable[str]) -> None:
        if not callable(on_finding) and not any(on_finding == action for action in ACTIONS):
            raise ArgumentError("on_finding", "must be 'warn', 'stop', 'ignore' or a function", repr(on_finding))
        rules = tuple(rules)
        for code in rules:
            if not any(known.startswith(code.upper()) for known in RULES):
                raise UnknownNameError("rules", code, RULES)
        self.on_finding = on_finding
        self._rules: list[Rule[History]] = [
            rule for code, rule in RULES.items() if any(code.startswith(given.upper()) for given in rules or ("UC",))
        ]
        # Code, severity and place → measurement before which it is not repeated, and times it was reported.
        self._quiet: dict[str, tuple[int, int]] = {}

    def findings(self, history: History, measurement: int, /) -> Iterator[Finding]:
        """Yield what the rules find now and is not to be kept quiet."""
        for rule in self._rules:
            for finding in rule.findings(history):
                key = f"{finding.code} {finding.severity} {finding.place}"
                until, times = self._quiet.get(key, (0, 0))
                if measurement >= until:
                    silence = FOREVER if finding.severity == Severity.NOTE else QUIET * 2**times
                    self._quiet[key] = (measurement + silence, times + 1)
                    yield finding

    def report(self, finding: Finding, /) -> None:
        """Warn, stop or call."""
        if callable(self.on_finding):
            self.on_finding(finding)
        elif self.on_finding == "stop" and finding.severity >= Severity.WARNING:
            raise TrainingStopped(finding)
        elif self.on_finding != "ignore":
            remedy = f"{finding.remedy[:1].upper()}{finding.remedy[1:]}"
            warnings.warn(f"{finding}. {remedy} ({finding.code}).", UnitcircleWarning, stacklevel=3)

    def again(self) -> Alarm:
        """Return one like this that has reported nothing."""
        made = copy(self)
        made._quiet = {}
        return made

    def state_dict(self) -> dict[str, Any]:
        """Return until when what is kept quiet."""
        return {key: list(value) for key, value in self._quiet.items()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._quiet = {key: (int(value[0]), int(value[1])) for key, value in state.items()}
