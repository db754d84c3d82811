"""Contests of transitions: which of two starts is worse on a task, from the runs of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from unitcircle.experiments.comparison import median_interval, paired_p
from unitcircle_reproduction._board import PART
from unitcircle_reproduction._equivalence import Plan
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, number, with_interval
from unitcircle_reproduction._transition import SEEDS, Memory

MARGIN = f"margin declared beforehand: {PART:g} of the baseline"


class Rivals(NamedTuple):
    """A comparison that a text makes: on a task, the first start is worse than the second."""

    task: Memory
    worse: str  # worse, better: labels
    better: str


def evidence_of(
    found: Mapping[str, Mapping[str, np.ndarray]], labels: Sequence[str], rivals: Sequence[Rivals], /, *, family: int
) -> list[Evidence]:
    """Return what the runs say of each comparison: one look, 5 % over as many as are of a family."""
    # The exact p of eight pairs is at least 1/128, so that a family of more than six cannot tell anything apart.
    evidence: list[Evidence] = []
    for task, worse, better in rivals:
        # Diverged runs count as the baseline.
        scores = np.minimum(found[task.name]["scores"], task.baseline)
        pairs = (scores[labels.index(worse)] - scores[labels.index(better)]).tolist()
        plan = Plan((SEEDS,), PART * task.baseline, (1 - CONFIDENCE) / family)
        decision = plan.decide(pairs, paired_p)
        needed = plan.needed(pairs) if decision.open else math.nan
        evidence.append(Evidence(f"{task.name}: {worse} against {better}", decision.sign, decision.equivalent, needed))
    return evidence


def rows_of(
    task: Memory, labels: Sequence[str], arrays: Mapping[str, np.ndarray], /, *, start: str = "transition starts as"
) -> list[dict[str, Any]]:
    """Return a row of the table for each start on one task."""
    return [
        {
            "task": task.name,
            start: label,
            "loss, median [95 %]": with_interval(float(np.median(s)), median_interval(s.tolist(), CONFIDENCE)),
            "baseline": task.baseline,
            "below half the baseline": f"{int((s < task.baseline / 2).sum())}/{len(s)}",
            "diverged": f"{int(np.isinf(s).sum())}/{len(s)}",
            "rate": number(float(rate)) + " (edge)" * bool(edge),
        }
        for label, s, rate, edge in zip(labels, arrays["scores"], arrays["rates"], arrays["edge"], strict=True)
    ]


def in_words(rows: Sequence[Mapping[str, Any]], /, *, start: str = "transition starts as") -> str:
    """Return the losses of such rows in a sentence."""
    return "; ".join(
        f"{row['task']}, {row[start]} {row['loss, median [95 %]']} ({row['below half the baseline']} below half the "
        f"baseline {row['baseline']:.3g})"
        for row in rows
    )
