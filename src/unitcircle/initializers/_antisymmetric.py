"""The discretized antisymmetric flow: eigenvalues next to the unit circle, oscillating."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from unitcircle._array import Weight, namespace
from unitcircle.initializers._banded import identity
from unitcircle.initializers._certificate import Certificate, rounding
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class Antisymmetric(Initializer):
    r"""One Euler step of a damped antisymmetric flow.

    .. math:: W = I + ε (M - M^T - γ I), \qquad M_{ij} \sim N(0, s^2 / n), \qquad
              |λ|^2 = (1 - εγ)^2 + ε^2 ω^2

    ±iω are the eigenvalues of M − Mᵀ, and ``|ω|`` stays below about 2√2 s. This is the Jacobian at the origin of
    the AntisymmetricRNN, whose state update adds ε tanh((M − Mᵀ − γI) h + …) to h. W is normal.

    Parameters
    ----------
    step
        ε, positive.
    damping
        γ, not negative.
    std
        s, positive: √n times the standard deviation of an entry of M.

    References
    ----------
    B. Chang, M. Chen, E. Haber, E. H. Chi, "AntisymmetricRNN: a dynamical system view on recurrent neural networks",
    ICLR 2019, arXiv 1902.09689.

    Examples
    --------
    >>> W = Antisymmetric(step=0.1, damping=0.0).sample(3)
    >>> W.diagonal()
    array([1., 1., 1.])
    """

    name = "antisymmetric"

    step: float = 0.01
    damping: float = 0.01
    std: float = 1.0

    def __post_init__(self) -> None:
        number(self, "step", "must be positive", lambda step: step > 0)
        number(self, "damping", "must not be negative", lambda damping: damping >= 0)
        number(self, "std", "must be positive", lambda std: std > 0)

    def _weight(self, z: Any) -> Any:
        factor = self.step * self.std / sqrt(z.shape[-1])
        return (1 - self.step * self.damping) * identity(z) + factor * (z - namespace(z).matrix_transpose(z))

    def _measure(self, W: Weight) -> Certificate:
        diagonal = 1 - self.step * self.damping
        symmetric = (W.value + np.swapaxes(W.value, -1, -2)) / 2
        scale = max(float(np.abs(W.value).max()), abs(diagonal))
        residual = np.abs(symmetric - diagonal * np.eye(W.n)).max() / scale
        return Certificate(f"(W + Wᵀ)/2 = {diagonal:.6g} I", float(residual), rounding(W))
