"""What happens when a rule finds something: a warning, a stop or a call, each not too often."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Any, Literal

from unitcircle.diagnosis import Finding, Rule, Severity
from unitcircle.errors import ArgumentError, TrainingStopped, UnknownNameError
from unitcircle.monitor._history import History
from unitcircle.monitor.rules import RULES

OnFinding = Literal["warn", "stop", "ignore"] | Callable[[Finding], Any]
QUIET = 10
"""Measurements for which a finding is not repeated; twice as many after each time. A note is not repeated at all."""
ACTIONS = ("warn", "stop", "ignore")
FOREVER = 1 << 62


class UnitcircleWarning(UserWarning):
    """A finding of the monitor, or something that it cannot measure or write."""


class FindingReporter:
    """Runs the rules, and reports a finding again only after a growing number of measurements."""

    def __init__(self, on_finding: OnFinding, rules: Iterable[str]) -> None:
        if not callable(on_finding) and not any(on_finding == action for action in ACTIONS):
            raise ArgumentError("on_finding", "must be 'warn', 'stop', 'ignore' or a function", repr(on_finding))
        prefixes = tuple(rules)
        for prefix in prefixes:
            if not any(code.startswith(prefix.upper()) for code in RULES):
                raise UnknownNameError("rules", prefix, RULES)
        self.on_finding = on_finding
        # str.startswith takes several prefixes; the empty one is a prefix of every code.
        beginnings = tuple(prefix.upper() for prefix in prefixes) or ("",)
        self._rules: list[Rule[History]] = [rule for code, rule in RULES.items() if code.startswith(beginnings)]
        # Code, severity and place → measurement before which it is not repeated, and times it was reported.
        self._quiet: dict[str, tuple[int, int]] = {}

    def findings(self, history: History, measurement: int, /) -> Iterator[Finding]:
        """Yield the findings of this measurement that were not reported recently."""
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
            # 3: this method, Monitor.step, and the training loop, which the warning should name.
            warnings.warn(f"{finding}. {remedy} ({finding.code}).", UnitcircleWarning, stacklevel=3)

    def without_memory(self) -> FindingReporter:
        """Return one with the same rules that has reported nothing."""
        reporter = copy(self)
        reporter._quiet = {}
        return reporter

    def state_dict(self) -> dict[str, Any]:
        """Return, for every finding, the measurement before which it is not repeated."""
        return {key: list(value) for key, value in self._quiet.items()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        self._quiet = {key: (int(value[0]), int(value[1])) for key, value in state.items()}
