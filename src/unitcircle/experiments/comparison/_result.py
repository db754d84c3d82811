"""What a comparison of initializers found: numbers with their intervals, ready to be shown or written as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

SCHEMA = 1


class Standing(StrEnum):
    """Where a row stands against the reference, as far as the data tell."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "cannot tell"
    REFERENCE = "reference"
    NOISE = "noise floor"
    """The A/A row: the reference's law once more."""


@dataclass(frozen=True)
class Interval:
    """Ends of an interval at the study's confidence; NaN where there are too few numbers for one."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True)
class Curve:
    """Validation score against step: mean over the seeds, with its interval step by step."""

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
        Its name in the study.
    learning_rate
        The rate chosen on validation data with seeds of their own; NaN while that is not finished.
    at_edge
        Whether that rate is the smallest or largest of three or more: a better one may lie outside.
    seeds, scores, steps
        Seeds whose runs are there, with test score and steps to the threshold on validation data (inf: never).
    missing, failed, diverged
        Runs not done yet, runs that died without a result, and runs that diverged (among ``seeds``).
    mean, interval, median, worst, deviation
        Of the scores; the worst in the task's sense. NaN without a score.
    solved, success
        Runs whose test score reaches the threshold (ranked by steps: that reached it in training), and the interval of
        their share (Wilson).
    median_steps, steps_interval
        Median of the steps to the threshold, inf where half of the runs or more never reached it.
    difference, difference_interval
        To the reference, paired by seed: mean difference of the scores, or median ratio of the steps.
    effect
        Cliff's delta: P(better than the reference) − P(worse) for a run of each.
    p, p_holm
        Of the paired permutation test (of the ranks, for steps), and corrected for the rows of the group (Holm).
    verdict
        What that means.
    within_noise
        Whether the difference is no larger than the one between the reference and itself (the A/A row).
    curve
        Validation score against step.
    tuning
        Learning rate → validation scores of the runs that chose it.
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


@dataclass(frozen=True)
class Group:
    """One task, cell, size and input scale: what initializers are compared within.

    Attributes
    ----------
    task, cell, input_scale
        The setting, in the words of specifications.
    factors
        The same and the options taken apart, parameter by parameter: what a sweep varies.
    unit, higher_is_better, baseline, threshold
        The score; NaN where there is no baseline or threshold.
    rank_by
        ``"score"``, or ``"steps"`` to the threshold.
    signature
        How a library counted the score, in its words: sacrebleu's of a BLEU; empty where there is none.
    rows
        The best first, the reference and the A/A row among them.
    not_told_from_first
        Labels whose runs cannot be told from those of the first row by the same test.
    shares
        Share of the variance of the tuning runs' validation scores: ``"initializer"``, ``"learning rate"``, their
        ``"interaction"`` and ``"seed"`` (two-way analysis of variance); empty where it cannot be computed.
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
        """Task, cell, input scale where it is not 1, and the options that tell it from a group with the same."""
        said = [] if self.input_scale == 1 else [f"input × {self.input_scale:g}"]
        said += [f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in self.options.items()]
        return ", ".join([self.task, self.cell, *said])

    def row(self, verdict: Standing, /) -> Row | None:
        """Return the first row of a verdict, None where there is none."""
        return next((row for row in self.rows if row.verdict is verdict), None)


@dataclass(frozen=True)
class Comparison:
    """What a study found, whole or as far as its runs are there.

    Attributes
    ----------
    name, description
        Of the study.
    labels
        Of its initializers and of the A/A row, in its order: a figure gives each a colour of its own.
    reference
        Label of the initializer that the others are held against.
    confidence
        Of every interval; 1 − confidence is the level of the verdicts.
    planned, present, missing, failed
        Runs of the study, tuning included; those with a result or not yet; those that died without one.
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
