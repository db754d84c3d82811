"""Pairs of a model and a task, judged: whether a warning was right, and how often."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import ttest_rel

SEEDS = 5
LEVEL, MARGIN = 0.05, math.log(0.95)


def improves(before: np.ndarray, after: np.ndarray, among: int = 1) -> bool:
    """Whether scores after are lower beyond noise, of the best of ``among`` choices."""
    change = np.log(after) - np.log(before)
    if change.mean() >= MARGIN:
        return False
    if np.ptp(change) == 0:  # the test has no variance to divide by
        return True
    return bool(ttest_rel(np.log(after), np.log(before), alternative="less").pvalue < LEVEL / among)


@dataclass(frozen=True)
class Verdict:
    """A pair, judged."""

    pair: Any  # Its ``name``
    warnings: int  # Seeds with a finding of at least a warning
    findings: dict[str, str]  # Code → severity, of the findings of most seeds
    scores: dict[str, np.ndarray] = field(repr=False)
    first: str
    same: str  # The arm of the list that the first remedy is; empty where it is none of them

    @property
    def warned(self) -> bool:
        return self.warnings > SEEDS / 2

    @property
    def remedies(self) -> list[str]:
        return [arm for arm in self.scores if arm != "as it is"]

    @property
    def best(self) -> str:
        return min(self.remedies, key=lambda arm: np.log(self.scores[arm]).mean())

    @property
    def pays(self) -> bool:
        """Whether the first remedy improves the model."""
        return bool(self.first) and improves(self.scores["as it is"], self.scores[self.first])

    @property
    def curable(self) -> bool:
        """Whether some remedy improves the model."""
        base, k = self.scores["as it is"], len(self.remedies)
        return any(improves(base, self.scores[arm], k) for arm in self.remedies)

    @property
    def near_best(self) -> bool:
        k = len(self.remedies)
        return not any(improves(self.scores[self.first], self.scores[arm], k) for arm in self.remedies)

    @property
    def harms(self) -> bool:
        return bool(self.first) and improves(self.scores[self.first], self.scores["as it is"])


@dataclass(frozen=True)
class Rate:
    """A goal over pairs."""

    claim: str
    hits: int
    total: int
    goal: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        # A goal of no pairs is not met.
        return self.total > 0 and (
            self.hits <= self.goal * self.total if self.at_most else self.hits >= self.goal * self.total
        )

    def __str__(self) -> str:
        sign = "at most" if self.at_most else "at least"
        held = "holds" if self.holds else "MISSED"
        return f"  {self.claim}: {self.hits} of {self.total} ({sign} {self.goal:.0%}, {held})"


def rates(verdicts: list[Verdict], part: str) -> list[Rate]:
    """The five goals of issue 15."""
    warned = [v for v in verdicts if v.warned]
    curable = [v for v in verdicts if v.curable]
    others = [v for v in verdicts if not v.curable]
    acted = [v for v in verdicts if v.first]
    return [
        Rate(f"{part}: warned pairs that the first remedy improves", sum(v.pays for v in warned), len(warned), 0.9),
        Rate(f"{part}: warned, of pairs that none improves", sum(v.warned for v in others), len(others), 0.05, True),
        Rate(f"{part}: warned, of pairs that some improves", sum(v.warned for v in curable), len(curable), 0.9),
        Rate(f"{part}: first remedy within noise of the best", sum(v.near_best for v in acted), len(acted), 0.8),
        Rate(f"{part}: made worse by the first remedy", sum(v.harms for v in acted), len(acted), 0.0, True),
    ]
