"""Vanishing and exploding gradients in training: whether learning stands still, or never converges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from unitcircle_reproduction._board import PART
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import Evidence, follows
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import BATCH, CELLS, SEEDS
from unitcircle_reproduction._versus import in_words, rows_of

TASK = replace(
    CELLS["tanh"], name="copying 20, tanh, SGD", descent="sgd", clip=math.inf, steps=600, rates=(0.003, 0.01, 0.03)
)
HAAR, VANISHING, EXPLODING = "Haar", "Haar × 0.5", "Haar × 3"
LAWS = {HAAR: "orthogonal", VANISHING: "orthogonal(gain=0.5)", EXPLODING: "orthogonal(gain=3.0)"}


def claims(context: Context, /) -> Iterator[Claim]:
    """Train one start that keeps gradients, one that loses them and one whose gradients explode, without clipping."""
    if context.leaves_out("orthogonal/standstill"):
        return
    yield judged(contests(context, "orthogonal-standstill", [TASK], LAWS)[TASK.name])


def judged(arrays: Mapping[str, np.ndarray], /) -> Claim:
    """Return the claim that follows from the losses of the three starts."""
    scores = dict(zip(LAWS, np.minimum(arrays["scores"], 10 * TASK.baseline), strict=True))
    near, far = (1 - PART) * TASK.baseline, TASK.baseline / 2
    # Told only where the start that keeps gradients learns: half of the baseline in most runs.
    control = bool((scores[HAAR] < far).mean() > 0.5)
    evidence = []
    for label, words in ((VANISHING, "vanishing: stands still"), (EXPLODING, "exploding: does not converge")):
        stays, learns = (scores[label] >= near).mean(), (scores[label] < far).mean()
        sign = 1 if stays >= 7 / 8 else -1 if learns >= 7 / 8 else 0
        evidence.append(Evidence(words, sign if control else 0))
    verdict, condition = follows(evidence)
    rows = rows_of(TASK, list(LAWS), arrays)
    return Claim(
        "standstill",
        "Training with gradients that vanish or explode",
        "If gradients vanish, training is at a near standstill; if they explode, it may never converge.",
        f"h ← tanh(V h + ReLU(U x + b)), copying over 20 steps, {TASK.units} units, {TASK.steps} steps of {BATCH}, "
        f"plain gradient descent without clipping, {SEEDS} seeds, each start at its best rate of another seed, "
        f"extended at an edge. {in_words(rows)}. It stands still, or does not converge, where at least 7 of 8 runs "
        "stay within a tenth of the baseline or above it, the contrary where as many get below half of it; told only "
        "where most runs of the Haar start do.",
        verdict,
        rows,
        condition=condition,
    )
