"""Clipping of exploding gradients, and Ω against vanishing ones."""

from __future__ import annotations

__all__ = ["claims"]

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unitcircle.experiments.reproduce._claim import Claim
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce._orthogonal_contest import Contender, Contest, contest
from unitcircle.experiments.reproduce._orthogonal_judgement import Statement, judged
from unitcircle.experiments.studies import Experiment, Store

FREE, CLIPPED = "exploding, not clipped", "exploding, clipped at 1"
QUIET_FREE, QUIET_CLIPPED = "torch default, not clipped", "torch default, clipped at 1"
PLAIN, OMEGA = "without Ω", "with Ω, weight 1"
UNITS = 32

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
    """Train with and without both remedies of Pascanu et al.

    Parameters
    ----------
    context
        Quick: 7 seeds, few hundred steps. Full: 10 seeds, thousands.

    Yields
    ------
    Claim
        Clipping on the digits by gradient descent, of a weight whose gradient explodes, with one as control whose
        gradient does not; Ω on copying.
    """
    exploding = f"gaussian(std={3 / UNITS**0.5:.4g})"
    clipping = contest(
        context,
        "orthogonal-clipping",
        (
            Contender(FREE, "tanh", exploding, {"clip": None}),
            Contender(CLIPPED, "tanh", exploding, {"clip": 1.0}),
            Contender(QUIET_FREE, "tanh", "torch_default", {"clip": None}),
            Contender(QUIET_CLIPPED, "tanh", "torch_default", {"clip": 1.0}),
        ),
        Experiment(
            "digits",
            sizes=(UNITS,),
            learning_rates=context.pick((0.03, 0.3), (0.01, 0.03, 0.1, 0.3, 1.0)),
            options={
                "optimizer": "sgd",
                "steps": context.pick(600, 3000),
                "evaluate_every": context.pick(100, 150),
                "measure_at": (0,),
            },
        ),
        tuning_seeds=2,
    )
    yield judged(_CLIPPING, [clipping], _control(context, clipping))
    delays, steps = context.pick((10,), (20, 50)), context.pick(400, 4000)
    copying = [
        contest(
            context,
            f"orthogonal-omega-{delay}",
            (Contender(PLAIN, "tanh", options={"omega": 0.0}), Contender(OMEGA, "tanh", options={"omega": 1.0})),
            Experiment(
                f"copying(delay={delay})",
                sizes=(UNITS,),
                learning_rates=context.pick((1e-2,), (1e-3, 3e-3, 1e-2)),
                options={"steps": steps, "evaluate_every": steps // 5, "batch_size": 20, "measure_at": (0, -1)},
            ),
        )
        for delay in delays
    ]
    folder = context.folder / "studies"
    ratios = [_log_ratios(folder / f"orthogonal-omega-{delays[0]}-tanh-omega-{omega}", -1) for omega in (0.0, 1.0)]
    yield judged(
        _OMEGA,
        copying,
        f"tanh, n = {UNITS}, torch's default weight. After training without Ω a gradient changes by "
        f"{_decades(ratios[0])} decades over the sequence (copying over {delays[0]}), "
        f"with it by {_decades(ratios[1])}.",
    )


def _control(context: Context, found: Contest) -> str:
    name = "orthogonal-clipping-tanh-clip-None"
    exploding = _log_ratios(context.folder / "studies" / name, 0, "gaussian")
    rows = {row.label: row for row in found.against(QUIET_FREE, (QUIET_CLIPPED,))}
    low, high = rows[QUIET_CLIPPED].difference_interval.low, rows[QUIET_CLIPPED].difference_interval.high
    reached = next(row.mean for row in found.rows if row.label == CLIPPED)
    free, clipped = rows[QUIET_FREE].mean, rows[QUIET_CLIPPED].mean
    return (
        f"The exploding weight is Gaussian with three times the critical standard deviation, 3/√n, n = {UNITS}; its "
        f"gradient changes by {_decades(exploding)} decades over the 64 steps before training. Control: "
        f"with torch's default weight {free:.2f} without and {clipped:.2f} with clipping (difference "
        f"[{low:.2f}, {high:.2f}], {rows[QUIET_CLIPPED].verdict}). "
        f"Clipped, the exploding start reaches {reached:.2f}."
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
