"""Figures of a comparison: functions that draw one group into ``ax``, and the figure of the whole study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unitcircle._printable import literal
from unitcircle.experiments.comparison._result import Comparison, Group, Interval, Row, Standing
from unitcircle.report import COLORS, CYCLE, DASHES, axes_or_new, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure, SubFigure

Chart = tuple[str, Sequence[Group]]
"""(factor, groups): a sweep of groups that differ in one factor, or a single group with the factor ''."""
SWEEP = 3
"""Values of one factor from which groups are drawn together as a sweep."""
JITTER = 0.22
WIDTH, ROW = 10.5, 3.3
LABELLED = 24
"""Rows beside each other whose labels can be read; of more, some are labelled."""
NAME = 30
"""Characters of a label that fit beside an axis."""


def _looks(labels: Sequence[str], verdicts: Mapping[str, Standing]) -> dict[str, dict[str, Any]]:
    """Return the colour and dash of every label, the same in every figure of a study; the A/A row is grey."""
    looks: dict[str, dict[str, Any]] = {}
    for k, label in enumerate(labels):
        color, dash = CYCLE[k % len(CYCLE)], DASHES[k // len(CYCLE) % len(DASHES)]
        looks[label] = {"color": color, "ls": dash}
        if verdicts.get(label) is Standing.NOISE:
            looks[label] = {"color": COLORS["grey"], "ls": ":"}
    return looks


def _looks_of(group: Group, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    return _looks(labels or sorted(row.label for row in group.rows), {row.label: row.verdict for row in group.rows})


def _levels(ax: Axes, group: Group) -> None:
    for value, ls in ((group.baseline, ":"), (group.threshold, "--")):
        if not math.isnan(value):
            ax.axhline(value, color=COLORS["grey"], lw=0.8, ls=ls, zorder=0)


def plot_learning_curves(group: Group, /, *, labels: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw mean validation score against step, with the interval of the mean, for every initializer.

    Dotted: the baseline. Dashed: the threshold.

    Parameters
    ----------
    group
        Group whose rows are drawn.
    labels
        All labels of the study, in the order of the colours; by default the sorted labels of the group.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn in.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> ax = plot_learning_curves(comparison.groups[0])
    >>> ax.get_ylabel(), [line.get_label() for line in ax.get_lines()[2:]]
    ('validation mean squared error', ['orthogonal', 'default', 'default (again)'])
    """
    alone, ax = ax is None, axes_or_new(ax)
    _levels(ax, group)
    looks = _looks_of(group, labels)
    for row in group.rows:
        curve, look = row.curve, looks[row.label]
        if curve.steps:
            ax.plot(curve.steps, curve.mean, label=literal(row.label), **look)
            ax.fill_between(curve.steps, curve.low, curve.high, color=look["color"], alpha=0.13, lw=0)
    ax.set(xlabel="optimizer step", ylabel=f"validation {group.unit}", title="learning curves")
    ax.margins(x=0)
    if alone and any(row.curve.steps for row in group.rows):  # beside the seeds of a study the colours are explained
        ax.legend()
    return ax


