"""The Eigen initializer: rotations in all neighbouring planes, every eigenvalue of one modulus."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin
from typing import Any

import numpy as np

from unitcircle._array import Weight, dtype_name, in_library_of, namespace
from unitcircle.errors import ShapeError
from unitcircle.initializers._certificate import Certificate, isometry
from unitcircle.initializers._givens import givens_chain
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import law_or_angles, number


@dataclass(frozen=True)
class Eigen(Initializer):
    r"""Rotations in all n − 1 neighbouring planes, times one modulus.

    .. math:: W = m G_1 G_2 \cdots G_{n-1}, \qquad W^T W = m^2 I, \qquad |λ| = m, \qquad \det W = m^n

    G_i turns the plane (i, i + 1) by θ_i, [[cos θ, −sin θ], [sin θ, cos θ]]. W is zero below its first subdiagonal.
    It takes O(n²) operations, where n − 1 products would take O(n⁴).

    **What the source defines**: the n − 1 rotations in the planes (i, i + 1) and the common modulus 0.95 of all
    eigenvalues. **What it leaves open**: the angles. (We could read its abstract and introduction only.) Every choice
    gives |λ| = m; the angles decide the phases of the eigenvalues and how many units an eigenvector touches:

    =============  ===================================================  ==========================================
    angles         phases φ of the eigenvalues                          eigenvectors
    =============  ===================================================  ==========================================
    ``"haar"``     exactly those of a uniformly random rotation SO(n):  spread over most units
                   evenly over the circle, repelling each other
    ``"uniform"``  over the whole circle but independent (Poisson       on about 4 units, however large n is
                   gaps), crowded towards ±1
    θ ≤ π/2        within ``|φ| ≤ 2θ``: φ = 2 arcsin(sin θ cos k), k    spread
                   uniform on (0, π); n equal steps at θ = π/2
    =============  ===================================================  ==========================================

    ``"haar"`` is our default: it alone has no eigenvalue that prefers a phase and no mode confined to a few units,
    and differs from :class:`Orthogonal` in cost only, as far as the spectrum goes. In our experiments no choice of
    angles was best on every task, and a constant angle acts as a bandwidth: at θ = 0.1 the weight is close to I.

    Parameters
    ----------
    modulus
        m, positive: the modulus of every eigenvalue, and every singular value.
    angles
        ``"haar"``: cos θ_k is the first coordinate of a uniformly random unit vector in n − k + 1 dimensions, row k
        of ``z`` from its diagonal on; ``"uniform"``: θ_k uniform on the circle; a number: θ_k = θ (rad) for all k;
        a list of n − 1 numbers: the angles themselves.

    Raises
    ------
    ShapeError
        When called: the list does not have n − 1 angles.

    References
    ----------
    arXiv 2307.15679 (2023). The Hessenberg form of a Haar matrix: R. Killip, I. Nenciu, "Matrix models for circular
    ensembles", Int. Math. Res. Notices 2004.

    Examples
    --------
    >>> W = Eigen(modulus=0.95, angles=1.0).sample(100)
    >>> moduli = np.abs(np.linalg.eigvals(W))
    >>> bool(np.allclose(moduli, 0.95))
    True
    """

    name = "eigen"

    modulus: float = 0.95
    angles: str | float | tuple[float, ...] = "haar"

    def __post_init__(self) -> None:
        number(self, "modulus", "must be positive", lambda modulus: modulus > 0)
        law_or_angles(self, "angles", ("haar", "uniform"))

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        n = z.shape[-1]
        if isinstance(self.angles, tuple) and len(self.angles) != n - 1:
            raise ShapeError(
                "z", f"must be {len(self.angles) + 1} × {len(self.angles) + 1} for these angles", f"n = {n}"
            )
        if n == 1:
            return self.modulus * xp.ones_like(z)
        return givens_chain(*self._rotations(z), scale=self.modulus)

    def _rotations(self, z: Any) -> tuple[Any, Any]:
        """Return the cosines and sines ``(..., n − 1)`` of the rotations."""
        xp = namespace(z)
        first = xp.linalg.diagonal(z)[..., :-1]
        if self.angles == "haar":
            rest = xp.linalg.vector_norm(xp.triu(z, k=1), axis=-1)[..., :-1]
            return _normalize(first, rest)
        if self.angles == "uniform":
            return _normalize(first, xp.linalg.diagonal(z, offset=1))
        n = z.shape[-1]
        angles = self.angles if isinstance(self.angles, tuple) else (float(self.angles),) * (n - 1)
        dtype = dtype_name(z)
        cosines, sines = (np.asarray([turn(angle) for angle in angles], dtype=dtype) for turn in (cos, sin))
        shape = first.shape
        return (
            xp.broadcast_to(in_library_of(z, cosines), shape),
            xp.broadcast_to(in_library_of(z, sines), shape),
        )

    def _measure(self, W: Weight) -> Certificate:
        promise = f"WᵀW = {self.modulus**2:.6g} I, zero below the first subdiagonal"
        certificate = isometry(promise, W, self.modulus)
        outside = _largest_below(W.value) / self.modulus
        return Certificate(promise, max(certificate.residual, outside), certificate.tolerance)


def _largest_below(W: np.ndarray) -> float:
    """Return the largest modulus below the first subdiagonal of weights ``(..., n, n)``."""
    n, rows = W.shape[-1], 128
    W = np.abs(W) if np.iscomplexobj(W) else W
    largest = 0.0
    for start in range(0, n, rows):  # strips, of which only the square on the diagonal must be cut
        strip = W[..., start : start + rows, :]
        square = np.tril(strip[..., start : start + rows], -2)
        for part in (strip[..., : max(start - 1, 0)], square):
            largest = max(largest, float(part.max(initial=0.0)), -float(part.min(initial=0.0)))
        if start:  # the column before the square: row 0 of the strip is on the subdiagonal there
            largest = max(largest, float(np.abs(strip[..., 1:, start - 1]).max(initial=0.0)))
    return largest


def _normalize(x: Any, y: Any) -> tuple[Any, Any]:
    """Return (x, y) divided by its length: the cosine and sine of its angle."""
    xp = namespace(x)
    length = xp.sqrt(x * x + y * y)
    # Both are 0 with probability zero; no rotation then.
    x = xp.where(length == 0, xp.ones_like(x), x)
    length = xp.where(length == 0, xp.ones_like(x), length)
    return x / length, y / length
