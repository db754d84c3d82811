"""Rows compared with a reference: paired differences, corrected p-values, verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitcircle.errors import UnknownNameError
from unitcircle.experiments.comparison._result import Group, Interval, Row, Standing
from unitcircle.experiments.comparison._statistics import (
    cliffs_delta,
    holm,
    mean_interval,
    median_interval,
    paired_p,
    rank_differences,
    step_ratios,
)


def judge(*groups: Group, reference: str, twin: str = "", confidence: float = 0.95) -> list[Group]:
    """Compare the rows of groups with a reference, all of them as one family of tests.

    Each group is ranked by its score or by its steps (``rank_by``), and runs of one seed are paired. Holm's correction
    counts the rows of all groups together, except the reference, the A/A row and rows without a run, which are not
    hypotheses. The results of an earlier call are replaced.

    Parameters
    ----------
    groups
        With the rows to judge, the reference among the rows of each.
    reference
        Label of the row that the others are compared with.
    twin
        Label of the A/A row; empty where there is none.
    confidence
        Of the intervals; 1 − confidence is the level of the tests.

    Returns
    -------
    list of Group
        The same groups, their rows in the same order with difference, effect, p-values and verdict.

    Raises
    ------
    UnknownNameError
        A group has no row of the reference's label.

    Examples
    --------
    Of the comparison in the example of :func:`compare`, judged again with the other row as the reference:

    >>> (group,) = judge(*comparison.groups, reference="orthogonal", twin="default (again)")
    >>> [(row.label, str(row.verdict)) for row in group.rows]
    [('orthogonal', 'reference'), ('default', 'worse'), ('default (again)', 'noise floor')]
    """
    judges = [Judge(group.rank_by == "steps", group.higher_is_better, confidence) for group in groups]
    judged = _judge_family(judges, [group.rows for group in groups], reference, twin)
    return [replace(group, rows=tuple(rows)) for group, rows in zip(groups, judged, strict=True)]


@dataclass(frozen=True)
class Judge:
    """How the rows of a group are compared with one of them.

    Attributes
    ----------
    by_steps
        By their steps to the threshold, or by their scores.
    higher_is_better
        Of the scores.
    confidence
        Of the intervals; 1 − confidence is the level of the tests.

    Examples
    --------
    Of the comparison in the example of :func:`compare`, its rows against another reference:

    >>> judge = Judge(by_steps=False, higher_is_better=False, confidence=0.95)
    >>> [(row.label, str(row.verdict)) for row in judge.all_against(comparison.groups[0].rows[:2], "orthogonal")]
    [('orthogonal', 'reference'), ('default', 'worse')]
    """

    by_steps: bool
    higher_is_better: bool
    confidence: float

    def order(self, row: Row) -> tuple[float, ...]:
        """Return the key that sorts the best row first and rows without a number last."""
        by_score = -row.mean if self.higher_is_better else row.mean
        keys = (row.median_steps, -row.solved, by_score) if self.by_steps else (by_score,)
        return tuple(math.inf if math.isnan(key) else key for key in keys)

    def all_against(self, rows: Sequence[Row], label: str, twin: str = "") -> list[Row]:
        """Return the rows with their differences to one of them, corrected p-values and verdicts.

        Parameters
        ----------
        rows
            Of one group, in any order.
        label
            Of the row that the others are compared with.
        twin
            Label of the A/A row; empty where there is none.

        Returns
        -------
        list of Row
            In the same order.
        """
        (judged,) = _judge_family([self], [rows], label, twin)
        return judged

    def paired(self, row: Row, reference: Row) -> Row:
        """Return a row with its difference to the reference over their common seeds, and the raw p-value."""
        seeds = sorted(set(row.seeds) & set(reference.seeds))
        values, others = (
            [dict(zip(r.seeds, r.steps if self.by_steps else r.scores, strict=True))[seed] for seed in seeds]
            for r in (row, reference)
        )
        effect = cliffs_delta(values, others)
        if self.by_steps:
            ratios = step_ratios(values, others)
            estimate = _median_ratio(ratios)
            interval = median_interval(ratios.tolist(), self.confidence)
            differences = rank_differences(values, others)
        else:
            differences = np.subtract(values, others)
            estimate = float(differences.mean()) if seeds else math.nan
            interval = mean_interval(differences.tolist(), self.confidence)
        larger_is_better = self.higher_is_better and not self.by_steps
        return replace(
            row,
            difference=estimate,
            difference_interval=interval,
            effect=effect if larger_is_better else -effect,
            p=paired_p(differences.tolist()),
        )

    def size(self, row: Row) -> float:
        """Return the size of a row's difference, of steps that of the logarithm of their ratio; NaN without one."""
        if not self.by_steps or math.isnan(row.difference):
            return abs(row.difference)
        return abs(math.log(row.difference)) if row.difference > 0 else math.inf

    def standing(self, row: Row) -> Standing:
        """Return where a row stands, from its corrected p-value, interval and effect."""
        null = 1.0 if self.by_steps else 0.0
        low, high = row.difference_interval.low, row.difference_interval.high
        if row.p_holm >= 1 - self.confidence or not (low > null or high < null):
            return Standing.UNDECIDED
        better = (low > null) is (self.higher_is_better and not self.by_steps)
        # The median of the ratios and the mean rank may point to different sides: then the row is undecided.
        if self.by_steps and better is not (row.effect > 0):
            return Standing.UNDECIDED
        return Standing.BETTER if better else Standing.WORSE