def plot_learning_rates(group: Group, /, *, labels: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw validation score against the learning rates tried: mean, smallest and largest; a ring marks the chosen one.

    Parameters
    ----------
    group, labels, ax
        As in :func:`plot_learning_curves`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn in.

    Examples
    --------
    Of the comparison in the example of :func:`compare`, whose study tried a single rate, so that nothing is drawn:

    >>> ax = plot_learning_rates(comparison.groups[0])
    >>> ax.get_xlabel(), ax.get_ylabel(), len(ax.containers)
    ('learning rate', 'best validation mean squared error', 0)
    """
    alone, ax = ax is None, axes_or_new(ax)
    _levels(ax, group)
    looks = _looks_of(group, labels)
    tuned = [row for row in group.rows if row.tuning]
    for k, row in enumerate(tuned):
        look = looks[row.label]
        # Points a few per cent apart, so that ranges do not hide one another.
        offset = 1.012 ** (k - (len(tuned) - 1) / 2)
        rates = np.array(sorted(row.tuning))
        scores = [np.array(row.tuning[rate]) for rate in rates]
        means = np.array([s.mean() for s in scores])
        spread = [[m - s.min() for m, s in zip(means, scores, strict=True)]]
        spread.append([s.max() - m for m, s in zip(means, scores, strict=True)])
        ax.errorbar(rates * offset, means, spread, elinewidth=0.8, marker=".", ms=5, label=literal(row.label), **look)
        chosen = rates == row.learning_rate
        ax.plot(rates[chosen] * offset, means[chosen], "o", ms=9, mfc="none", mec=look["color"], mew=1.2)
    ax.set(xscale="log", xlabel="learning rate", ylabel=f"best validation {group.unit}", title="learning rates tried")
    rates = sorted({rate for row in tuned for rate in row.tuning})
    if rates:
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.set_xticks([], minor=True)
    if alone and tuned:
        ax.legend()
    return ax


def plot_seeds(group: Group, /, *, labels: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw the result of every seed with mean and interval (of steps: median), the best initializer on top.

    Parameters
    ----------
    group, labels, ax
        As in :func:`plot_learning_curves`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn in.

    Examples
    --------
    Of the comparison in the example of :func:`compare`, a row of dots for each initializer:

    >>> ax = plot_seeds(comparison.groups[0])
    >>> [(label.get_text(), len(dots.get_offsets())) for label, dots in zip(ax.get_yticklabels(), ax.collections)]
    [('orthogonal', 6), ('default', 6), ('default (again)', 6)]
    """
    ax = axes_or_new(ax)
    looks = _looks_of(group, labels)
    by_steps = group.rank_by == "steps"
    finite = [s for row in group.rows for s in row.steps if math.isfinite(s)]
    # The position at which runs that never reach the threshold are drawn; scores need none.
    never = 1.6 * max(finite, default=1.0) if by_steps else math.inf
    for place, row in enumerate(group.rows):
        color = looks[row.label]["color"]
        values = np.array(row.steps if by_steps else row.scores)
        positions = np.where(np.isfinite(values), values, never) if by_steps else values
        spread = place + JITTER * np.linspace(-1, 1, max(len(positions), 2))[: len(positions)]
        ax.scatter(positions, spread, s=13, color=color, alpha=0.65, lw=0, zorder=2)
        centre, interval = (row.median_steps, row.steps_interval) if by_steps else (row.mean, row.interval)
        ends = [min(end, never) for end in (interval.low, interval.high)] if interval.known else []
        ax.plot(ends, [place] * len(ends), color=COLORS["black"], lw=1.4, zorder=3)
        ax.plot([min(centre, never)], [place], "D", ms=5, color=COLORS["black"], mec="white", mew=0.6, zorder=4)
    if by_steps:
        ax.set(xscale="log", xlabel="steps to the threshold", title="each seed, median and interval")
        _plain_ticks(ax.xaxis)
        if any(math.isinf(s) for row in group.rows for s in row.steps):
            ax.axvline(never / 1.25, color=COLORS["grey"], lw=0.8, ls=":")
            low, high = ax.get_xlim()
            # Room for two labels side by side.
            last = never / max(1.25, (high / low) ** 0.15)
            ticks = [tick for tick in ax.get_xticks() if low <= tick < last]
            ax.set_xticks([*ticks, never], [*(f"{tick:,.0f}" for tick in ticks), "never"])
    else:
        ax.set(xlabel=f"test {group.unit}", title="each seed, mean and interval")
        for value, ls in ((group.baseline, ":"), (group.threshold, "--")):
            if not math.isnan(value):
                ax.axvline(value, color=COLORS["grey"], lw=0.8, ls=ls, zorder=0)
    every = max(1, math.ceil(len(group.rows) / LABELLED))
    labelled = group.rows[::every]
    ax.set_yticks(range(0, len(group.rows), every), list(map(literal, _short([row.label for row in labelled]))))
    for tick, row in zip(ax.get_yticklabels(), labelled, strict=True):
        tick.set_color(looks[row.label]["color"])
    ax.set_ylim(len(group.rows) - 0.4, -0.6)
    return ax


def _plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis of steps with 1, 2, 5, 10 instead of powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = axis.get_view_interval()
    # Within a decade there is room for more digits.
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 8 * low else (1, 2, 3, 4, 5, 6, 8)))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_locator(NullLocator())


