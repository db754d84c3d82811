"""Which modulus, which structure, and whether the distance from the origin says anything about the result."""

from __future__ import annotations

__all__ = ["Paired", "discrimination", "long_wait", "modulus", "paired", "structure"]

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.experiments.reproduce._claim import Claim, Verdict
from unitcircle.experiments.reproduce._contest import table
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.eigen import _trained_figures as figures
from unitcircle.experiments.reproduce.eigen._studies import EIGEN, reported
from unitcircle.experiments.reproduce.prediction._correlation import Correlation, rank_correlation, screening
from unitcircle.experiments.studies import Study
from unitcircle.report import Comparison, Group, Row


@dataclass(frozen=True)
class Paired:
    """By how much one row is better than another: mean of the paired differences, 95 % t interval."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 where it is better, −1 where it is worse, 0 where the interval holds both."""
        return int(self.low > 0) - int(self.high < 0)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired(group: Group, first: str, second: str, /) -> Paired:
    """Compare two rows by a t interval of their paired differences: four seeds are too few for a permutation test.

    Parameters
    ----------
    group
        Whose rows.
    first, second
        Labels.

    Returns
    -------
    Paired
        Positive where the first is better; an interval of NaN for fewer than two pairs.
    """
    rows = {row.label: row for row in group.rows}
    apart = _difference(rows[first], rows[second], higher_is_better=group.higher_is_better)
    if len(apart) < 2:
        return Paired(float(np.mean(apart)) if len(apart) else math.nan, math.nan, math.nan)
    half = float(stats.t.isf(0.025, len(apart) - 1) * stats.sem(apart))
    mean = float(apart.mean())
    return Paired(mean, mean - half, mean + half)


def _difference(first: Row, second: Row, *, higher_is_better: bool) -> np.ndarray:
    """Return by how much the first row is better, seed by seed, for the seeds that both have."""
    one, other = (dict(zip(row.seeds, row.scores, strict=True)) for row in (first, second))
    sign = 1 if higher_is_better else -1
    return np.array([sign * (one[seed] - other[seed]) for seed in one if seed in other])


def long_wait(group: Group, /) -> Claim:
    """Judge the final score against Xavier where a signal has to be carried over a wait.

    Parameters
    ----------
    group
        Delayed digits.

    Returns
    -------
    Claim
        The difference with its interval.
    """
    gap = paired(group, EIGEN, "Xavier")
    return Claim(
        "wait",
        "Final score where a signal has to wait: against Xavier",
        "The eigen initializer outperforms the Xavier initializer, and helps with long-term dependency.",
        f"{group.title}: test accuracy of {EIGEN} minus that of Xavier, paired by seed: {gap} (95 % t interval, "
        f"{len(group.rows[0].seeds)} seeds).",
        {1: Verdict.HOLDS, 0: Verdict.UNDECIDED, -1: Verdict.FAILS}[gap.sign],
        condition="" if gap.sign else "the interval holds both signs: more seeds are needed",
        table=[row for row in table(group.title, group) if row["contender"] in {EIGEN, "Xavier"}],
        data={"difference": gap.mean, "interval": [gap.low, gap.high]},
    )


def modulus(group: Group, /) -> Claim:
    """Judge whether 0.95 is the modulus to take.

    Parameters
    ----------
    group
        Delayed digits.

    Returns
    -------
    Claim
        Every other modulus against it.
    """
    labels = [row.label for row in group.rows if row.label.startswith("eigen ") and "," not in row.label]
    others = {label: paired(group, label, EIGEN) for label in sorted(labels) if label != EIGEN}
    better = [label for label, gap in others.items() if gap.sign > 0]
    worse = [label for label, gap in others.items() if gap.sign < 0]
    said = "; ".join(f"{label} {gap}" for label, gap in others.items())
    verdict = best_modulus(len(others), len(better), len(worse))
    scale = "" if group.input_scale == 1 else f"-input-{group.input_scale:g}"
    return Claim(
        f"modulus{scale}",
        "Which modulus" + ("" if group.input_scale == 1 else f", with the input × {group.input_scale:g}"),
        "All eigenvalues get the modulus 0.95.",
        f"{group.title}, difference to modulus .95 in test accuracy (paired, 95 % t interval): {said}. Better than "
        f".95: {', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}.",
        verdict,
        condition=_if(verdict, "no other modulus is better beyond its interval, but not all are worse"),
        table=table(group.title, group),
        figures={
            "Test accuracy of every seed (dots) and mean (bar). Left: eigen weights by modulus; right: structures at "
            "modulus .95, and Xavier. Dotted: chance.": partial(figures.structures, group)
        },
        data={label: [gap.mean, gap.low, gap.high] for label, gap in others.items()},
    )


def _if(verdict: Verdict, condition: str) -> str:
    return condition if verdict is Verdict.CONDITIONALLY else ""


def best_modulus(others: int, better: int, worse: int, /) -> Verdict:
    """Judge from how many other moduli are better and worse than the one of the source."""
    if better:
        return Verdict.FAILS
    return Verdict.HOLDS if worse == others else Verdict.CONDITIONALLY


