"""Weights of low rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._array import Weight, namespace
from unitcircle.errors import ShapeError
from unitcircle.initializers._certificate import Certificate, rounding
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import integer, number


@dataclass(frozen=True)
class LowRank(Initializer):
    r"""A sum of a few random outer products, the connectivity of low-rank network models.

    .. math:: W = g M N^T / n, \qquad M, N \in \mathbb R^{n \times r}, \qquad M_{ij}, N_{ij} \sim N(0, 1)

    ‖W‖_F is about g√r and the r non-zero eigenvalues, those of g NᵀM/n, are of the order g √(r/n): the weight is far
    from normal. M is columns 1 … r of z and N columns r + 1 … 2r, hence n ≥ 2r.

    Parameters
    ----------
    rank
        r, at least 1.
    gain
        g, positive.

    Raises
    ------
    ShapeError
        When called: n < 2r.

    References
    ----------
    F. Mastrogiuseppe, S. Ostojic, "Linking connectivity, dynamics, and computations in low-rank recurrent neural
    networks", Neuron 99 (2018).

    Examples
    --------
    >>> int(np.linalg.matrix_rank(LowRank(rank=2).sample(10, rng=0)))
    2
    """

    name = "low_rank"

    rank: int = 1
    gain: float = 1.0

    def __post_init__(self) -> None:
        integer(self, "rank", least=1)
        number(self, "gain", "must be positive", lambda gain: gain > 0)

    def _weight(self, z: Any) -> Any:
        n = z.shape[-1]
        if n < 2 * self.rank:
            raise ShapeError("z", f"must have at least 2 × {self.rank} units for rank {self.rank}", f"n = {n}")
        M, N = z[..., : self.rank], z[..., self.rank : 2 * self.rank]
        return (self.gain / n) * (M @ namespace(z).matrix_transpose(N))

    def _measure(self, W: Weight) -> Certificate:
        promise = f"rank {self.rank}"
        singular = np.linalg.svd(W.value, compute_uv=False)
        if W.n <= self.rank or not np.all(singular[..., self.rank - 1]):
            return Certificate(promise, np.inf, rounding(W))
        residual = (singular[..., self.rank] / singular[..., 0]).max()
        return Certificate(promise, float(residual), rounding(W))