def _short(labels: Sequence[str]) -> list[str]:
    """Return labels that fit beside an axis: of long ones the part in which they differ from the others."""
    return [label if len(label) <= NAME else _distinctive(label, set(labels) - {label}) for label in labels]


def _distinctive(label: str, others: set[str]) -> str:
    """Return the part of a long label around the place where it stops being like the most similar other one."""
    differs = max((_common(label, other) for other in others), default=0)
    start = max(0, min(differs - NAME // 2, len(label) - NAME)) if differs >= NAME - 1 else 0
    shown = label[start : start + NAME]
    shown = f"…{shown[1:]}" if start else shown
    return f"{shown[:-1]}…" if start + NAME < len(label) else shown


def _common(one: str, other: str) -> int:
    """Return how many characters at the beginning of two texts are equal."""
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def plot_sweep(groups: Sequence[Group], factor: str, /, *, labels: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw the result of every initializer against the factor that groups differ in, such as steps against depth.

    Parameters
    ----------
    groups
        Groups that are equal in every factor but one.
    factor
        The factor they differ in: a key of :attr:`Group.factors` whose values are numbers.
    labels, ax
        As in :func:`plot_learning_curves`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn in.

    Examples
    --------
    The group in the example of :func:`compare` at three lengths, as if the initializers were tried at each:

    >>> from dataclasses import replace
    >>> lengths = [replace(comparison.groups[0], factors={"length": length}) for length in (50, 100, 200)]
    >>> ax = plot_sweep(lengths, "length")
    >>> ax.get_xlabel(), [label.get_text() for label in ax.get_xticklabels()]
    ('length', ['50', '100', '200'])
    """
    ax = axes_or_new(ax)
    ordered = sorted(groups, key=lambda group: group.factors[factor])
    first = ordered[0]
    looks = _looks_of(first, labels)
    by_steps = first.rank_by == "steps"
    present = [label for label in looks if any(row.label == label for group in ordered for row in group.rows)]
    x = np.array([float(group.factors[factor]) for group in ordered])
    # Side by side, so that intervals do not hide one another.
    on_log = bool((x > 0).all() and x.max() >= 4 * x.min())
    width = 0.006 * (math.log(x.max() / x.min()) if on_log else float(np.ptp(x)))
    finite = [row.median_steps for group in ordered for row in group.rows if math.isfinite(row.median_steps)]
    missed = by_steps and any(math.isinf(row.median_steps) for group in ordered for row in group.rows)
    top = (3 if missed else 1.6) * max(finite, default=1.0)
    for k, label in enumerate(present):
        offset = width * (k - (len(present) - 1) / 2)
        at = x * math.exp(offset) if on_log else x + offset
        rows = [next((row for row in group.rows if row.label == label), None) for group in ordered]
        centres, ends = zip(*(_centre(row, by_steps) for row in rows), strict=True)
        y = np.array(centres)
        finite_y = np.isfinite(y)
        # An infinite end is cut at the top of the axes; without an interval there is no bar.
        low = np.array([c if math.isnan(e.low) else e.low for c, e in zip(y, ends, strict=True)])[finite_y]
        high = np.array([c if math.isnan(e.high) else e.high for c, e in zip(y, ends, strict=True)])[finite_y]
        if by_steps:
            high = np.minimum(high, 2 * top)
        bars = [y[finite_y] - low, high - y[finite_y]]
        ax.errorbar(
            at[finite_y], y[finite_y], bars, elinewidth=0.9, marker="o", ms=4, label=literal(label), **looks[label]
        )
        never = np.isinf(y)
        ax.plot(at[never], np.full(never.sum(), 0.85 * top), "^", ms=6, color=looks[label]["color"])
    if by_steps and finite:
        ax.set(yscale="log", ylim=(0.6 * min(finite), top))
        _plain_ticks(ax.yaxis)
    name = "median steps to the threshold" if by_steps else f"test {first.unit}"
    ax.set(xlabel=factor, ylabel=name, title=f"{name} against {factor}" + ("; ▲ never" if missed else ""))
    if on_log:
        ax.set_xscale("log", base=2)
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.set_xticks([], minor=True)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _centre(row: Row | None, by_steps: bool) -> tuple[float, Interval]:
    if row is None:
        return math.nan, Interval(math.nan, math.nan)
    return (row.median_steps, row.steps_interval) if by_steps else (row.mean, row.interval)


def charts(comparison: Comparison, /) -> list[Chart]:
    """Return the groups as they are drawn: sweeps of one factor together, every other group alone."""
    drawn: list[Chart] = []
    left = [group for group in comparison.groups if any(row.seeds or row.tuning for row in group.rows)]
    while left:
        sweeps = [(name, _sweep_of(left, name)) for name in left[0].factors]
        factor, groups = max(sweeps, key=lambda sweep: len(sweep[1]))
        if len(groups) < SWEEP:
            factor, groups = "", left[:1]
        drawn.append((factor, groups))
        left = [group for group in left if group not in groups]
    return drawn


def _sweep_of(groups: Sequence[Group], factor: str) -> list[Group]:
    """Return the groups that differ from the first in one numeric factor only."""
    first = groups[0]

    def others(group: Group) -> tuple[Any, ...]:
        return group.rank_by, {name: value for name, value in group.factors.items() if name != factor}

    value = first.factors[factor]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    return [group for group in groups if others(group) == others(first)]


def draw_chart(figure: Figure | SubFigure, chart: Chart, labels: Sequence[str], /) -> None:
    """Draw a sweep, or seeds, learning curves and learning rates of one group."""
    factor, groups = chart
    if factor:
        plot_sweep(groups, factor, labels=labels, ax=figure.subplots())
        return
    (group,) = groups
    tuned = any(row.tuning for row in group.rows)
    panels = figure.subplots(1, 2 + tuned, squeeze=False)[0]
    plot_seeds(group, labels=labels, ax=panels[0])
    plot_learning_curves(group, labels=labels, ax=panels[1])
    if tuned:
        plot_learning_rates(group, labels=labels, ax=panels[2])


def chart_title(chart: Chart, /) -> str:
    """Return the title of a chart."""
    factor, groups = chart
    if not factor:
        return groups[0].title
    fixed = [f"{name} {value}" for name, value in groups[0].factors.items() if name not in {factor, "input scale"}]
    return ", ".join(fixed)


def study_figure(comparison: Comparison, /) -> Figure:
    """Draw the whole study, a row of panels for each group or sweep.

    Parameters
    ----------
    comparison
        The comparison.

    Returns
    -------
    matplotlib.figure.Figure
        A figure without a window; see :func:`unitcircle.report.save_figure`.

    Examples
    --------
    Of the comparison in the example of :func:`compare`, a panel for the seeds of its group and one for the curves:

    >>> figure = study_figure(comparison)
    >>> [ax.get_title() for ax in figure.axes]
    ['each seed, mean and interval', 'learning curves']
    """
    from matplotlib.figure import Figure

    drawn = charts(comparison)
    with style():
        figure = Figure(figsize=(WIDTH, ROW * max(len(drawn), 1) + 0.3), layout="constrained")
        figure.suptitle(comparison.name, fontsize=11)
        rows = cast("Sequence[SubFigure]", figure.subfigures(max(len(drawn), 1), 1, squeeze=False)[:, 0])
        for part, chart in zip(rows, drawn, strict=False):
            part.suptitle(literal(chart_title(chart)), fontsize=9)
            draw_chart(part, chart, comparison.labels)
    return figure
