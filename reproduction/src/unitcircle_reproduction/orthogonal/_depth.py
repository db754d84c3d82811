"""Learning times of deep linear networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from unitcircle.experiments.comparison import Row
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.report import CYCLE
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import SEEDS
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._judgement import Evidence, follows, number


@dataclass(frozen=True)
class Start:
    """Where a deep network starts, and how it is trained from there."""

    inner: str  # inner, ends: Initializers of the inner layers, and of the first and the last
    ends: str
    clip: float | None = None  # Largest norm of the gradient; None for none

    def __str__(self) -> str:
        """Return the layers and the clipping, in words."""
        layers = self.inner if self.inner == self.ends else f"{self.inner} inside, {self.ends} ends"
        return f"{layers.replace('_', ' ')}, {'no clipping' if self.clip is None else f'clipped at {self.clip:g}'}"


CLIPS = (None, 1.0)
PROTOCOLS = tuple(Start("orthogonal", ends, clip) for clip in CLIPS for ends in ("orthogonal", "gaussian"))
"""Every way in which an orthogonal start was tried: each counts."""
GAUSSIAN = {clip: Start("gaussian", "gaussian", clip) for clip in CLIPS}
"""What each is held against: every layer Gaussian, 1/√n, with the same clipping."""
STARTS = (*PROTOCOLS, *GAUSSIAN.values(), Start("torch_default", "torch_default"))
FACTOR = 2.0
"""Times that differ by no more than this over all depths are called independent of it."""
STEPS = 100
PLAIN = {"optimizer": "sgd", "batch_size": 128, "measure_at": ()}
"""Gradient descent as in the source."""


def claim(context: Context, /) -> Claim:
    """Count the steps to 30 % of the loss for deep linear networks of growing depth."""
    depths = context.pick((2, 8, 32), (2, 4, 8, 16, 32, 64, 128))
    steps, rates = context.pick(STEPS, 10 * STEPS), tuple(2.0**-k for k in range(context.pick(7, 9)))
    cells = tuple(f"stack(depth={depth})" for depth in depths)
    times: dict[Start, list[Row]] = {}
    for start in STARTS:
        options = {"steps": steps, "evaluate_every": 1, "patience": 1, "clip": start.clip} | PLAIN
        options |= {"input": start.ends, "readout": start.ends}
        study = Study(
            f"orthogonal-depth-{start.inner}-{start.ends}-{start.clip}",
            initializers={str(start): start.inner},
            experiments=(
                Experiment(
                    "deep_linear_map",
                    cells,
                    (64,),
                    learning_rates=rates,
                    further_rates=FURTHER,
                    rank_by="steps",
                    options=options,
                ),
            ),
            seeds=context.pick(*SEEDS),
            tuning_seeds=context.pick(1, 3),
            twin=False,
        )
        groups = context.study(context.seeded(study), here=True).groups
        times[start] = [row for group in groups for row in group.rows]
    growth = {start: _growth(rows) for start, rows in times.items()}
    verdict, condition = follows(evidence_of(growth))
    grown = "; ".join(f"{start}: {_fold(growth[start])}" for start in STARTS)
    return Claim(
        "depth",
        "Deep linear networks: learning time and depth",
        "From orthogonal initial weights the learning time of a deep linear network does not depend on its depth; from "
        "scaled Gaussian ones it grows (Saxe, McClelland and Ganguli).",
        f"Median steps of gradient descent (batch 128, the best of {len(rates)} rates from {rates[-1]:g} to 1, "
        f"extended at an edge, at every depth, {context.pick(*SEEDS)} seeds) to 30 % of the variance, n = 64, at most "
        f"{steps} steps. The orthogonal start was tried in four ways: with the first and the last layer orthogonal or "
        f"Gaussian, with the gradient clipped or not. It is as the source says where the times differ by a factor of "
        f"at most {FACTOR:g} over all depths, and those from "
        "Gaussian layers with the same clipping by more. Largest over smallest time: "
        f"{grown}.",
        verdict,
        [_table_row(start, depths, times[start]) for start in STARTS],
        {
            "Steps to 30 % of the variance against depth: median and 95 % interval. Left: the orthogonal starts; "
            "right: what they are held against, and torch's default.": partial(_figure, depths, times)
        },
        {"growth": {str(start): value for start, value in growth.items()}},
        condition,
    )


def _growth(rows: Sequence[Row]) -> float:
    """Return the largest median number of steps over the smallest; inf: not learned at a depth, NaN: no runs."""
    medians = [row.median_steps for row in rows]
    if any(map(math.isnan, medians)):
        return math.nan
    return math.inf if math.inf in medians else max(medians) / min(medians)


def evidence_of(growth: Mapping[Start, float], /) -> list[Evidence]:
    """Return what each protocol of an orthogonal start says of the claim."""
    evidence: list[Evidence] = []
    for start in PROTOCOLS:
        orthogonal, gaussian = growth[start], growth[GAUSSIAN[start.clip]]
        known = not (math.isnan(orthogonal) or math.isnan(gaussian))
        evidence.append(Evidence(str(start), (1 if orthogonal <= FACTOR < gaussian else -1) if known else 0))
    return evidence


def _fold(growth: float) -> str:
    return "not learned at every depth" if growth == math.inf else f"{number(growth)}-fold"


def _table_row(start: Start, depths: Sequence[int], rows: Sequence[Row]) -> dict[str, str]:
    """Return the times of one start at every depth, with the rates."""
    steps = {f"depth {depth}: steps [95 %]": _steps(row) for depth, row in zip(depths, rows, strict=True)}
    return {"start": str(start)} | steps | {"rates": ", ".join(number(row.learning_rate) for row in rows)}


def _steps(row: Row) -> str:
    low, high = row.steps_interval.low, row.steps_interval.high
    return f"{number(row.median_steps)} [{number(low)}, {number(high)}]".replace("∞", "never")


def _figure(depths: Sequence[int], times: Mapping[Start, Sequence[Row]]) -> Figure:
    figure = Figure(figsize=(8.2, 3.7), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, starts in zip(axes, (PROTOCOLS, STARTS[len(PROTOCOLS) :]), strict=True):
        for k, start in enumerate(starts):
            median = np.array([row.median_steps for row in times[start]])
            ends = np.array([(row.steps_interval.low, row.steps_interval.high) for row in times[start]])
            shown = np.isfinite(median)
            # Side by side, so that equal times do not hide one another.
            x = np.array(depths) * 1.05 ** (k - (len(starts) - 1) / 2)
            missing = "" if shown.all() else f" (not from depth {depths[int(np.argmin(shown))]} on)"
            ax.plot(x[shown], median[shown], "osD^"[k] + "-", ms=4, color=CYCLE[k], label=f"{start}{missing}")
            drawn = shown & np.isfinite(ends).all(1)
            ax.vlines(x[drawn], ends[drawn, 0], ends[drawn, 1], color=CYCLE[k], lw=1)
        ax.set(xscale="log", yscale="log", xlabel="depth (matrices below the readout)")
        ax.set_xticks(depths, [str(depth) for depth in depths])
        ax.minorticks_off()
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    # A logarithmic axis on which nothing was learned has no limits of its own.
    ends = [row.steps_interval.high for rows in times.values() for row in rows]
    axes[0].set(ylabel="steps to 30 % of the variance", ylim=(1, 2 * max([10.0, *filter(math.isfinite, ends)])))
    return figure
