"""The horizon of a weight: the lag, in steps, at which the norm of its powers has changed by a stated factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np

from unitcircle._arguments import one_of, real_number
from unitcircle._array import weight
from unitcircle.spectra._asymptotics import Asymptotics, asymptotics
from unitcircle.spectra._normality import is_normal
from unitcircle.spectra._power import log_norms
from unitcircle.spectra._scaled import ScaledMatrix

EPS = float(np.finfo(np.float64).eps)
# Every one of the first powers is tested.
EXACT = 64
# Then this number of evenly spaced powers per doubling of t (as a power of two).
SCAN = 3
# Doubling goes on while the rounding it gathers, n·eps·t, may hide no more than this part of the change looked for.
TRUST = 0.01
DIRECTIONS = ("down", "either", "up")


def horizon(W: Any, factor: float, /, *, direction: Literal["either", "down", "up"] = "either") -> Any:
    r"""Return the first lag t at which the norm of the powers has changed by a factor, relative to lag 0.

    .. math:: \min \{t ≥ 1 : ‖W^t‖_2 ≤ 1/f \text{ or } ‖W^t‖_2 ≥ f\}

    (to rounding, n·eps·t relative; ‖W⁰‖₂ = 1). Every t up to 64 is tested, then eight per doubling of t, and the first
    passage is located by bisection. The result T is always a passage: the condition holds for W^T and not for
    W^{T-1}. Beyond 64, a passage that reverses between two tested powers is not detected.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.
    factor
        The factor f of the norm, above 1.
    direction
        ``"down"``: only a decrease to 1/f counts; ``"up"``: only an increase to f.

    Returns
    -------
    float or array
        The lag, a whole number of steps; infinite where the norm never changes so much: within 0.01·min(1, log
        f)/(n·eps) steps, after which the norm is unknown because of rounding (eps of float64; where the powers of W are
        bounded to the rounding of its element type, eps of that). Shape ``(...)``.

    Raises
    ------
    ArgumentError
        The factor is not above 1; or ``W`` is not square, finite and not empty.
    UnknownNameError
        No such direction.

    Examples
    --------
    >>> horizon([[0.999999]], 1000.0)
    6907752.0
    >>> horizon([[0.0, -1.0], [1.0, 0.0]], 2.0)
    inf
    """
    w = weight(W)
    factor = real_number("factor", factor, "must be above 1 and finite", lambda factor: factor > 1.0)
    one_of("direction", direction, DIRECTIONS)
    level = math.log(factor)

    @cache
    def verdicts() -> list[Asymptotics]:
        # In the element type of W: it determines how much of a distance to the unit circle is rounding.
        return [result.verdict for result in np.ravel(np.asarray(asymptotics(W), dtype=object))]

    rows = w.value.reshape(-1, w.n, w.n)
    steps = [
        _horizon(value, level, direction, eps=w.eps, verdict=lambda k=k: verdicts()[k]) for k, value in enumerate(rows)
    ]
    return w.restore(np.reshape(steps, w.batch).astype(np.float64))


def _horizon(W: np.ndarray, level: float, direction: str, *, eps: float, verdict: Callable[[], Asymptotics]) -> float:
    n = len(W)

    def passed(t: int, log_norm: float) -> bool:
        change = {"either": abs(log_norm), "down": -log_norm, "up": log_norm}[direction]
        return change >= level - n * EPS * t

    for t, log_norm in enumerate(log_norms(W, EXACT)[1:].tolist(), start=1):
        if passed(t, log_norm):
            return float(t)
    bounded = verdict() in {Asymptotics.BOUNDED, Asymptotics.CONVERGES}
    if bounded and direction == "down":
        return math.inf
    if is_normal(W):
        return math.inf if bounded else _normal_horizon(W, level, direction)
    longest = TRUST * min(level, 1.0) / (n * (eps if bounded else EPS))
    here, t = ScaledMatrix.of(W), 1
    powers = [here]  # W^(2^k)
    while t < EXACT:
        here, t = here @ here, 2 * t
        powers.append(here)
    while t < longest:
        stride = len(powers) - 1 - SCAN
        for _ in range(2**SCAN):
            there = here @ powers[stride]
            if passed(t + 2**stride, there.log_norm()):
                return float(_first(here, t, powers[:stride], passed))
            here, t = there, t + 2**stride
        powers.append(here)
    return math.inf


def _first(here: ScaledMatrix, t: int, powers: list[ScaledMatrix], passed: Callable[[int, float], bool]) -> int:
    """Bisect: the norm has passed after all the powers together and one step more, and has not at t."""
    for k in range(len(powers) - 1, -1, -1):
        there = here @ powers[k]
        if not passed(t + 2**k, there.log_norm()):
            here, t = there, t + 2**k
    return t + 1


def _normal_horizon(W: np.ndarray, level: float, direction: str) -> float:
    radius = float(np.abs(np.linalg.eigvals(W)).max())
    rate = math.log(radius) if radius > 0.0 else -math.inf
    wrong = (rate > 0.0 and direction == "down") or (rate < 0.0 and direction == "up")
    return math.inf if rate == 0.0 or wrong else float(math.ceil(level / abs(rate) * (1.0 - EPS)))
