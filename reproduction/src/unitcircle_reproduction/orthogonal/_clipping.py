"""Clipping of exploding gradients, and Ω against vanishing ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unitcircle.experiments.comparison import Group
from unitcircle.experiments.studies import Experiment, Store
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import Contender, claim_on, contenders, judge_groups
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._statement import Statement

FREE, CLIPPED = "exploding, not clipped", "exploding, clipped at 1"
QUIET_FREE, QUIET_CLIPPED = "torch default, not clipped", "torch default, clipped at 1"
PLAIN, OMEGA = "without Ω", "with Ω, weight 1"
UNITS, FACTORS = 32, (2, 3)

_CLIPPING = Statement(
    "clipping",
    "Gradient clipping",
    "Clipping the norm of the gradient (Pascanu et al.) is the remedy for exploding gradients.",
    FREE,
    (CLIPPED,),
)
_OMEGA = Statement(
    "omega",
    "The regularizer Ω",
    "A regularizer that asks each step of the backward pass to keep the norm of the gradient, Ω (Pascanu et al.), "
    "is a remedy for vanishing gradients.",
    PLAIN,
    (OMEGA,),
)


def claims(context: Context, /) -> Iterator[Claim]:
    """Train with and without both remedies of Pascanu et al."""
    clipping = {f"digits, weights N(0, {factor**2}/n)": _clipping(context, factor) for factor in FACTORS}
    yield claim_on(_CLIPPING, clipping, _control(context, next(iter(clipping.values()))))
    delays, steps = (10,), context.pick(400, 1000)
    copying = {
        f"copying(delay={delay})": contenders(
            context,
            f"orthogonal-omega-{delay}",
            (Contender(PLAIN, "tanh", options={"omega": 0.0}), Contender(OMEGA, "tanh", options={"omega": 1.0})),
            Experiment(
                f"copying(delay={delay})",
                sizes=(UNITS,),
                learning_rates=(3e-3, 1e-2, 3e-2),
                further_rates=FURTHER,
                options={"steps": steps, "evaluate_every": steps // 5, "batch_size": 20, "measure_at": (0, -1)},
            ),
        )
        for delay in delays
    }
    ratios = [
        _log_ratios(context.studies / f"orthogonal-omega-{delays[0]}-tanh-omega-{omega}", -1) for omega in (0.0, 1.0)
    ]
    yield claim_on(
        _OMEGA,
        copying,
        f"tanh, n = {UNITS}, torch's default weight. After training without Ω a gradient changes by "
        f"{_decades(ratios[0])} decades over the sequence (copying over {delays[0]}), "
        f"with it by {_decades(ratios[1])}.",
    )


def _clipping(context: Context, factor: int) -> Group:
    exploding = f"gaussian(std={factor / UNITS**0.5:.4g})"
    members = [
        Contender(FREE, "tanh", exploding, {"clip": None}),
        Contender(CLIPPED, "tanh", exploding, {"clip": 1.0}),
    ]
    if factor == FACTORS[0]:
        members += [Contender(QUIET_FREE, "tanh", options={"clip": None})]
        members += [Contender(QUIET_CLIPPED, "tanh", options={"clip": 1.0})]
    rates, steps = (0.03, 0.1, 0.3), 600
    options = {"optimizer": "sgd", "steps": steps, "evaluate_every": steps // 4, "measure_at": (0,)}
    experiment = Experiment("digits", sizes=(UNITS,), learning_rates=rates, further_rates=FURTHER, options=options)
    return contenders(
        context,
        f"orthogonal-clipping-{factor}",
        members,
        experiment,
        tuning_seeds=2,
    )


def _control(context: Context, group: Group) -> str:
    before = " and ".join(
        _decades(_log_ratios(context.studies / f"orthogonal-clipping-{factor}-tanh-clip-None", 0, "gaussian"))
        for factor in FACTORS
    )
    free, clipped = judge_groups({"": group}, QUIET_FREE, [QUIET_CLIPPED])[""].rows
    interval = clipped.difference_interval
    return (
        f"The exploding weights are Gaussian with {' and '.join(map(str, FACTORS))} times the critical standard "
        f"deviation 1/√n, n = {UNITS}; before training their gradients change by {before} decades over the 64 steps. "
        f"Control: with torch's default weight {free.mean:.2f} without and {clipped.mean:.2f} "
        f"with clipping (difference [{interval.low:.2f}, {interval.high:.2f}], {clipped.verdict})."
    )


def _log_ratios(folder: Path, which: int, recurrent: str = "") -> np.ndarray:
    """Return log(gradient at the first step / at the last) of the reported runs of a study's folder."""
    records = Store(folder).records()
    chosen = [r for r in records if r.diagnostics and r.run.recurrent.startswith(recurrent)]
    return np.array([r.diagnostics[which]["gradient.log_ratio"] for r in chosen])


def _decades(logs: np.ndarray) -> str:
    if not len(logs):
        return "unknown"
    decades = logs / np.log(10)
    return f"{np.median(decades):+.1f} (median; {decades.min():+.1f} to {decades.max():+.1f})"
