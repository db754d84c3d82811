"""The registry of the rules over a run."""

from __future__ import annotations

from collections.abc import Callable

from unitcircle.diagnosis import Check as AnyCheck
from unitcircle.diagnosis import Rule, rule_of
from unitcircle.monitor._history import History

Check = AnyCheck[History]
RULES: dict[str, Rule[History]] = {}
"""The rules by code."""


def rule(code: str, name: str, /) -> Callable[[Check], Check]:
    """Register a check of a history under a code and a name."""
    return rule_of(RULES, code, name)
