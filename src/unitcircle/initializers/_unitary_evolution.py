"""The unitary weight of the uRNN: a product of structured factors."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

from unitcircle._array import Weight, complex_dtype, namespace, ndtr
from unitcircle.errors import ShapeError
from unitcircle.initializers._banded import identity
from unitcircle.initializers._certificate import Certificate, isometry
from unitcircle.initializers._initializer import Initializer

NUMBERS = 8
"""Rows of z that the product takes: three of phases, two complex vectors, one permutation."""


@dataclass(frozen=True)
class UnitaryEvolution(Initializer):
    r"""The weight of the uRNN: unitary, with O(n) parameters.

    .. math:: W = D_3 R_2 F^{-1} D_2 Π R_1 F D_1, \qquad W^H W = I

    D are diagonal with phases U(−π, π), R are reflections I − 2vvᴴ/‖v‖² with the real and imaginary parts of v
    uniform in an interval around 0 (whose length cancels), Π is a uniformly random permutation, F the unitary Fourier
    transform. The matrix is formed in O(n² log n). A uniformly random permutation is drawn for each weight of a
    batch; the source draws one and fixes it.

    The first eight rows of a real ``z`` are used, hence n ≥ 8; the result is complex (complex64 for half precision).

    Raises
    ------
    ShapeError
        When called: n < 8.

    References
    ----------
    M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016, arXiv 1511.06464.

    Examples
    --------
    >>> W = UnitaryEvolution().sample(8, rng=0)
    >>> UnitaryEvolution().certificate(W).holds
    True
    """

    name = "unitary_evolution"
    aliases = ("urnn",)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        n = z.shape[-1]
        if n < NUMBERS:
            raise ShapeError("z", f"must have at least {NUMBERS} units for {self.name}", f"n = {n}")
        dtype = complex_dtype(xp, z.dtype)
        uniform = 2 * ndtr(z[..., : NUMBERS - 1, :]) - 1
        rows = [uniform[..., row, :] for row in range(NUMBERS - 1)]
        turns = [_complex(xp, xp.cos(pi * u), xp.sin(pi * u), dtype)[..., :, None] for u in rows[:3]]
        vectors = [_complex(xp, rows[k], rows[k + 1], dtype) for k in (3, 5)]
        order = xp.broadcast_to(xp.argsort(z[..., NUMBERS - 1, :], axis=-1)[..., :, None], z.shape)
        product = turns[0] * xp.astype(identity(z), dtype)
        product = _reflect(xp, vectors[0], xp.fft.fft(product, axis=-2, norm="ortho"))
        product = turns[1] * xp.take_along_axis(product, order, axis=-2)
        return turns[2] * _reflect(xp, vectors[1], xp.fft.ifft(product, axis=-2, norm="ortho"))

    def _measure(self, W: Weight) -> Certificate:
        return isometry("WᴴW = I", W, 1.0)


def _complex(xp: Any, real: Any, imaginary: Any, dtype: Any) -> Any:
    return xp.astype(real, dtype) + 1j * xp.astype(imaginary, dtype)


def _reflect(xp: Any, v: Any, W: Any) -> Any:
    """Return ``(I − 2vvᴴ/‖v‖²) W``."""
    v = v / xp.astype(xp.linalg.vector_norm(v, axis=-1, keepdims=True), v.dtype)
    return W - 2 * v[..., :, None] * (xp.conj(v)[..., None, :] @ W)
