"""Every diagnostic against the result where all results are known; among initializers, and among seeds of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction.prediction import _figures as figures
from unitcircle_reproduction.prediction._ranking import Ranking
from unitcircle_reproduction.prediction._ruling import (
    BET,
    FEWEST_KINDS,
    LEVEL,
    p_text,
    reason,
    ruling,
    too_few,
)
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS
from unitcircle_reproduction.prediction._screen import Screen
from unitcircle_reproduction.prediction._within import within

SEEDS = "One seed against another"


def in_sample(name: str, title: str, screened: Screen) -> Claim:
    """Return the claim on the mean correlations over kinds of task."""
    # Ruled by :func:`ruling` of the p farthest from chance and of the intervals of all diagnostics together.
    if len(screened.kinds) < FEWEST_KINDS:
        return too_few(name, title)
    means, bounds, p = screened.means()
    keys = list(DIAGNOSTICS)
    rank = [(p[d], -abs(means[d])) if not math.isnan(means[d]) else (2.0, 0.0) for d in range(len(keys))]
    order = sorted(range(len(keys)), key=rank.__getitem__)
    best = order[0]
    verdict = ruling(float(p[best]), [(low, high) for low, high in bounds.tolist()])
    parts = screened.parts()
    table = [
        {
            "diagnostic at step 0": DIAGNOSTICS[keys[d]],
            "mean ρ over tasks": float(means[d]),
            "low": float(bounds[d, 0]),
            "high": float(bounds[d, 1]),
            "p": float(p[d]),
        }
        | {f"ρ, {part}": float(values[d]) for part, values in parts.items()}
        for d in order
    ]
    ranked = "; ".join(
        f"{DIAGNOSTICS[keys[d]]} {means[d]:+.2f} [{bounds[d, 0]:+.2f}, {bounds[d, 1]:+.2f}], {p_text(p[d])}"
        for d in order[:4]
    )
    sure = sum(p <= LEVEL)
    what = (
        "test score" if name == "score" else "speed (minus the median steps to the threshold, last who never got there)"
    )
    luck = _ceiling(screened.rankings) if name == "score" else ""
    return Claim(
        name,
        f"{title} against the diagnosis, in sample",
        BET,
        f"{_rests_on(screened.rankings)}. Spearman correlation with the {what}, mean over kinds of task: {ranked}. "
        f"{sure} of {len(keys)} diagnostics are better than chance (families of initializers exchanged, corrected for "
        f"the choice); the intervals, from a bootstrap over families, hold all together with 95 %. {luck} What a "
        "diagnostic is worth where it was not chosen is the matter of the next claims.".replace("  ", " "),
        verdict,
        condition=reason(verdict),
        table=table,
        figures={
            "Spearman's ρ of each diagnostic before training with the result after it, below it the 95 % interval "
            "(bootstrap over families); bold: it excludes 0. Last column: mean over kinds of task.": partial(
                figures.heat_map, screened
            ),
            f"The diagnostic that is farthest from chance, {DIAGNOSTICS[keys[best]]}: ranks within each setting, each "
            "point an initializer.": partial(figures.scatter, screened.rankings, keys[best], screened.outcome),
        },
        data={
            "settings": [ranking.name for ranking in screened.rankings],
            "diagnostics": keys,
            "correlations": screened.values.tolist(),
            "intervals": screened.bounds().tolist(),
        },
    )


def _rests_on(rankings: Sequence[Ranking]) -> str:
    """Say how many settings, initializers and runs there are."""
    runs = pd.concat([ranking.runs for ranking in rankings])
    kinds = {ranking.kind for ranking in rankings}
    return (
        f"{len(rankings)} settings ({len(kinds)} kinds of task), {runs['initializer'].nunique()} initializers "
        f"({runs['family'].nunique()} families), {len(runs):,} runs"
    )


def _ceiling(rankings: Sequence[Ranking]) -> str:
    """Say how well the seeds agree, and what that leaves to be explained (Spearman and Brown)."""
    known = [(value, seeds) for value, seeds in (ranking.agreement() for ranking in rankings) if not math.isnan(value)]
    if not known:
        return "One seed an initializer: how much of its rank is luck cannot be told."
    alike = float(np.mean([value for value, _ in known]))
    whole = [max(0.0, seeds * value / (1 + (seeds - 1) * value)) for value, seeds in known if value > -1 / seeds]
    most = math.sqrt(float(np.mean(whole))) if whole else 0.0
    return (
        f"Two seeds rank the initializers of a setting alike with ρ = {alike:.2f} on average, so that nothing known "
        f"before training could correlate with the mean over the seeds by more than about {most:.2f}."
    )


def seeds(rankings: Sequence[Ranking], seed: int) -> Claim:
    """Return the claim on the seeds of one initializer."""
    # Ruled by :func:`ruling` of the p farthest from chance and of the intervals of all diagnostics together.
    pooled = within(rankings, seed=seed)
    if not pooled.runs or np.isnan(pooled.values).all():
        few = "no initializer has two seeds with different scores"
        return Claim("seeds", SEEDS, BET, "Nothing to correlate.", Verdict.TOO_FEW, condition=few)
    titles = list(DIAGNOSTICS.values())
    order = sorted(range(len(titles)), key=lambda d: -abs(np.nan_to_num(pooled.values[d])))
    table = [
        {
            "diagnostic at step 0": titles[d],
            "ρ among seeds": float(pooled.values[d]),
            "low": float(pooled.bounds[d, 0]),
            "high": float(pooled.bounds[d, 1]),
            "p": float(pooled.p[d]),
        }
        for d in order
    ]
    best = int(np.nanargmin(pooled.p))
    value, p = float(pooled.values[best]), float(pooled.p[best])
    verdict = ruling(p, [(low, high) for low, high in pooled.bounds.tolist()])
    return Claim(
        "seeds",
        SEEDS,
        BET,
        f"Ranks of diagnosis and score among the seeds of one initializer in one setting, pooled over {pooled.runs:,} "
        f"runs of {len(rankings)} settings. The correlation farthest from chance is {value:+.2f} "
        f"[{pooled.bounds[best, 0]:+.2f}, {pooled.bounds[best, 1]:+.2f}] ({titles[best]}), {p_text(p)} after the "
        f"choice of {len(titles)} (seeds exchanged, those of all initializers of a task alike). It leaves "
        f"{1 - value**2:.1%} of the variance of the ranks open.",
        verdict,
        condition=reason(verdict),
        table=table,
    )
