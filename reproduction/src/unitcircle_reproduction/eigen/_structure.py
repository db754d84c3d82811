"""Which modulus, which structure, and whether the distance from the origin says anything about the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from unitcircle.experiments.comparison import Comparison, Group
from unitcircle.experiments.studies import Study
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._contest import table
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._correlation import Correlation, rank_correlation, screening
from unitcircle_reproduction._judgement import follows, number, with_interval
from unitcircle_reproduction.eigen import _trained_figures as figures
from unitcircle_reproduction.eigen._rivals import compared
from unitcircle_reproduction.eigen._studies import EIGEN, reported

Figures = dict[str, Callable[[], Figure]]


CAPTION = "Test accuracy of every seed (dots) and mean (bar); left by modulus, right by structure. Dotted: chance."
CHAINED = (
    "The weight is a chain of rotations in neighbouring planes. (Whether the chain is needed, or the modulus alone, "
    "the summary leaves open; we test whether the chain is better than other weights of the same spectral radius.)"
)
DIFFERENCES = "Difference in mean test accuracy to modulus .95, paired by seed, with its 95 % interval."


def _claim(group: Group, labels: Sequence[str], said: tuple[str, str, str], remark: str, figures: Figures) -> Claim:
    """Return the claim, told by name, title and statement, that the reference is better than each of some rows."""
    told = sorted((row for row in group.rows if row.label in labels and row.seeds), key=lambda row: row.label)
    found = [compared(row, row.label) for row in told]
    verdict, condition = follows(found)
    reference = next(row for row in group.rows if row.label == EIGEN)
    gaps = "; ".join(
        f"{row.label} {with_interval(row.difference, row.difference_interval)} "
        f"({row.verdict}, p = {number(row.p_holm)})"
        for row in told
    )
    measured = (
        f"{group.title}, {len(reference.seeds)} seeds, each row at the better of its learning rates. Difference in "
        f"test accuracy to {EIGEN} (paired; p: permutation test, Holm over the table): {gaps}. {remark}"
    )
    own = replace(group, rows=tuple(row for row in group.rows if row.label in {EIGEN, *labels}))
    return Claim(
        *said,
        measured.strip(),
        verdict,
        condition=condition,
        table=table(group.title, own),
        figures=figures,
        data={row.label: row.difference for row in told},
    )


def long_wait(group: Group, /) -> Claim:
    """Judge the final score against Xavier where a signal has to be carried over a wait."""
    return _claim(
        group,
        ["Xavier"],
        (
            "wait",
            "Final score where a signal has to wait: against Xavier",
            "The eigen initializer outperforms the Xavier initializer, and helps with long-term dependency.",
        ),
        "",
        _differences(group, ["Xavier"]),
    )


def modulus(group: Group, /) -> Claim:
    """Judge whether 0.95 is the modulus to take."""
    labels = [row.label for row in group.rows if row.label.startswith("eigen ") and "," not in row.label]
    others = [label for label in labels if label != EIGEN]
    scale = "" if group.input_scale == 1 else f"-input-{group.input_scale:g}"
    return _claim(
        group,
        others,
        (
            f"modulus{scale}",
            "Which modulus" + ("" if group.input_scale == 1 else f", with the input × {group.input_scale:g}"),
            "All eigenvalues get the modulus 0.95.",
        ),
        f"Moduli that were trained: .95 and {', '.join(sorted(label.removeprefix('eigen ') for label in others))}.",
        {CAPTION: partial(figures.structures, group), **_differences(group, others)},
    )


def structure(group: Group, /) -> Claim:
    """Judge whether the chain of rotations matters at equal modulus."""
    others = ("Haar .95", "blocks .95", "chain .95", "delay line .95")
    apart = np.ptp([row.mean for row in group.rows if row.label in {EIGEN, *others} and row.seeds])
    return _claim(
        group,
        others,
        (
            "structure",
            "Does it matter that the rotations are chained?",
            CHAINED,
        ),
        f"Among weights of one spectral radius the mean accuracies differ by up to {apart:.2f}.",
        _differences(group, others),
    )


def _differences(group: Group, labels: Sequence[str]) -> Figures:
    rows = [
        (row.label, row.difference, row.difference_interval.low, row.difference_interval.high, str(row.verdict))
        for row in group.rows
        if row.label in labels and not math.isnan(row.difference)
    ]
    return {DIFFERENCES: partial(figures.differences, rows, label=f"test {group.unit} minus that of {EIGEN}")}


def discrimination(context: Context, found: Sequence[tuple[Study, Comparison]], /) -> Claim:
    """Correlate the distance of untrained states from the origin with the result of training, over initializers."""
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
        value = rank_correlation(x, y, [row["start"] for row in own], seed=context.draws).value
        if not math.isnan(value):
            ranked.append({"task": own[0]["task"], "initializers": len(own), "Spearman": value})
            pooled += zip(_centred(x), _centred(y), (row["start"] for row in own), strict=True)
    together = rank_correlation(*zip(*pooled, strict=True), seed=context.draws) if pooled else NOTHING
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
