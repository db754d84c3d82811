"""The product's own bet: that a diagnosis at initialization says something about training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from unitcircle.experiments.studies import Study
from unitcircle_reproduction._claim import Claim, Text
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.prediction import _second_look
from unitcircle_reproduction.prediction._in_sample import in_sample, seeds
from unitcircle_reproduction.prediction._out_of_sample import newcoming, transfer
from unitcircle_reproduction.prediction._ranking import Ranking, rankings
from unitcircle_reproduction.prediction._runs import records, table
from unitcircle_reproduction.prediction._screen import screen
from unitcircle_reproduction.prediction._thresholds import thresholds

QUICK = ("digits", "tomita(grammar=4)", "adding", "mackey_glass")
"""Tasks of the shipped study that a quick run has time for."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Correlate what is measured before training with what comes out, over all studies that there are."""
    if not context.records:
        context.study(context.seeded(_study(context)))
    ranked = rankings(table(records(context.records or (context.studies,))))
    scored, timed = (screen(ranked, outcome, seed=context.seed) for outcome in ("score", "speed"))
    yield in_sample("score", "Final score", scored)
    yield in_sample("steps", "Steps to the threshold", timed)
    yield transfer(scored, timed)
    yield newcoming(scored, timed)
    yield from split(ranked, context.seed)
    yield seeds(ranked, context.seed)
    yield thresholds(ranked, context.seed)


def split(ranked: Sequence[Ranking], seed: int, /) -> Iterator[Claim]:
    """Judge each cell by itself where there are several: the choice in the other tasks of the same cell."""
    cells = list(dict.fromkeys(ranking.cell for ranking in ranked))
    for cell in cells if len(cells) > 1 else []:
        alone = [ranking for ranking in ranked if ranking.cell == cell]
        scored, timed = (screen(alone, outcome, seed=seed) for outcome in ("score", "speed"))
        claim = transfer(scored, timed)
        yield replace(claim, name=f"transfer-{cell}", title=f"{claim.title}: {cell} alone")


def _study(context: Context) -> Study:
    """Return the shipped study, or, for a quick run, one seed at one learning rate of what is quick in it."""
    shipped = Study.load("prediction")
    if context.full:
        return shipped
    quick = [
        replace(e, learning_rates=e.learning_rates[-1:])
        for e in shipped.experiments
        if e.cells == ("tanh",) and any(part in str(e.task) for part in QUICK)
    ]
    return replace(shipped, name="prediction-quick", experiments=tuple(quick), seeds=1)


TEXT = Text(
    "prediction",
    "Does a diagnosis at initialization predict training?",
    "unitcircle's own bet, not a published claim: over the records of studies",
    {"claims": claims, "second-look": _second_look.claims},
)
