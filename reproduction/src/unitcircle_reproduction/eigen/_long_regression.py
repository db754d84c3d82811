"""Regression with a known dependency: whether a tanh network from the eigen initializer is stable, and learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import Evidence, follows
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import ADDING, BATCH, SEEDS, adding
from unitcircle_reproduction._versus import in_words, rows_of

UNITS, STEPS = 32, 400
LENGTHS = (10, 30, 100)
TASKS = tuple(
    replace(
        ADDING,
        name=f"adding {length}, tanh",
        units=UNITS,
        steps=STEPS,
        sample=partial(adding, length=length),
        activation="tanh",
    )
    for length in LENGTHS
)
EIGEN = "eigen .95"
LAWS = {
    EIGEN: "eigen(modulus=0.95, angles=uniform)",
    "eigen .95, Haar angles": "eigen(modulus=0.95, angles=haar)",
    "Xavier": "xavier_normal",
    "identity × .95": "identity(scale=0.95)",
}
MOST = 7 / 8
"""Share of the runs from which on all are spoken of."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Train every start at every length, and judge the eigen initializer."""
    if context.leaves_out("eigen/long-regression"):
        return
    yield judged(contests(context, "eigen-long-regression", TASKS, LAWS))


def judged(found: Mapping[str, Mapping[str, np.ndarray]], /) -> Claim:
    """Return the claim that follows from the losses: stable at every length, and learned."""
    evidence, labels = list[Evidence](), list(LAWS)
    for task in TASKS:
        scores = found[task.name]["scores"][labels.index(EIGEN)]
        stable = (scores <= 1.1 * task.baseline).mean()
        learned = (scores < task.baseline / 2).mean()
        evidence.append(Evidence(f"{task.name}: stable", 1 if stable >= MOST else -1))
        evidence.append(Evidence(f"{task.name}: learned", 1 if learned >= MOST else -1 if learned <= 1 - MOST else 0))
    verdict, condition = follows(evidence)
    rows = [row for task in TASKS for row in rows_of(task, labels, found[task.name], start="start")]
    return Claim(
        "long-regression",
        "Regression with a known dependency",
        "First experiment: validate the stability of the initializer on a regression task with a known long-term "
        "dependency.",
        f"h ← tanh(V h + ReLU(U x + b)), {UNITS} units, the sum of two of "
        f"{', '.join(map(str, LENGTHS))} numbers, {STEPS} steps of {BATCH}, Adam, clipped at 1, {SEEDS} seeds, each "
        f"start at its best rate of another seed, extended at an edge. {in_words(rows, start='start')}. "
        "Stable is called an error of at most 1.1 times the baseline in 7 of 8 runs, learned one of less than half of "
        "it.",
        verdict,
        rows,
        condition=condition,
    )
