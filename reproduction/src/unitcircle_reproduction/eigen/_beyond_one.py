"""What moduli beyond 1 do to the states of every activation, and to a small difference of two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import expit

from unitcircle.initializers import Orthogonal
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import Evidence, follows, number

UNITS, STEPS, BURN_IN, INPUT = 64, 400, 100, 0.1
MODULI = (1.1, 1.5, 2.0)
LARGE = 1e3
"""Size ‖h‖/√n from which on values have exploded."""
SMALL = 1e-7
CHAOS = 0.01
"""Nats a step from which on a difference is said to grow."""

Step = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""State, weight and drive ``(4, n)`` → the next state; cells with one block use the first row of the drive."""


def _plain(activation: Callable[[np.ndarray], np.ndarray]) -> Step:
    return lambda h, W, x: activation(W @ h + x[0])


def _gru(h: np.ndarray, W: np.ndarray, x: np.ndarray) -> np.ndarray:
    recurrent = W @ h
    z, r = expit(recurrent + x[0]), expit(recurrent + x[1])
    return (1 - z) * np.tanh(r * recurrent + x[2]) + z * h


def _lstm(state: np.ndarray, W: np.ndarray, x: np.ndarray) -> np.ndarray:
    h, c = np.split(state, 2)
    recurrent = W @ h
    c = expit(recurrent + x[0]) * c + expit(recurrent + x[1]) * np.tanh(recurrent + x[2])
    return np.concatenate([expit(recurrent + x[3]) * np.tanh(c), c])


STEP: dict[str, Step] = {
    "tanh": _plain(np.tanh),
    "sigmoid": _plain(expit),
    "ReLU": _plain(lambda z: np.maximum(z, 0.0)),
    "GRU": _gru,
    "LSTM": _lstm,
}
CONTROL = {"linear": _plain(lambda z: z)}


def measure(step: Step, modulus: float, seed: int, /, *, size: int = UNITS) -> tuple[float, float]:
    """Return the largest ‖h‖/√n, and the growth rate of a small difference in nats a step, of one driven network."""
    rng = np.random.default_rng([seed, 49])
    W = Orthogonal(gain=modulus).sample(UNITS, rng=rng)
    drive = INPUT * rng.standard_normal((STEPS, 4, UNITS))
    state, other = np.zeros(size), np.zeros(size) + SMALL * rng.standard_normal(size)
    largest, rates = 0.0, []
    for t, x in enumerate(drive):
        state, other = step(state, W, x), step(other, W, x)
        distance = float(np.linalg.norm(other - state))
        if t >= BURN_IN:
            rates.append(np.log(max(distance, np.finfo(float).tiny) / (SMALL * size**0.5)))
        largest = max(largest, float(np.linalg.norm(state)) / size**0.5)
        if largest > LARGE:
            return largest, float("nan")
        # Renormalized at every step; a difference that is lost to rounding starts anew in the same direction.
        direction = (other - state) / distance if distance > 0 else np.full(size, size**-0.5)
        other = state + SMALL * size**0.5 * direction
    return largest, float(np.mean(rates))


def claims(context: Context, /) -> Iterator[Claim]:
    """Drive networks of every activation at moduli beyond 1, and judge whether their values explode."""
    draws = context.pick(2, 10)
    rows, evidence = list[dict[str, Any]](), list[Evidence]()
    for name, step in {**STEP, **CONTROL}.items():
        tame = True
        for modulus in MODULI:
            size = UNITS * (2 if name == "LSTM" else 1)
            found = np.array([measure(step, modulus, context.draws + k, size=size) for k in range(draws)])
            exploded = int((found[:, 0] > LARGE).sum())
            rates = found[~np.isnan(found[:, 1]), 1]
            tame &= not exploded
            rows.append(
                {
                    "activation": name,
                    "modulus": modulus,
                    "values explode": f"{exploded}/{draws}",
                    "largest ‖h‖/√n, median": float(np.median(found[:, 0])),
                    "growth of a difference, nats/step": float(np.median(rates)) if len(rates) else float("nan"),
                    "log modulus": float(np.log(modulus)),
                }
            )
        if name in STEP:
            evidence.append(Evidence(name, 1 if tame else -1))
    verdict, condition = follows(evidence)
    chaotic = "; ".join(
        f"{row['activation']} {number(row['growth of a difference, nats/step'])} at {row['modulus']:g}"
        for row in rows
        if row["growth of a difference, nats/step"] > CHAOS
    )
    yield Claim(
        "beyond-one",
        "Moduli beyond 1, by activation",
        "Nonlinear activation functions prevent values from exploding when eigenvalues exceed 1.",
        f"Haar weights × {', '.join(f'{m:g}' for m in MODULI)}, n = {UNITS}, every recurrent block of a gated cell the "
        f"same, white noise of {INPUT:g} into every unit and gate, {STEPS} steps, {draws} draws. Exploded is a state "
        f"beyond ‖h‖/√n = {LARGE:g}. A bounded activation bounds the values whatever the modulus; gradients may "
        f"explode where the values do not: a small difference grows in {chaotic or 'none'} (nats a step, median).",
        verdict,
        rows,
        condition=condition,
    )
