"""Learning times of deep linear networks."""

from __future__ import annotations

__all__ = ["claim"]

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from unitcircle.experiments.reproduce._claim import Claim, Verdict
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.orthogonal._judgement import number
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.report._comparison import Row
from unitcircle.report._style import CYCLE

HAAR, INNER = "orthogonal, every layer", "orthogonal, inner layers"
GAUSSIAN, DEFAULT = "Gaussian, 1/√n", "torch default"
LAYERS = {
    HAAR: ("orthogonal", "orthogonal"),
    INNER: ("orthogonal", "gaussian"),
    GAUSSIAN: ("gaussian", "gaussian"),
    DEFAULT: ("torch_default", "torch_default"),
}
"""Label → initializers of the inner layers, and of the first and the last."""
FACTOR = 2.0
"""Times that differ by no more than this over all depths are called independent of it."""
STEPS = 100
PLAIN = {"optimizer": "sgd", "batch_size": 128, "clip": None, "measure_at": ()}
"""Gradient descent as in the source, without clipping."""


def claim(context: Context, /) -> Claim:
    """Count the steps to 30 % of the loss for deep linear networks of growing depth.

    Parameters
    ----------
    context
        Quick: depths 2, 8 and 32, 7 seeds. Full: 2 to 128, 10 seeds.

    Returns
    -------
    Claim
        Whether learning times from an orthogonal start do not depend on depth, and from others do.
    """
    depths = context.pick((2, 8, 32), (2, 4, 8, 16, 32, 64, 128))
    steps, rates = context.pick(STEPS, 10 * STEPS), tuple(2.0**-k for k in range(context.pick(7, 9)))
    times: dict[str, list[Row]] = {}
    for label, (inner, outer) in LAYERS.items():
        options = {"steps": steps, "evaluate_every": 1, "patience": 1, "input": outer, "readout": outer} | PLAIN
        cells = tuple(f"stack(depth={depth})" for depth in depths)
        study = Study(
            "orthogonal-depth-" + label.replace(", ", "-").replace(" ", "-").replace("/√", ""),
            {label: inner},
            (Experiment("deep_linear_map", cells, (64,), learning_rates=rates, rank_by="steps", options=options),),
            seeds=context.pick(7, 10),
            tuning_seeds=context.pick(1, 3),
            twin=False,
        )
        times[label] = [row for group in context.study(context.seeded(study), here=True).groups for row in group.rows]
    growth = {label: _growth(rows) for label, rows in times.items()}
    follows, condition = judge(growth)
    table = [
        {
            "depth": depth,
            **{f"{label}: steps [95 %]": _steps(times[label][k]) for label in LAYERS},
            **{f"{label}: rate": _rate(times[label][k]) for label in LAYERS},
        }
        for k, depth in enumerate(depths)
    ]
    grown = "; ".join(
        f"{label} {_steps(rows[0])} at depth {depths[0]} and {_steps(rows[-1])} at depth {depths[-1]}"
        for label, rows in times.items()
    )
    return Claim(
        "depth",
        "Deep linear networks: learning time and depth",
        "From orthogonal initial weights the learning time of a deep linear network does not depend on its depth; from "
        "scaled Gaussian ones it grows (Saxe, McClelland and Ganguli).",
        f"Median steps of gradient descent (batch 128, the best of {len(rates)} rates from {rates[-1]:g} to 1 at every "
        f"depth) to 30 % of the variance, n = 64: {grown}. At most {steps} steps were taken. The first and the last "
        f"layer count: with Gaussian ones around orthogonal inner layers the times grow {number(growth[INNER])}-fold, "
        f"with every layer orthogonal {number(growth[HAAR])}-fold.",
        follows,
        table,
        {"Steps to 30 % of the variance against depth: median and 95 % interval": partial(_figure, depths, times)},
        {"growth": growth, "seeds": len(times[HAAR][0].seeds)},
        condition,
    )


def _growth(rows: Sequence[Row]) -> float:
    """Return the largest median number of steps over the smallest; inf: not learned at a depth, NaN: no runs."""
    medians = [row.median_steps for row in rows]
    if any(map(math.isnan, medians)):
        return math.nan
    return math.inf if math.inf in medians else max(medians) / min(medians)


def judge(growth: Mapping[str, float], /) -> tuple[Verdict, str]:
    """Return what follows from the growth of the learning times over all depths, and the condition.

    Parameters
    ----------
    growth
        Label → largest over smallest median time, inf where a depth was not learned at all.

    Returns
    -------
    tuple
        Holds where the times with every layer orthogonal stay within a factor of 2 and those with none do not.
    """
    if any(map(math.isnan, growth.values())):
        return Verdict.UNDECIDED, "Runs are missing."
    if growth[HAAR] > FACTOR:
        return Verdict.FAILS, ""
    flat = [label for label in growth if label not in {HAAR, INNER} and growth[label] <= FACTOR]
    if flat:
        return Verdict.CONDITIONALLY, f"{', '.join(flat)} is as independent of depth up to the depths tried."
    return Verdict.HOLDS, ""


def _steps(row: Row) -> str:
    low, high = row.steps_interval.low, row.steps_interval.high
    return f"{number(row.median_steps)} [{number(low)}, {number(high)}]".replace("∞", "never")


def _rate(row: Row) -> str:
    return number(row.learning_rate) + (" (edge)" if row.at_edge else "")


def _figure(depths: Sequence[int], times: Mapping[str, Sequence[Row]]) -> Figure:
    figure = Figure(figsize=(5.6, 3.5), layout="constrained")
    ax = figure.subplots()
    for k, (label, rows) in enumerate(times.items()):
        median = np.array([row.median_steps for row in rows])
        ends = np.array([(row.steps_interval.low, row.steps_interval.high) for row in rows])
        shown = np.isfinite(median)
        color, marker = CYCLE[k], "osD^"[k]
        ax.plot(np.array(depths)[shown], median[shown], marker + "-", ms=4, color=color, label=label)
        drawn = shown & np.isfinite(ends).all(1)
        ax.vlines(np.array(depths)[drawn], ends[drawn, 0], ends[drawn, 1], color=color, lw=1)
        if not shown.all():
            first = depths[int(np.argmin(shown))]
            ax.annotate(
                f"{label}: not in the steps taken", (first, 0.97 - 0.07 * k), xycoords=("data", "axes fraction"),
                color=color, fontsize=8, ha="right",
            )  # fmt: skip
    ax.set(
        xscale="log", yscale="log", xlabel="depth (matrices below the readout)", ylabel="steps to 30 % of the variance"
    )
    ax.set_xticks(depths, [str(depth) for depth in depths])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return figure
