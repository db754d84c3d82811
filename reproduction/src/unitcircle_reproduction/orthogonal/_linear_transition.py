"""Networks with a linear transition, trained: which orthogonal start suits copying, and which adding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import follows
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import (
    ADDING,
    BATCH,
    COPYING,
    DELAY,
    KINDS,
    LENGTH,
    LONGER,
    REMEMBERED,
    SEEDS,
    TASKS,
)
from unitcircle_reproduction._versus import MARGIN, Rivals, evidence_of, in_words, rows_of

LAWS = {
    "Haar": "orthogonal",
    "identity": "identity",
    "blocks": "block_rotation",
    "eigen 1, Haar angles": "eigen(modulus=1.0, angles=haar)",
}


def claims(context: Context, /) -> Iterator[Claim]:
    """Train all starts on every task, and judge the comparisons that the source makes."""
    found = contests(context, "orthogonal-linear-transition", TASKS, LAWS)
    yield judged(found)


HAAR, IDENTITY = "Haar", "identity"
RIVALS = (
    Rivals(COPYING, worse=IDENTITY, better=HAAR),
    Rivals(LONGER, worse=IDENTITY, better=HAAR),
    Rivals(ADDING, worse=HAAR, better=IDENTITY),
)
"""What the source says fails on a task, and what it says succeeds."""


def judged(found: Mapping[str, Mapping[str, np.ndarray]], /) -> Claim:
    """Return the claim that follows from the scores."""
    labels = list(LAWS)
    verdict, condition = follows(evidence_of(found, labels, RIVALS, family=len(RIVALS)), margin=MARGIN)
    rows = [row for task in TASKS for row in rows_of(task, labels, found[task.name])]
    return Claim(
        "linear-transition",
        "Linear transitions, trained: orthogonal for copying, identity for adding",
        "Initializing the transition as a random orthogonal matrix or as the identity is critical: networks with a "
        "linear transition learn copying from the first and adding from the second, and fail the other way round "
        "(Henaff, Szlam and LeCun).",
        f"h ← V h + ReLU(U x + b), V trained with all else; {KINDS} kinds of {REMEMBERED} symbols, {DELAY} and 50 "
        f"blank steps, {COPYING.units} units; {LENGTH} numbers, {ADDING.units} units; {COPYING.steps} steps of {BATCH} "
        f"sequences, Adam, clipped at 1, {SEEDS} seeds, each start at its best rate of another seed. {in_words(rows)}.",
        verdict,
        rows,
        condition=condition,
    )
