"""Rows held against a reference: paired differences, corrected p-values, verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitcircle.experiments.comparison._result import Row, Verdict
from unitcircle.experiments.comparison._statistics import (
    cliffs_delta,
    holm,
    mean_interval,
    median_interval,
    paired_p,
    rank_differences,
    step_ratios,
)


@dataclass(frozen=True)
class Contest:
    """How the rows of a group are held against one of them.

    Attributes
    ----------
    by_steps
        By their steps to the threshold, or by their scores.
    higher_is_better
        Of the scores.
    confidence
        Of the intervals; 1 − confidence is the level of the tests.
    """

    by_steps: bool
    higher_is_better: bool
    confidence: float

    def order(self, row: Row) -> tuple[float, ...]:
        """Return what sorts the best row first: what has no number comes last."""
        by_score = -row.mean if self.higher_is_better else row.mean
        keys = (row.median_steps, -row.solved, by_score) if self.by_steps else (by_score,)
        return tuple(math.inf if math.isnan(key) else key for key in keys)

    def all_against(self, rows: Sequence[Row], label: str, twin: str) -> list[Row]:
        """Return the rows with their differences to one of them, corrected p-values and verdicts.

        Parameters
        ----------
        rows
            In any order.
        label
            Which one they are held against.
        twin
            The A/A row: no hypothesis, hence not counted in the correction, as a row without a seed is none. Empty
            where there is none.

        Returns
        -------
        list of Row
            In the same order.
        """
        (reference,) = (row for row in rows if row.label == label)
        held = [self._against(row, reference) for row in rows]
        tested = [k for k, row in enumerate(held) if row.seeds and row.label not in {label, twin}]
        corrected = dict(zip(tested, holm([held[k].p for k in tested]), strict=True))
        floor = next((self._size(row) for row in held if row.label == twin), -1.0)
        judged: list[Row] = []
        for k, row in enumerate(held):
            if k in corrected:
                verdict = self._verdict(row, corrected[k])
                judged.append(replace(row, p_holm=corrected[k], verdict=verdict, within_noise=self._size(row) <= floor))
            elif row.label == label:
                judged.append(replace(rows[k], verdict=Verdict.REFERENCE))
            elif row.label == twin:
                judged.append(replace(row, verdict=Verdict.NOISE))
            else:
                judged.append(rows[k])
        return judged

    def _against(self, row: Row, reference: Row) -> Row:
        pairs = sorted(set(row.seeds) & set(reference.seeds))
        mine, theirs = (
            [dict(zip(r.seeds, r.steps if self.by_steps else r.scores, strict=True))[seed] for seed in pairs]
            for r in (row, reference)
        )
        effect = cliffs_delta(mine, theirs)
        if self.by_steps:
            ratios = step_ratios(mine, theirs)
            estimate = _median_ratio(ratios)
            interval = median_interval(ratios.tolist(), self.confidence)
            differences = rank_differences(mine, theirs)
        else:
            differences = np.subtract(mine, theirs)
            estimate = float(differences.mean()) if pairs else math.nan
            interval = mean_interval(differences.tolist(), self.confidence)
        better = self.higher_is_better and not self.by_steps
        return replace(
            row,
            difference=estimate,
            difference_interval=interval,
            effect=effect if better else -effect,
            p=paired_p(differences.tolist()),
        )

    def _size(self, row: Row) -> float:
        if self.by_steps and row.difference > 0:
            return abs(math.log(row.difference))
        return math.inf if self.by_steps else abs(row.difference)

    def _verdict(self, row: Row, corrected: float) -> Verdict:
        null = 1.0 if self.by_steps else 0.0
        low, high = row.difference_interval.low, row.difference_interval.high
        if corrected >= 1 - self.confidence or not (low > null or high < null):
            return Verdict.UNDECIDED
        better = (low > null) is (self.higher_is_better and not self.by_steps)
        # The median of the ratios and the mean rank may point to different sides: then nothing is said.
        if self.by_steps and better is not (row.effect > 0):
            return Verdict.UNDECIDED
        return Verdict.BETTER if better else Verdict.WORSE


def _median_ratio(ratios: np.ndarray) -> float:
    """Return the median, between two middle values their geometric mean; 1 where these are 0 and inf."""
    if not len(ratios):
        return math.nan
    ordered = np.sort(ratios)
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return 1.0 if low == 0 and high == math.inf else math.sqrt(low) * math.sqrt(high)
