"""The result of a comparison of initializers: numbers with intervals, to be shown or written as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from unitcircle._card import card

SCHEMA = 1


class Standing(StrEnum):
    """How a row compares with the reference."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "cannot tell"
    REFERENCE = "reference"
    NOISE = "noise floor"
    """The A/A row: the reference again, with other draws."""


@dataclass(frozen=True)
class Interval:
    """Ends of an interval at the study's confidence; NaN if there are too few values for one."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether both ends are known."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True)
class Curve:
    """Validation score against step: mean over the seeds, with its interval at every step."""

    steps: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Row:
    """One initializer within one group.

    Attributes
    ----------
    label
        Name of the initializer in the study.
    learning_rate
        Rate chosen on validation data with tuning seeds; NaN until tuning is complete.
    at_edge
        Whether that rate is the smallest or largest of three or more, so that a better one may lie outside.
    seeds, scores, steps
        Seeds of the runs with a result, their test scores, and their steps to the threshold on validation data
        (inf: never).
    missing, failed, diverged
        Number of runs not finished yet, of runs without a result, and of runs that diverged (among ``seeds``).
    mean, interval, median, worst, deviation
        Statistics of the scores; the worst in the sense of the task. NaN without a score.
    solved, success
        Number of runs whose test score reaches the threshold (ranked by steps: that reached it in training), and the
        interval of their proportion (Wilson).
    median_steps, steps_interval
        Median of the steps to the threshold; inf if half of the runs or more never reached it.
    difference, difference_interval
        Difference to the reference, paired by seed: mean difference of the scores, or median ratio of the steps.
    effect
        Cliff's delta: P(better than the reference) − P(worse) for a run of each.
    p, p_holm
        p-value of the paired permutation test (of ranks, for steps), and the same corrected by Holm for the rows of
        the group.
    verdict
        What follows from p-value and interval.
    within_noise
        Whether the difference is no larger than that of the A/A row: the reference against itself.
    curve
        Validation score against step.
    tuning
        Learning rate → validation scores of its tuning runs.
    untrained
        Number of runs (among ``seeds``) whose best validation score is that before training.
    overflows
        What overflowed, of every run that diverged.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> row = comparison.groups[0].rows[0]
    >>> row.label, row.seeds, row.learning_rate
    ('orthogonal', (0, 1, 2, 3, 4, 5), 0.001)
    >>> round(row.mean, 4), round(row.difference, 4), row.p_holm
    (0.1125, -0.05, 0.03125)
    """

    label: str
    learning_rate: float
    at_edge: bool
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    steps: tuple[float, ...]
    missing: int
    failed: int
    diverged: int
    mean: float
    interval: Interval
    median: float
    worst: float
    deviation: float
    solved: int
    success: Interval
    median_steps: float
    steps_interval: Interval
    difference: float = math.nan
    difference_interval: Interval = Interval(math.nan, math.nan)
    effect: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    verdict: Standing = Standing.UNDECIDED
    within_noise: bool = False
    curve: Curve = Curve()
    tuning: Mapping[float, tuple[float, ...]] = field(default_factory=dict)
    untrained: int = 0
    overflows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The rows that are compared with each other: one task, cell, size and input scale.

    Attributes
    ----------
    task, cell, input_scale
        Specifications of task and cell, and the factor on the input weights.
    factors
        The same and the options, parameter by parameter: one of them varies in a sweep.
    unit, higher_is_better, baseline, threshold
        Properties of the score; NaN without a baseline or threshold.
    rank_by
        ``"score"``, or ``"steps"`` to the threshold.
    signature
        Signature of the library that computed the score, such as that of sacrebleu; empty if there is none.
    rows
        Rows, the best first, including the reference and the A/A row.
    not_told_from_first
        Labels of the rows that the same test does not distinguish from the first row.
    shares
        Share of the variance of the tuning runs' validation scores: ``"initializer"``, ``"learning rate"``, their
        ``"interaction"`` and ``"seed"`` (two-way analysis of variance); empty if it cannot be computed.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> group = comparison.groups[0]
    >>> group.title, group.unit, group.higher_is_better
    ('adding(length=50), tanh(size=64)', 'mean squared error', False)
    >>> group.row(Standing.BETTER).label
    'orthogonal'
    """

    task: str
    cell: str
    input_scale: float
    factors: Mapping[str, Any]
    unit: str
    higher_is_better: bool
    baseline: float
    threshold: float
    rank_by: Literal["score", "steps"]
    rows: tuple[Row, ...]
    not_told_from_first: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    signature: str = ""

    @property
    def title(self) -> str:
        """Task, cell, input scale if it is not 1, and the options that distinguish the group from others like it."""
        parts = [] if self.input_scale == 1 else [f"input × {self.input_scale:g}"]
        parts += [f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in self.options.items()]
        return ", ".join([self.task, self.cell, *parts])

    def row(self, verdict: Standing, /) -> Row | None:
        """Return the first row with a verdict, or None if there is none."""
        return next((row for row in self.rows if row.verdict is verdict), None)


@dataclass(frozen=True)
class Comparison:
    """The result of a study, complete or from its finished runs.

    Attributes
    ----------
    name, description
        Name and description of the study.
    labels
        Labels of its initializers and of the A/A row; their order determines the colours of figures.
    reference
        Label of the initializer that the others are compared with.
    confidence
        Confidence of every interval; 1 − confidence is the level of the tests.
    planned, present, missing, failed
        Number of runs of the study, tuning included: in total, with a result, not finished yet, and without a result.
    groups
        In the order of the study file.
    """

    name: str
    description: str
    labels: tuple[str, ...]
    reference: str
    confidence: float
    planned: int
    present: int
    missing: int
    failed: int
    groups: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, under a versioned schema."""
        return {"schema": SCHEMA} | asdict(self)

    def to_frame(self) -> Any:
        """Return the rows of all groups as a ``pandas.DataFrame``.

        Returns
        -------
        pandas.DataFrame
            One row for every initializer of every group: the column ``group`` and the fields of :class:`Row` that are
            one number or text.
        """
        import pandas as pd  # noqa: PLC0415  (half a second of start-up)

        kept = (str, int, float)
        rows = [
            {"group": str(group)} | {name: value for name, value in vars(row).items() if isinstance(value, kept)}
            for group in self.groups
            for row in group.rows
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        rows = [
            (group, row.label, row.learning_rate, len(row.seeds), row.mean, row.difference, row.p_holm, row.verdict)
            for group in self.groups
            for row in group.rows
        ]
        columns = ("group", "initializer", "rate", "seeds", "mean score", "difference", "p (Holm)", "verdict")
        state = f"{self.present} of {self.planned} runs, {self.missing} missing, {self.failed} failed"
        against = f"differences are paired by seed, against {self.reference}, at {self.confidence:.0%} confidence"
        return card(f"{self.name}: {self.description}", columns=columns, rows=rows, lines=[state, against])
