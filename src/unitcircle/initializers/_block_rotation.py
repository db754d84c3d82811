"""Plane rotations side by side: a normal weight whose eigenvalues are chosen one pair at a time."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from unitcircle._array import Weight, dtype_name, in_library_of, namespace, ndtr
from unitcircle.errors import ShapeError
from unitcircle.initializers._banded import banded
from unitcircle.initializers._certificate import Certificate, isometry
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import law_or_angles, number


@dataclass(frozen=True)
class BlockRotation(Initializer):
    r"""Rotations of the planes (1, 2), (3, 4), …: the exponential of a block-diagonal skew-symmetric matrix.

    .. math:: W = m \begin{pmatrix} \cos φ & -\sin φ \\ \sin φ & \cos φ \end{pmatrix} ⊕ \cdots,
              \qquad λ = m e^{\pm i φ}

    Computed in closed form, without a matrix exponential. If n is odd the last unit is a 1 × 1 block, the number m.

    Parameters
    ----------
    modulus
        m, positive.
    phases
        ``"uniform"``: φ ~ U(−π, π), as in Henaff et al.; ``"cayley"``: φ ~ U(0, π/2), as for scaled Cayley weights;
        a number: every φ (rad); a list of ⌊n/2⌋ numbers: the phases themselves.

    Raises
    ------
    ShapeError
        When called: the list does not have ⌊n/2⌋ phases.

    References
    ----------
    M. Henaff, A. Szlam, Y. LeCun, "Recurrent orthogonal networks and long-memory tasks", ICML 2016,
    arXiv 1602.06662; K. Helfrich, D. Willmott, Q. Ye, "Orthogonal recurrent neural networks with scaled
    Cayley transform", ICML 2018, arXiv 1707.09520.

    Examples
    --------
    >>> BlockRotation(phases=[0.0]).sample(3)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """

    name = "block_rotation"
    aliases = ("henaff",)

    modulus: float = 1.0
    phases: str | float | tuple[float, ...] = "uniform"

    def __post_init__(self) -> None:
        number(self, "modulus", "must be positive", lambda modulus: modulus > 0)
        law_or_angles(self, "phases", ("uniform", "cayley"))

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        n = z.shape[-1]
        phases = self._phases(z)
        # A last unit without a partner keeps its place: phase 0.
        alone = xp.zeros_like(z[..., 0, : n % 2]) + self.modulus
        cosines = self.modulus * xp.cos(phases)
        sines = self.modulus * xp.sin(phases)
        diagonal = xp.concat([_interleave(cosines, cosines), alone], axis=-1)
        beside = _interleave(sines, xp.zeros_like(sines))[..., : n - 1]
        return banded(z, {0: diagonal, 1: -beside, -1: beside})

    def _phases(self, z: Any) -> Any:
        """Return the phase (rad) of each of the ⌊n/2⌋ blocks."""
        pairs = z.shape[-1] // 2
        if isinstance(self.phases, str):
            uniform = ndtr(namespace(z).linalg.diagonal(z)[..., ::2][..., :pairs])
            return pi * (2 * uniform - 1) if self.phases == "uniform" else pi / 2 * uniform
        listed = self.phases if isinstance(self.phases, tuple) else (self.phases,) * pairs
        if len(listed) != pairs:
            n = z.shape[-1]
            raise ShapeError("z", f"must have 2 × {len(listed)} units, or one more, for these phases", f"n = {n}")
        phases = in_library_of(z, np.asarray(listed, dtype=dtype_name(z)))
        return namespace(z).broadcast_to(phases, (*z.shape[:-2], pairs))

    def _measure(self, W: Weight) -> Certificate:
        promise = f"2 × 2 blocks, WᵀW = {self.modulus**2:.6g} I"
        certificate = isometry(promise, W, self.modulus)
        block = np.arange(W.n) // 2
        outside = np.abs(W.value * (block[:, None] != block)).max() / self.modulus
        return Certificate(promise, max(certificate.residual, float(outside)), certificate.tolerance)


def _interleave(first: Any, second: Any) -> Any:
    """Return first_1, second_1, first_2, second_2, … along the last axis."""
    pairs = namespace(first).stack([first, second], axis=-1)
    return namespace(first).reshape(pairs, (*first.shape[:-1], 2 * first.shape[-1]))
