"""Sentences that describe what a weight does to a signal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unitcircle._array import one_weight, to_numpy
from unitcircle.spectra import Asymptotics, asymptotics, horizon, power_norms

# A change between ×1/2 and ×2 over the steps shown counts as no change; an order of magnitude is 2.3 nats.
ISOMETRIC = math.log(2.0)


def factor(nats: float) -> str:
    """Return a change of log-norm as the text of a factor: ``"×1.3"``, ``"×2.1e-09"``, ``"×10^-2186"``.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> factor(-20.0)
    '×2.06e-09'
    """
    if nats == -math.inf:
        return "×0"
    if abs(nats) > math.log(1e99):
        return f"×10^{nats / math.log(10):.0f}"
    return f"×{math.exp(nats):.3g}"


def describe(W: Any, /, *, steps: int = 64) -> str:
    """Describe what a weight does to a signal that is fed back through it.

    Parameters
    ----------
    W
        Weight ``(n, n)`` of any array library.
    steps
        The length T of interest (steps).

    Returns
    -------
    str
        A few sentences: the behaviour of Wᵗ for large t, the factor after T steps, and any transient growth.

    Examples
    --------
    >>> print(describe(0.5 * np.eye(2), steps=8))
    Vanishes: after 8 steps the largest amplification is ×0.00391; below 1/1000 from step 10 on.
    """
    one_weight(W)
    return words_for(W, np.asarray(power_norms(to_numpy(W), steps=steps)), asymptotics(W).verdict)


def words_for(W: Any, logs: np.ndarray, verdict: Asymptotics, /) -> str:
    """Return the sentences for log ‖Wᵗ‖₂, t = 0..T, and the verdict on large t."""
    steps = len(logs) - 1
    end, peak = float(logs[-1]), int(np.nanargmax(logs))
    change = factor(end)
    over = f"after {steps} steps the largest amplification is {change}"
    match verdict:
        case Asymptotics.VANISHES:
            steps_left = horizon(W, 1000.0, direction="down")
            if -ISOMETRIC < end < ISOMETRIC:
                text = f"Decays slowly: {over}; falls below 1/1000 at step {steps_left:,.0f}."
            elif end <= -ISOMETRIC:
                text = f"Vanishes: {over}; below 1/1000 from step {steps_left:,.0f} on."
            else:
                text = f"Vanishes eventually, but {over}; below 1/1000 from step {steps_left:,.0f} on."
        case Asymptotics.CONVERGES:
            text = f"Converges to a limit that is not zero: {over}."
        case Asymptotics.BOUNDED:
            text = f"Stays bounded: {over}."
        case Asymptotics.GROWS:
            text = f"Grows polynomially: {over}."
        case Asymptotics.EXPLODES:
            reached = horizon(W, 1000.0, direction="up")
            text = f"Explodes: {over}; above ×1000 from step {reached:,.0f} on."
        case _:
            text = f"The behaviour for large t is within rounding error; {over}."
    if logs[peak] > max(ISOMETRIC, end + ISOMETRIC):
        text += f" On the way it grows to {factor(float(logs[peak]))} at step {peak} (non-normal)."
    return text
