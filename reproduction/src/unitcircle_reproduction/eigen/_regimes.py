"""What a recurrence without input does: forecast from the eigenvalues of its weight, and observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import block_diag
from scipy.special import expit

from unitcircle.initializers import Eigen, Initializer, Orthogonal
from unitcircle.spectra import eigenvalues
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen import _dynamics_figures as figures

STEPS = 1500
LARGE = 1e6
"""A state beyond this norm counts as growing without bound."""
STILL = 1e-8
"""A step below this share of the largest norm counts as no motion."""
REMAINDER = "log₁₀ of a difference after 100 steps"
ALIGNED = 0.9999
"""Mean cosine of successive steps from which an approach counts as straight."""

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda z: z,
    "tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0.0),
    "sigmoid": expit,
}
SLOPES = {"linear": 1.0, "tanh": 1.0, "ReLU": 1.0, "sigmoid": 0.25}
"""Largest slope of each."""


class Behaviour(StrEnum):
    """What a trajectory does in the long run."""

    DECAYS = "goes straight to the origin"
    SPIRALS = "spirals into the origin"
    SETTLES = "settles away from the origin"
    OSCILLATES = "goes on for ever, bounded"
    GROWS = "grows without bound"


@dataclass(frozen=True, eq=False)
class Case:
    """A weight with a name."""

    name: str
    weight: np.ndarray


def _turn(modulus: float, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return modulus * np.array([[c, -s], [s, c]])


def _direct_sum(W: np.ndarray, value: float) -> Any:
    return block_diag(W, value)


def _sample(init: Initializer, seed: int) -> Any:
    return init.sample(64, rng=seed)


def cases(seed: int, /) -> list[Case]:
    """Return weights of 2, 3 and 64 units whose eigenvalues are known or given."""
    small = [
        Case("2: 0.9 e^±0.6i", _turn(0.9, 0.6)),
        Case("2: 1.2 e^±0.6i", _turn(1.2, 0.6)),
        Case("2: 0.9, 0.5", np.diag([0.9, 0.5])),
        Case("2: 1.5, 0.5", np.diag([1.5, 0.5])),
        Case("2: −1.5, 0.5", np.diag([-1.5, 0.5])),
        Case("2: 6 e^±0.6i", _turn(6.0, 0.6)),
        Case("3: 1.2 e^±0.6i, 0.8", _direct_sum(_turn(1.2, 0.6), 0.8)),
        Case("3: 0.9 e^±2i, 1.3", _direct_sum(_turn(0.9, 2.0), 1.3)),
    ]
    large = [
        Case(f"64: eigen, modulus {m:g}", _sample(Eigen(modulus=m, angles="uniform"), seed))
        for m in (0.8, 0.95, 1.1, 1.5)
    ]
    return [*small, *large, Case("64: Haar × 1.1", _sample(Orthogonal(gain=1.1), seed))]


def trajectory(
    W: np.ndarray,
    activation: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    /,
    *,
    steps: int = STEPS,
    largest: float = LARGE,
) -> np.ndarray:
    """Return ``h_{t+1} = φ(W h_t)`` for t = 0..steps, ``(steps + 1, n)``; a state that is too large is repeated."""
    states = [np.asarray(start, float)]
    for _ in range(steps):
        h = states[-1]
        states.append(h if np.linalg.norm(h) > largest else activation(W @ h))
    return np.array(states)


def forecast(W: np.ndarray, activation: str, /) -> Behaviour:
    """Return the behaviour that the eigenvalues of the Jacobian at the steepest slope predict."""
    #     |φ'_max λ_1| < 1    a fixed point, by a spiral unless all λ of the largest modulus are positive
    #     otherwise           growth; where φ is bounded, an endless motion unless all λ beyond the circle are positive
    values = SLOPES[activation] * np.asarray(eigenvalues(W))
    moduli = np.abs(values)
    # Moduli that are equal by construction are so to rounding.
    deciding = values[moduli >= min(1.0, moduli[0] * (1 - 1e-9))]
    straight = bool(((deciding.imag == 0) & (deciding.real > 0)).all())
    if moduli[0] < 1:
        if activation == "sigmoid":
            return Behaviour.SETTLES
        return Behaviour.DECAYS if straight else Behaviour.SPIRALS
    if activation in {"linear", "ReLU"}:
        return Behaviour.GROWS
    return Behaviour.SETTLES if straight else Behaviour.OSCILLATES


def observe(states: np.ndarray, /) -> Behaviour:
    """Return what a trajectory ``(T + 1, n)`` did."""
    norms = np.linalg.norm(states, axis=1)
    if norms[-1] > LARGE:
        return Behaviour.GROWS
    moves = np.diff(states, axis=0)
    lengths = np.linalg.norm(moves, axis=1)
    if lengths[-1] > STILL * norms.max():
        return Behaviour.OSCILLATES
    if norms[-1] > 1e-3 * norms.max():
        return Behaviour.SETTLES
    going = np.flatnonzero(lengths > STILL * norms.max())
    last = moves[going[-12:]]
    directions = last / np.linalg.norm(last, axis=1, keepdims=True)
    cosines = (directions[1:] * directions[:-1]).sum(1)
    # Fewer than two moves: it was there at once.
    return Behaviour.SPIRALS if len(cosines) and cosines.mean() < ALIGNED else Behaviour.DECAYS


def _majority(case: Case, activation: str, rng: np.random.Generator) -> tuple[Behaviour, int, float]:
    """Return what most of five trajectories do, how many do, and log10 of what is left of a small difference."""
    n = len(case.weight)
    behaviours: list[Behaviour] = []
    ratios: list[float] = []
    for _ in range(5):
        start = rng.uniform(-0.5, 0.5, n)
        phi, pair = ACTIVATIONS[activation], (start, start + 1e-6 * rng.standard_normal(n))
        behaviours.append(observe(trajectory(case.weight, phi, start)))
        first, beside = (trajectory(case.weight, phi, h, steps=100, largest=np.inf) for h in pair)
        ratios.append(float(np.linalg.norm(beside[-1] - first[-1]) / np.linalg.norm(beside[0] - first[0])))
    most = max(behaviours, key=behaviours.count)
    with np.errstate(divide="ignore"):
        return most, behaviours.count(most), float(np.log10(np.median(ratios)))


def claim(context: Context, /) -> Claim:
    """Measure what the eigenvalues of W say about the motion of the hidden state."""
    rng = np.random.default_rng([context.draws, 11])
    rows: list[dict[str, Any]] = []
    for case in cases(context.draws):
        leading = complex(eigenvalues(case.weight)[0])
        for activation in ACTIVATIONS:
            predicted = forecast(case.weight, activation)
            behaviour, count, ratio = _majority(case, activation, rng)
            rows.append(
                {
                    "units: eigenvalues": case.name,
                    "|λ₁|": abs(leading),
                    "φ": activation,
                    "from the eigenvalues": str(predicted),
                    "seen": str(behaviour),
                    "starts": f"{count} of 5",
                    REMAINDER: ratio,
                    "agree": "yes" if predicted is behaviour else "no",
                }
            )
    right = {a: [row["agree"] == "yes" for row in rows if row["φ"] == a] for a in ACTIVATIONS}
    counts = ", ".join(f"{name} {sum(hits)} of {len(hits)}" for name, hits in right.items())
    ratios = {a: [(row["seen"], row[REMAINDER]) for row in rows if row["φ"] == a] for a in ACTIVATIONS}
    turning = [value for behaviour, value in ratios["tanh"] if behaviour == Behaviour.OSCILLATES]
    sigmoid = [value for _, value in ratios["sigmoid"]]
    verdict, condition = judge_forecast(right)
    return Claim(
        "regimes",
        "What the eigenvalues say about the hidden state",
        "The dynamics of the hidden state follow from the eigen decomposition of the recurrent weight: how information "
        "decays in a linear model, and what the activation function does to preserve it. (Abstract; what we could "
        "read of the source gives no cases and no figures.)",
        f"The test is ours: we forecast the motion of h ← φ(Wh) from the leading eigenvalues (those of the largest "
        f"modulus or beyond the circle, times the steepest slope of φ) in cases that we chose, and watched "
        f"{STEPS:,} steps from five starts. The forecast is right for {counts}. Beyond the circle a bounded activation "
        f"turns growth into a bounded motion: of the {len(turning)} tanh cases that go on for ever, a small difference "
        f"is within a factor of 100 of itself after 100 steps in {sum(abs(k) < 2 for k in turning)}, which is what a "
        "linear model can do at modulus 1 alone. The sigmoid, whose slope is at most 1/4, kept a hundred-thousandth "
        f"of a difference in {sum(k > -5 for k in sigmoid)} of {len(sigmoid)}. A ReLU cuts a rotation off: where the "
        "linear state grows, that of a ReLU may die.",
        verdict,
        condition=condition,
        table=rows,
        figures={
            "Two units without input, 60 steps from five starts (●; ○: end). Columns: activation; rows: "
            "eigenvalues.": partial(figures.portraits, _portraits(context.draws)),
            "n = 64, eigen weights of four moduli: root mean square of h against time. A bounded activation ends the "
            "growth that the modulus foretells.": partial(figures.sizes, _sizes(context.draws)),
        },
        data={"right": {name: float(np.mean(hits)) for name, hits in right.items()}},
    )


def judge_forecast(right: dict[str, list[bool]], /) -> tuple[Verdict, str]:
    """Return the verdict, and its condition, from whether the forecast was right in each case of each activation."""
    failing = [name for name, hits in right.items() if not all(hits)]
    if not failing:
        return Verdict.HOLDS, ""
    counts = "; ".join(f"{name} in {sum(hits)} of {len(hits)} cases" for name, hits in right.items())
    condition = (
        f"as forecast from the leading eigenvalues at the steepest slope: {counts}; forecast and cases are ours, for "
        "what we could read of the source gives none"
    )
    return (Verdict.FAILS if set(failing) == set(right) else Verdict.CONDITIONALLY), condition


def _portraits(seed: int) -> Sequence[tuple[str, dict[str, np.ndarray]]]:
    starts = np.random.default_rng([seed, 12]).uniform(-1, 1, (5, 2))
    shown = {
        "0.95 e^±0.4i": _turn(0.95, 0.4),
        "1.1 e^±0.4i": _turn(1.1, 0.4),
        "1.5, 0.8": np.diag([1.5, 0.8]),
        "6 e^±0.4i": _turn(6.0, 0.4),
    }
    return [
        (
            name,
            {
                label: np.array([trajectory(W, phi, start, steps=60) for start in starts])
                for label, phi in ACTIVATIONS.items()
            },
        )
        for name, W in shown.items()
    ]


def _sizes(seed: int) -> dict[str, dict[float, np.ndarray]]:
    start = np.random.default_rng([seed, 13]).uniform(-0.5, 0.5, 64)
    weights = {m: Eigen(modulus=m, angles="uniform").sample(64, rng=seed) for m in (0.8, 0.95, 1.1, 1.5)}
    return {
        label: {
            m: np.linalg.norm(trajectory(W, phi, start, steps=150, largest=np.inf), axis=1) / 8
            for m, W in weights.items()
        }
        for label, phi in ACTIVATIONS.items()
    }
