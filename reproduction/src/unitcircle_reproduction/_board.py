"""A board of transitions: a new one among those whose runs are committed, each held against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from unitcircle.experiments.comparison import Interval, median_interval
from unitcircle_reproduction._equivalence import Plan, difference_p
from unitcircle_reproduction._judgement import CONFIDENCE

PART = 0.1
"""Margin of no practical difference: a tenth of the baseline."""


class Place(NamedTuple):
    """One line of the board."""

    label: str
    median: float
    interval: Interval  # 95 % of the median
    standing: str  # Of the line's loss against that of the new initializer
    at_edge: bool


def places(
    label: str,
    losses: Sequence[float],
    old: Mapping[str, Sequence[float]],
    /,
    *,
    at_edge: Mapping[str, bool],
    baseline: float,
) -> list[Place]:
    """Return the lines of the board, the least median loss first; runs worse than the baseline count as it."""

    def line(name: str, values: Sequence[float], standing: str) -> Place:
        interval = median_interval(list(values), CONFIDENCE)
        return Place(name, float(np.median(values)), interval, standing, at_edge[name])

    plan = Plan((len(losses),), PART * baseline, (1 - CONFIDENCE) / max(len(old), 1))
    board = [line(label, losses, "")]
    for name, values in old.items():
        pairs = np.subtract(np.minimum(values, baseline), np.minimum(losses, baseline)).tolist()
        decision = plan.decide(pairs, difference_p)
        if decision.sign:
            standing = "worse" if decision.sign > 0 else "better"
        elif decision.equivalent:
            standing = "no practical difference"
        else:
            needed = plan.needed(pairs)
            standing = "not told apart" + (f"; about {needed:.0f} pairs would tell" if needed < math.inf else "")
        board.append(line(name, values, standing))
    return sorted(board, key=lambda place: place.median)
