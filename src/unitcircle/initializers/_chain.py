"""A feed-forward chain as a recurrent weight: all of its norm is departure from normality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._array import Weight
from unitcircle.initializers._banded import banded
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class Chain(Initializer):
    r"""A delay line: every unit passes its activity to its neighbour.

    .. math:: W_{i,i+1} = g, \qquad W_{i+1,i} = f, \qquad W_{ij} = 0 \text{ otherwise}

    Without feedback every eigenvalue is 0, yet ‖Wᵗ‖ = gᵗ for t < n: the spectral radius does not determine how
    long a signal persists. With feedback the eigenvalues are 2 √(gf) cos(kπ/(n + 1)), k = 1 … n.

    Parameters
    ----------
    gain
        g, positive; the source uses 1.02, and 0.99 with feedback.
    feedback
        f, not negative; the source uses 0.04.

    References
    ----------
    A. E. Orhan, X. Pitkow, "Improved memory in recurrent neural networks with sequential non-normal dynamics",
    ICLR 2020, arXiv 1905.13715.

    Examples
    --------
    >>> Chain(gain=2).sample(3)
    array([[0., 2., 0.],
           [0., 0., 2.],
           [0., 0., 0.]])
    """

    name = "chain"

    gain: float = 1.02
    feedback: float = 0.0

    def __post_init__(self) -> None:
        number(self, "gain", "must be positive", lambda gain: gain > 0)
        number(self, "feedback", "must not be negative", lambda feedback: feedback >= 0)

    def _weight(self, z: Any) -> Any:
        return banded(z, {1: self.gain, -1: self.feedback} if self.feedback else {1: self.gain})

    def _measure(self, W: Weight) -> Certificate:
        chain = self.gain * np.eye(W.n, k=1) + self.feedback * np.eye(W.n, k=-1)
        radius = "ρ = 0" if not self.feedback else f"W[i+1, i] = {self.feedback:g}"
        distance = np.abs(W.value - chain).max() / max(self.gain, self.feedback)
        return Certificate(f"W[i, i+1] = {self.gain:g}, {radius}, all else 0", float(distance), W.eps)
