"""The asymptotics of a small integer matrix, from its powers in exact arithmetic."""

from __future__ import annotations

__all__ = ["integer_asymptotics"]

import math

import numpy as np

from unitcircle.spectra import Asymptotics

ORBIT = 40
"""Powers tried for a repetition: a bounded integer matrix of 4 units has eigenvalues of order at most 12."""


def integer_asymptotics(W: np.ndarray) -> Asymptotics:
    """Return the verdict on a matrix of up to 4 units with entries of up to 3.

    Bounded powers of integers must repeat. Unbounded ones grow at most like t³ or, an eigenvalue of modulus at least
    1.18 being there (no algebraic integer of degree 4 comes closer to the circle), like 1.18ᵗ.
    """
    exact = W.astype(object)
    powers = [exact]
    for _ in range(ORBIT):
        powers.append(powers[-1] @ exact)
        repeated = [k for k, P in enumerate(powers[:-1]) if np.array_equal(P, powers[-1])]
        if repeated:
            period = len(powers) - 1 - repeated[-1]
            if period > 1:
                return Asymptotics.BOUNDED
            return Asymptotics.CONVERGES if powers[-1].any() else Asymptotics.VANISHES
    for _ in range(9):
        exact = exact @ exact  # W^512: 512³ times a constant, or more than 10³⁶
    largest = max(abs(int(x)) for x in exact.ravel())
    return Asymptotics.EXPLODES if math.log10(largest) > 24 else Asymptotics.GROWS