def structure(group: Group, /) -> Claim:
    """Judge whether the chain of rotations matters at equal modulus.

    Parameters
    ----------
    group
        Delayed digits.

    Returns
    -------
    Claim
        Haar, blocks and a non-normal chain against it.
    """
    present = {row.label for row in group.rows}
    others = {
        label: paired(group, EIGEN, label)
        for label in ("Haar .95", "blocks .95", "chain .95", "delay line .95")
        if label in present
    }
    better = [label for label, gap in others.items() if gap.sign > 0]
    worse = [label for label, gap in others.items() if gap.sign < 0]
    said = "; ".join(f"{label} {gap}" for label, gap in others.items())
    if worse:
        verdict = Verdict.FAILS if not better else Verdict.CONDITIONALLY
    else:
        verdict = Verdict.HOLDS if len(better) == len(others) else Verdict.CONDITIONALLY if better else Verdict.FAILS
    return Claim(
        "structure",
        "Does it matter that the rotations are chained?",
        "The weight is a chain of rotations in neighbouring planes. (Whether the chain is needed, or the modulus "
        "alone, the summary leaves open; we test whether the chain is better than other weights of the same spectral "
        "radius.)",
        f"{group.title}, test accuracy of {EIGEN} minus that of another weight of spectral radius .95 (paired, 95 % t "
        f"interval): {said}. The modulus alone does not decide: weights of one spectral radius differ by "
        f"{_spread(group, others):.2f} in mean accuracy.",
        verdict,
        condition=_if(verdict, f"better than {', '.join(better) or 'none'}; worse than {', '.join(worse) or 'none'}"),
        data={label: [gap.mean, gap.low, gap.high] for label, gap in others.items()},
    )


def _spread(group: Group, others: Iterable[str]) -> float:
    means = [row.mean for row in group.rows if row.label in {EIGEN, *others}]
    return max(means) - min(means)


def discrimination(context: Context, found: Sequence[tuple[Study, Comparison]], /) -> Claim:
    """Correlate the distance of untrained states from the origin with the result of training, over initializers.

    Parameters
    ----------
    context
        Where the records are.
    found
        Studies and what they found.

    Returns
    -------
    Claim
        One rank correlation a group.
    """
    rows: list[dict[str, Any]] = []
    for study, comparison in found:
        for group, row, records in reported(context, study, comparison):
            distances = [r.diagnostics[0]["hidden.distance"] for r in records if r.diagnostics]
            if not distances or row.label not in study.initializers:
                continue
            by_steps = group.rank_by == "steps"
            goodness = -row.median_steps if by_steps else row.mean if group.higher_is_better else -row.mean
            result = row.median_steps if by_steps else row.mean
            unit = "median steps to threshold" if by_steps else f"test {group.unit}"
            head = {"task": group.title, "start": row.label, "distance": float(np.mean(distances))}
            rows.append(head | {"result": result, "goodness": goodness, "unit": unit})
    grouped = [[row for row in rows if row["task"] == task] for task in dict.fromkeys(row["task"] for row in rows)]
    ranked: list[dict[str, Any]] = []
    pooled: list[tuple[float, float, str]] = []
    for own in grouped:
        x, y = ([row[name] for row in own] for name in ("distance", "goodness"))
        value = rank_correlation(x, y, [row["start"] for row in own], seed=context.seed).value
        if not math.isnan(value):
            ranked.append({"task": own[0]["task"], "initializers": len(own), "Spearman": value})
            pooled += zip(_centred(x), _centred(y), (row["start"] for row in own), strict=True)
    together = rank_correlation(*zip(*pooled, strict=True), seed=context.seed) if pooled else NOTHING
    said = "; ".join(f"{row['task']} {row['Spearman']:+.2f}" for row in ranked)
    verdict = further_out(together)
    return Claim(
        "discrimination",
        "Does the distance from the origin predict discrimination?",
        "(A question that the summary leaves open.) If hidden states tell classes apart at the surface of the "
        "hypercube, an initializer whose states lie further out should train better.",
        f"Spearman correlation over initializers of ‖h_T‖/√n before training with the result: {said}. Of the ranks "
        f"within each group, pooled over {len(ranked)} groups and {together.families} initializers: {together} (95 %, "
        "bootstrap over initializers).",
        verdict,
        condition={
            Verdict.CONDITIONALLY: "as a tendency over initializers, not as a forecast of one",
            Verdict.UNDECIDED: "too few initializers: the interval excludes neither chance nor a strong relation",
        }.get(verdict, ""),
        table=ranked,
        figures={
            "Result of an initializer against the distance of its untrained states.": partial(
                figures.distances, [row for row in rows if math.isfinite(row["result"])]
            )
        },
        data={"pooled": [together.value, together.low, together.high]},
    )


NOTHING = Correlation(math.nan, math.nan, math.nan, 0, 0)


def _centred(values: Sequence[float]) -> list[float]:
    """Return ranks from −1 to 1."""
    ranks = stats.rankdata(values)
    return ((2 * ranks - len(ranks) - 1) / max(len(ranks) - 1, 1)).tolist()


def further_out(found: Correlation, /) -> Verdict:
    """Judge "further out is better" from the pooled correlation: an interval below 0 is the contrary."""
    return Verdict.FAILS if found.high < 0 else screening(found.value, found.low, found.high)
