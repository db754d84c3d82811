"""Which modulus, which structure, and whether the distance from the origin says anything about the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from unitcircle.experiments.comparison import Comparison, Group, Standing
from unitcircle.experiments.studies import Study
from unitcircle.initializers import Eigen, Initializer
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._correlation import Correlation, rank_correlation, screening
from unitcircle_reproduction._judgement import number, with_interval
from unitcircle_reproduction._statement import Statement, claim_of
from unitcircle_reproduction.eigen import _trained_figures as figures
from unitcircle_reproduction.eigen._studies import EIGEN, HAAR_ANGLES, STRUCTURES, reported

Figures = dict[str, Callable[[], Figure]]

OTHERS = tuple(label for label in STRUCTURES if label not in {EIGEN, "Xavier"})
"""Other structures of one spectral radius."""
XAVIER = (EIGEN, ("Xavier",), Standing.WORSE)

CAPTION = "Test accuracy of every seed (dots) and mean (bar); left by modulus, right by structure. Dotted: chance."
CHAINED = (
    "The weight is a chain of rotations in neighbouring planes. (Whether the chain is needed, or the modulus alone, "
    "the summary leaves open; we test whether the chain is better than other weights of the same spectral radius.)"
)
DIFFERENCES = "Difference in mean test accuracy to modulus .95, paired by seed, with its 95 % interval."


def moduli(initializers: Mapping[str, str], /) -> dict[str, float]:
    """Return label → modulus of the eigen initializers with uniform angles, smallest first."""
    parsed = {label: Initializer.parse(text) for label, text in initializers.items()}
    known = {k: init.modulus for k, init in parsed.items() if isinstance(init, Eigen) and init.angles == "uniform"}
    return dict(sorted(known.items(), key=lambda item: item[1]))


def long_wait(group: Group, /) -> Claim:
    """Judge the final score against Xavier where a signal has to be carried over a wait."""
    text = "The eigen initializer outperforms the Xavier initializer, and helps with long-term dependency."
    return _claim(group, Statement("wait", "Final score where a signal has to wait: against Xavier", text, *XAVIER))


def modulus(initializers: Mapping[str, str], group: Group, /) -> Claim:
    """Judge whether 0.95 is the modulus to take, from the initializers of a study by label."""
    known = moduli(initializers)
    others = tuple(label for label in known if label != EIGEN)
    scale, words = "", ""
    if group.input_scale != 1:
        scale, words = f"-input-{group.input_scale:g}", f", with the input × {group.input_scale:g}"
    text = "All eigenvalues get the modulus 0.95."
    remark = f"Moduli that were trained: 0.95 and {', '.join(f'{known[label]:g}' for label in others)}."
    drawn: Figures = {CAPTION: partial(figures.structures, group, known, STRUCTURES)}
    statement = Statement(f"modulus{scale}", f"Which modulus{words}", text, EIGEN, others, Standing.WORSE)
    return _claim(group, statement, remark, drawn)


def structure(group: Group, /) -> Claim:
    """Judge whether the chain of rotations matters at equal modulus."""
    means = [row.mean for row in group.rows if row.label in {EIGEN, *OTHERS} and row.seeds]
    remark = f"Among weights of one spectral radius the mean accuracies differ by up to {np.ptp(means):.2f}."
    title = "Does it matter that the rotations are chained?"
    return _claim(group, Statement("structure", title, CHAINED, EIGEN, OTHERS, Standing.WORSE), remark)


def _claim(group: Group, statement: Statement, remark: str = "", drawn: Figures | None = None) -> Claim:
    """Return the claim that the eigen initializer is better than the others, which the study has judged."""
    shown = replace(
        group, rows=tuple(row for row in group.rows if row.label in {EIGEN, HAAR_ANGLES, *statement.others})
    )
    others = sorted((row for row in shown.rows if row.label != EIGEN), key=lambda row: row.label)
    reference = next(row for row in group.rows if row.label == EIGEN)
    gaps = "; ".join(
        f"{row.label} {with_interval(row.difference, row.difference_interval)} "
        f"({row.verdict}, p = {number(row.p_holm)})"
        for row in others
    )
    measured = (
        f"{group.title}, {len(reference.seeds)} seeds, each row at the best of its learning rates. Difference in "
        f"test accuracy to {EIGEN} (paired; p: permutation test, Holm over the table): {gaps}. {remark}"
    )
    differences: Figures = {DIFFERENCES: partial(figures.differences, shown, EIGEN)}
    data = {row.label: row.difference for row in others}
    return claim_of(statement, {"": shown}, measured.strip(), figures=(drawn or {}) | differences, data=data)


def discrimination(context: Context, comparisons: Sequence[tuple[Study, Comparison]], /) -> Claim:
    """Correlate the distance of untrained states from the origin with the result of training, over initializers."""
    rows: list[dict[str, Any]] = []
    for study, comparison in comparisons:
        for group, row, records in reported(context, study, comparison):
            distances = [r.diagnostics[0]["hidden.distance"] for r in records if r.diagnostics]
            if not distances or row.label not in study.initializers:
                continue
            by_steps = group.rank_by == "steps"
            goodness = -row.median_steps if by_steps else row.mean if group.higher_is_better else -row.mean
            result = row.median_steps if by_steps else row.mean
            unit = "median steps to threshold" if by_steps else f"test {group.unit}"
            head = {"task": group.title, "specification": group.task, "cell": group.factors["cell"]}
            head |= {"start": row.label, "distance": float(np.mean(distances))}
            rows.append(head | {"result": result, "goodness": goodness, "unit": unit})
    grouped = [[row for row in rows if row["task"] == task] for task in dict.fromkeys(row["task"] for row in rows)]
    ranked: list[dict[str, Any]] = []
    pooled: list[tuple[float, float, str]] = []
    for selected in grouped:
        x, y = ([row[name] for row in selected] for name in ("distance", "goodness"))
        value = rank_correlation(x, y, [row["start"] for row in selected], seed=context.draws).value
        if not math.isnan(value):
            ranked.append({"task": selected[0]["task"], "initializers": len(selected), "Spearman": value})
            pooled += zip(_ranks(x), _ranks(y), (row["start"] for row in selected), strict=True)
    together = rank_correlation(*zip(*pooled, strict=True), seed=context.draws) if pooled else NOTHING
    listed = "; ".join(f"{row['task']} {row['Spearman']:+.2f}" for row in ranked)
    verdict = further_out(together)
    return Claim(
        "discrimination",
        "Does the distance from the origin predict discrimination?",
        "(A question that the summary leaves open.) If hidden states tell classes apart at the surface of the "
        "hypercube, an initializer whose states lie further out should train better.",
        f"Spearman correlation over initializers of ‖h_T‖/√n before training with the result: {listed}. Of the ranks "
        f"within each group, pooled over {len(ranked)} groups and {together.families} initializers: {together} (95 %, "
        "bootstrap over initializers).",
        verdict,
        condition={
            Verdict.CONDITIONALLY: "as a tendency over initializers, not as a forecast of one",
            Verdict.TOO_FEW: "too few initializers: the interval excludes neither chance nor a strong relation",
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


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks from −1 to 1."""
    ranks = stats.rankdata(values)
    return ((2 * ranks - len(ranks) - 1) / max(len(ranks) - 1, 1)).tolist()


def further_out(correlation: Correlation, /) -> Verdict:
    """Judge "further out is better" from the pooled correlation: an interval below 0 is the contrary."""
    return Verdict.FAILS if correlation.high < 0 else screening(correlation.value, correlation.low, correlation.high)
