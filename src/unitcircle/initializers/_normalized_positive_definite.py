"""The np-RNN weight: positive definite, its largest eigenvalue 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._array import Weight, namespace
from unitcircle.initializers._banded import identity
from unitcircle.initializers._certificate import Certificate, rounding
from unitcircle.initializers._initializer import Initializer


@dataclass(frozen=True)
class NormalizedPositiveDefinite(Initializer):
    r"""A symmetric positive definite weight whose largest eigenvalue is 1, the np-RNN initialization.

    .. math:: W = A / λ_{\max}(A), \qquad A = I + R^T R / n, \qquad R_{ij} \sim N(0, 1)

    All eigenvalues are real, in about [0.2, 1] for large n: one direction keeps its norm, all others decay.

    References
    ----------
    S. S. Talathi, A. Vartak, "Improving performance of recurrent neural network with ReLU nonlinearity",
    arXiv 1511.03771 (2015).

    Examples
    --------
    >>> W = NormalizedPositiveDefinite().sample(50, rng=0)
    >>> round(float(np.linalg.eigvalsh(W).max()), 12)
    1.0
    """

    name = "normalized_positive_definite"
    aliases = ("np_rnn",)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        A = identity(z) + xp.matrix_transpose(z) @ z / z.shape[-1]
        return A / xp.linalg.eigvalsh(A)[..., -1:, None]

    def _measure(self, W: Weight) -> Certificate:
        asymmetry = np.abs(W.value - np.swapaxes(W.value, -1, -2)).max()
        eigenvalues = np.linalg.eigvalsh(W.value)
        excess = np.abs(eigenvalues[..., -1] - 1).max()
        residual = max(float(asymmetry), float(excess), float(-eigenvalues.min()))
        return Certificate("W = Wᵀ, positive definite, λ_max = 1", residual, rounding(W))
