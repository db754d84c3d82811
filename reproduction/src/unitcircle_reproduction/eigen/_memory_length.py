"""Memory against the modulus: how long ago an input can be read off the state, in networks that are not trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.experiments.comparison import median_interval
from unitcircle.initializers import Eigen
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval

UNITS, BURN_IN, STEPS, LAGS, DRAWS = 32, 300, 3000, 64, 10
BELOW, BEYOND = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0), (1.0, 1.05, 1.1, 1.2)
HALF = 0.5
"""Share of the variance of an input from which on a state is said to hold it."""
NOISE = 1e-3
"""Standard deviation of what is added to every state: without it a linear network holds n inputs exactly."""
NETWORKS = {"linear, input × 1": ("linear", 1.0), "tanh, input × 0.1": ("tanh", 0.1), "tanh, input × 1": ("tanh", 1.0)}


def memory(W: np.ndarray, U: np.ndarray, activation: str, scale: float, rng: np.random.Generator, /) -> np.ndarray:
    """Return the share of the variance of x_(t−k) that a linear readout of h_t explains on new steps, k < LAGS."""
    x = rng.standard_normal(BURN_IN + STEPS)
    h, states = np.zeros(len(W)), np.empty((len(x), len(W)))
    for t, value in enumerate(x):
        h = W @ h + scale * value * U
        h = np.tanh(h) if activation == "tanh" else h
        states[t] = h
    spread = np.sqrt(np.square(states).mean())
    states = states[BURN_IN:] + NOISE * spread * rng.standard_normal((STEPS, len(W)))
    lagged = np.stack([x[BURN_IN - k : BURN_IN + STEPS - k] for k in range(LAGS)], 1)
    half = STEPS // 2
    readout = np.linalg.lstsq(states[:half], lagged[:half], rcond=None)[0]
    error = lagged[half:] - states[half:] @ readout
    return 1 - error.var(0) / lagged[half:].var(0)


def length(shares: np.ndarray, /) -> int:
    """Return the number of inputs, from the last one on, of which at least half of the variance is held."""
    lost = np.flatnonzero(shares < HALF)
    return int(lost[0]) if lost.size else len(shares)


def lengths(network: str, modulus: float, seed: int, /) -> list[int]:
    """Return the memory of draws of a network; a draw has the same angles and inputs at every modulus."""
    activation, scale = NETWORKS[network]
    found = []
    for draw in range(DRAWS):
        rng = np.random.default_rng([seed, draw])
        W = Eigen(modulus=modulus, angles="uniform").sample(UNITS, rng=rng)
        U = rng.standard_normal(UNITS) / UNITS**0.5
        found.append(length(memory(W, U, activation, scale, rng)))
    return found


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure the memory of every network at every modulus, and judge its slope below 1 and beyond."""
    rows, evidence = list[dict[str, Any]](), list[Evidence]()
    for network, (activation, _) in NETWORKS.items():
        parts = {"up to 1": BELOW} | ({"from 1 on": BEYOND} if activation == "tanh" else {})
        moduli = sorted({m for part in parts.values() for m in part})
        known = {m: np.array(lengths(network, m, context.draws)) for m in moduli}
        rows += [
            {
                "network": network,
                "modulus": m,
                "inputs held, median [95 %]": with_interval(
                    float(np.median(values)), median_interval(values.tolist(), CONFIDENCE)
                ),
            }
            for m, values in known.items()
        ]
        for words, part in parts.items():
            logs = np.log(np.maximum(np.array([known[m] for m in part]), 0.5))
            fits: Any = np.polyfit(np.log(part), logs, 1)[0]
            low, high = stats.ttest_1samp(fits, 0.0).confidence_interval(CONFIDENCE)
            sign = 1 if low > 0 else -1 if high < 0 else 0
            ends = f"{number(float(fits.mean()))} [{number(float(low))}, {number(float(high))}]"
            evidence.append(Evidence(f"{network}, moduli {words}: slope {ends}", sign))
    verdict, condition = follows(evidence)
    yield Claim(
        "memory-length",
        "Memory as a dose-response of the modulus",
        "The long-term dependency is improved by increasing the eigenvalues.",
        f"h ← φ(W h + U x), eigen weights with uniform angles, n = {UNITS}, white noise, nothing trained but a linear "
        f"readout of each x_(t−k) from h_t + noise of {NOISE:g} of its size; how many inputs are held (half of the "
        f"variance, on new steps), slope of its logarithm on log m, mean of {DRAWS} draws with 95 % t interval. "
        "As the source says where the slope is positive, the contrary where it is negative.",
        verdict,
        rows,
        condition=condition,
    )