def _judge_family(judges: Sequence[Judge], groups: Sequence[Sequence[Row]], label: str, twin: str) -> list[list[Row]]:
    """Return the rows of several groups, judged; one correction counts the hypotheses of all of them."""

    def is_hypothesis(row: Row) -> bool:
        return bool(row.seeds) and row.label not in {label, twin}

    paired = [_pair_all(judge, rows, label) for judge, rows in zip(judges, groups, strict=True)]
    corrected = iter(holm([row.p for rows in paired for row in rows if is_hypothesis(row)]))
    judged: list[list[Row]] = []
    for judge, rows in zip(judges, paired, strict=True):
        floor = next((judge.size(row) for row in rows if row.label == twin), math.nan)
        judged.append([])
        for row in rows:
            if is_hypothesis(row):
                known = replace(row, p_holm=next(corrected), within_noise=judge.size(row) <= floor)
                judged[-1].append(replace(known, verdict=judge.standing(known)))
            else:
                judged[-1].append(replace(row, verdict=Standing.NOISE) if row.label == twin else row)
    return judged


def _pair_all(judge: Judge, rows: Sequence[Row], label: str) -> list[Row]:
    """Return the rows with differences and raw p-values; the reference and rows without a run have none."""
    reference = next((row for row in rows if row.label == label), None)
    if reference is None:
        raise UnknownNameError("reference", label, [row.label for row in rows])
    blank = [_without_judgement(row) for row in rows]
    return [
        replace(row, verdict=Standing.REFERENCE) if row.label == label
        else judge.paired(row, reference) if row.seeds
        else row
        for row in blank
    ]  # fmt: skip


def _without_judgement(row: Row) -> Row:
    nan, unknown = math.nan, Interval(math.nan, math.nan)
    return replace(
        row,
        difference=nan,
        difference_interval=unknown,
        effect=nan,
        p=nan,
        p_holm=nan,
        verdict=Standing.UNDECIDED,
        within_noise=False,
    )


def _median_ratio(ratios: np.ndarray) -> float:
    """Return the median, between two middle values their geometric mean; 1 where these are 0 and inf."""
    if not len(ratios):
        return math.nan
    ordered = np.sort(ratios)
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return 1.0 if low == 0 and high == math.inf else math.sqrt(low) * math.sqrt(high)
