"""Figures of gradients through depth, and of weights that leave the orthogonal matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unitcircle.report import COLORS, CYCLE, DASHES
from unitcircle_reproduction.well_behaved._depth import Depth
from unitcircle_reproduction.well_behaved._training import WeightCourse

LN10 = np.log(10)
POWERS = {"sgd": 0.0, "adam": 0.5}
"""What first order says of drift against width: see docs/theory/near-orthogonality.md."""


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _flow(ax: Axes, result: Depth, color: str, *, bound: bool = True) -> None:
    back = np.arange(result.logs.shape[1])
    ax.fill_between(back, *(np.quantile(result.logs, q, axis=0) / LN10 for q in (0, 1)), color=color, alpha=0.2, lw=0)
    ax.plot(back, result.logs.mean(0) / LN10, color=color, label=result.kind.name.rsplit(", ", 1)[0])
    if bound:
        ax.plot(back, result.bounds.mean(0) / LN10, ":", color=color, lw=1.2)


def depth(shown: Mapping[str, Depth], /) -> Figure:
    """Draw the gradient against layers back, with the bounds."""
    figure = _figure(8.0, 3.4)
    for ax, relu in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        results = [result for result in shown.values() if result.kind.relu is relu]
        for result, color in zip(results, CYCLE, strict=False):
            _flow(ax, result, color)
        ax.plot([], [], ":", color=COLORS["black"], label="bound")
        ax.set(xlabel="layers back", title="ReLU" if relu else "linear", xlim=(0, None))
        ax.legend(loc="upper left")
    figure.axes[0].set_ylabel("log₁₀ of the gradient's norm")
    return figure


def case_one(results: Sequence[Depth], /) -> Figure:
    """Draw the gradient against layers back of the post's two initializations, and of Haar's."""
    figure = _figure(5.6, 3.4)
    ax = figure.subplots()
    for result, color in zip(results, CYCLE, strict=False):
        _flow(ax, result, color, bound=False)
    ax.set(xlabel="layers back", ylabel="log₁₀ of the gradient's norm", xlim=(0, None))
    ax.legend(loc="upper left")
    return figure


def ranks(results: Sequence[Depth], /) -> Figure:
    """Draw the gradient of low-rank stacks against layers back."""
    figure = _figure(5.2, 3.4)
    ax = figure.subplots()
    for result, color in zip(results, CYCLE, strict=False):
        _flow(ax, result, color, bound=False)
    ax.plot([0, results[0].logs.shape[1] - 1], [0, 0], ":", color=COLORS["black"], label="bound, all ranks")
    ax.set(xlabel="layers back", ylabel="log₁₀ of the gradient's norm", xlim=(0, None))
    ax.legend(loc="lower left")
    return figure


def _distance(ax: Axes, trained: Sequence[WeightCourse], names: Sequence[str]) -> None:
    for index, (result, name) in enumerate(zip(trained, names, strict=True)):
        deviation = result.moved.deviation.mean(-1)
        color, dash = CYCLE[index % len(CYCLE)], DASHES[index % len(DASHES)]
        ax.fill_between(result.steps, deviation.min(-1), deviation.max(-1), color=color, alpha=0.15, lw=0)
        ax.plot(result.steps, deviation.mean(-1), dash, color=color, label=name)
    ax.axhline(1.0, color=COLORS["grey"], ls="--", lw=0.9)
    ax.axhline(0.1, color=COLORS["grey"], ls=":", lw=0.9)
    ax.set(xlabel="optimizer step", yscale="log")


def training(trained: Sequence[WeightCourse], /) -> Figure:
    """Draw the distance from orthogonality of the stacks, an optimizer a panel."""
    figure = _figure(8.0, 4.4)
    for ax, optimizer in zip(figure.subplots(1, 2, sharey=True), ("sgd", "adam"), strict=True):
        of = [result for result in trained if result.setting.optimizer == optimizer]
        names = [f"{r.setting.learning_rate:g}, n = {r.setting.width}: {r.accuracy.mean():.0%}" for r in of]
        _distance(ax, of, names)
        ax.set(title="SGD" if optimizer == "sgd" else "Adam", xscale="log")
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=2,
            title="rate, width: test accuracy",
            title_fontsize=8,
        )
    figure.axes[0].set_ylabel("‖WᵀW − I‖ / √n")
    return figure


def recurrent(trained: Sequence[WeightCourse], /) -> Figure:
    """Draw the distance from orthogonality of recurrent networks."""
    figure = _figure(7.4, 3.6)
    ax = figure.subplots()
    names = [f"{str(r.setting).removeprefix('rnn, ')}: {r.accuracy.mean():.0%}" for r in trained]
    _distance(ax, trained, names)
    ax.set(ylabel="‖WᵀW − I‖ / √n", xlim=(0, None))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="test accuracy", title_fontsize=8)
    return figure


def why(
    trained: Sequence[WeightCourse], recurrent: Sequence[WeightCourse], swept: Mapping[str, Sequence[WeightCourse]], /
) -> Figure:
    """Draw deviation against drift, tangent shares, and drift against width."""
    figure = _figure(10.0, 3.3)
    left, middle, right = figure.subplots(1, 3)
    for results, color, marker, name in ((trained, "blue", "o", "stack"), (recurrent, "vermilion", "^", "recurrent")):
        drift, deviation = (
            np.concatenate([getattr(r.moved, what).ravel() for r in results]) for what in ("drift", "deviation")
        )
        left.plot(drift, deviation, marker, ms=3, alpha=0.5, color=COLORS[color], mew=0, label=name)
    x = np.geomspace(1e-4, 1, 50)
    for share, dash in ((0.0, "--"), (0.5, "-"), (0.9, ":")):
        left.plot(
            x, 2 * np.sqrt(1 - share) * x, dash, color=COLORS["black"], lw=0.9, label=f"first order, τ = {share:g}"
        )
    left.set(xlabel="drift ‖ΔW‖ / ‖W‖", ylabel="‖WᵀW − I‖ / √n", xscale="log", yscale="log")
    left.legend(loc="upper left", fontsize=7)
    for results, of, color in ((trained, "gradient", "orange"), (trained, "movement", "blue")):
        values = [r.gradient_share if of == "gradient" else r.moved.tangent_share for r in results]
        mean = np.mean([value.mean((1, 2)) for value in values], axis=0)
        spread = np.quantile([value.mean((1, 2)) for value in values], (0, 1), axis=0)
        middle.fill_between(results[0].steps, *spread, color=COLORS[color], alpha=0.25, lw=0)
        middle.plot(results[0].steps, mean, color=COLORS[color], label=of)
    middle.axhline(0.5, color=COLORS["grey"], lw=0.9, ls="--")
    middle.set(xlabel="optimizer step", ylabel="tangent share τ", xscale="log", ylim=(0, 1))
    middle.legend(loc="upper right", title="stacks, all settings", title_fontsize=8)
    for (optimizer, results), color, marker in zip(swept.items(), ("blue", "vermilion"), "os", strict=True):
        width = np.array([r.setting.width for r in results])
        drift = np.array([r.moved.drift[-1].mean(-1) for r in results])
        name = f"{'SGD' if optimizer == 'sgd' else 'Adam'}, rate {results[0].setting.learning_rate:g}"
        right.errorbar(width, drift.mean(1), drift.std(1), fmt=f"{marker}-", ms=4, color=COLORS[color], label=name)
        low = drift.mean(1)[0]
        right.plot(width, low * (width / width[0]) ** POWERS[optimizer], ":", color=COLORS["black"], lw=0.9)
    widths = [result.setting.width for result in swept["sgd"]]
    right.set(xlabel="width n", ylabel="drift after 100 steps", xscale="log", ylim=(0, None))
    right.set_xticks(widths, [str(n) for n in widths], minor=False)
    right.minorticks_off()
    right.legend(loc="upper left")
    return figure
