"""Networks with a linear transition, trained: which orthogonal start suits copying, and which adding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unitcircle.experiments.comparison import median_interval, paired_p
from unitcircle_reproduction._board import PART
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._equivalence import Plan
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import (
    BATCH,
    DELAY,
    KINDS,
    LENGTH,
    REMEMBERED,
    SEEDS,
    TASKS,
    Memory,
)

LAWS = {
    "Haar": "orthogonal",
    "identity": "identity",
    "blocks": "block_rotation",
    "eigen 1, Haar angles": "eigen(modulus=1.0, angles=haar)",
}


def claims(context: Context, /) -> Iterator[Claim]:
    """Train all starts on both tasks, and judge the two comparisons that the source makes."""
    found = contests(context, "orthogonal-linear-transition", TASKS, LAWS)
    yield judged({task.name: (task, found[task.name]) for task in TASKS})


COMPARISONS = {"copying 20": ("identity", "Haar"), "adding 100": ("Haar", "identity")}
"""Task → what the source says fails on it, and what it says succeeds."""


def judged(found: Mapping[str, tuple[Memory, Mapping[str, np.ndarray]]], /) -> Claim:
    """Return the claim that follows from the scores."""
    labels, rows, evidence = list(LAWS), list[dict[str, Any]](), list[Evidence]()
    for name, (task, arrays) in found.items():
        worse, better = (arrays["scores"][labels.index(label)] for label in COMPARISONS[name])
        # One look of the two comparisons; diverged runs count as the baseline.
        plan = Plan((SEEDS,), PART * task.baseline, (1 - CONFIDENCE) / len(COMPARISONS))
        pairs = (np.minimum(worse, task.baseline) - np.minimum(better, task.baseline)).tolist()
        decision = plan.decide(pairs, paired_p)
        needed = plan.needed(pairs) if decision.open else math.nan
        evidence.append(
            Evidence(f"{name}: {' against '.join(COMPARISONS[name])}", decision.sign, decision.equivalent, needed)
        )
        rows += [
            {
                "task": name,
                "transition starts as": label,
                "loss, median [95 %]": with_interval(float(np.median(s)), median_interval(s.tolist(), CONFIDENCE)),
                "baseline": task.baseline,
                "below half the baseline": f"{int((s < task.baseline / 2).sum())}/{len(s)}",
                "rate": number(float(rate)) + " (edge)" * bool(edge),
            }
            for label, s, rate, edge in zip(labels, arrays["scores"], arrays["rates"], arrays["edge"], strict=True)
        ]
    verdict, condition = follows(evidence, margin=f"margin declared beforehand: {PART:g} of the baseline")
    words = "; ".join(
        f"{row['task']}, {row['transition starts as']} {row['loss, median [95 %]']} ({row['below half the baseline']} "
        f"below half the baseline {row['baseline']:.3g})"
        for row in rows
    )
    return Claim(
        "linear-transition",
        "Linear transitions, trained: orthogonal for copying, identity for adding",
        "Initializing the transition as a random orthogonal matrix or as the identity is critical: networks with a "
        "linear transition learn copying from the first and adding from the second, and fail the other way round "
        "(Henaff, Szlam and LeCun).",
        f"h ← V h + ReLU(U x + b), V trained with all else; {KINDS} kinds of {REMEMBERED} symbols, {DELAY} blank "
        f"steps, {TASKS[0].units} units; {LENGTH} numbers, {TASKS[1].units} units; {TASKS[0].steps} steps of {BATCH} "
        f"sequences, Adam, clipped at 1, {SEEDS} seeds, each start at its best rate of another seed. {words}.",
        verdict,
        rows,
        condition=condition,
    )
