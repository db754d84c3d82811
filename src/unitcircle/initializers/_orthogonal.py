"""Orthogonal weights: uniform over the group, and Lasagne's recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unitcircle._array import Weight, namespace
from unitcircle.initializers._certificate import Certificate, isometry
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number
from unitcircle.initializers._reflectors import haar


@dataclass(frozen=True)
class _Isometry(Initializer):
    square = False
    field = "complex"

    gain: float = 1.0

    def __post_init__(self) -> None:
        number(self, "gain", "must be positive", lambda gain: gain > 0)

    def _measure(self, W: Weight) -> Certificate:
        return isometry(f"every singular value is {self.gain:g}", W, self.gain)


@dataclass(frozen=True)
class Orthogonal(_Isometry):
    r"""A uniformly random orthogonal weight: Haar measure, exactly.

    .. math:: W = g H_1 H_2 \cdots H_n D, \qquad W^T W = g^2 I

    H_k is the reflection of the k-th axis onto the direction of ``z[k:, k]``, and D is the sign that makes the
    diagonal of R positive, without which QR does not give Haar measure (at n = 4 the mean trace would be −0.83, not
    0). That is Stewart's method: no QR is computed, because the columns that QR would leave at step k are Gaussian
    again. It takes about half the time of QR, or less (``python -m benchmarks initializers``). The same ``z`` gives the
    same weight in every array library, up to rounding.

    A complex ``z`` gives a Haar unitary weight; a rectangular one orthonormal columns (tall) or rows (wide).
    The determinant is +1 or −1 with equal probability. Every |λ| is g. On a stack of gates this makes the *stack*
    orthogonal and each gate too small: initialize gate blocks.

    Parameters
    ----------
    gain
        g, positive.

    References
    ----------
    G. W. Stewart, "The efficient generation of random orthogonal matrices with an application to condition
    estimators", SIAM J. Numer. Anal. 17 (1980), theorem 3.3; F. Mezzadri, "How to generate random matrices from the
    classical compact groups", Notices AMS 54 (2007), section 5; A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks", arXiv 1312.6120 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> W = Orthogonal().sample(5, rng=0)
    >>> bool(np.allclose(W.T @ W, np.eye(5)))
    True
    """

    name = "orthogonal"
    aliases = ("haar",)

    def _weight(self, z: Any) -> Any:
        if z.shape[-2] >= z.shape[-1]:
            return haar(z, gain=self.gain)
        return namespace(z).matrix_transpose(haar(namespace(z).matrix_transpose(z), gain=self.gain))


@dataclass(frozen=True)
class OrthogonalSVD(_Isometry):
    r"""An orthogonal weight from the singular vectors of a Gaussian one: Lasagne's recipe.

    .. math:: z = U S V^T, \qquad W = g U \ (V^T \text{ if wide})

    Not uniform: LAPACK fixes the signs of U in its own way. At n = 4 the mean trace is −0.29 (Haar: 0) and 88 % of the
    determinants are negative; at n = 64 the mean trace is unbiased. It serves to reproduce results obtained with it,
    and takes about four times as long as QR. Another linear algebra library may give another W for the same z.

    Parameters
    ----------
    gain
        g, positive; Lasagne's ``gain='relu'`` is √2.

    References
    ----------
    S. Dieleman et al., "Lasagne: first release" (2015), ``lasagne.init.Orthogonal``.

    Examples
    --------
    >>> import numpy as np
    >>> W = OrthogonalSVD().sample(5, rng=0)
    >>> bool(np.allclose(W.T @ W, np.eye(5)))
    True
    """

    name = "orthogonal_svd"

    def _weight(self, z: Any) -> Any:
        U, _, Vh = namespace(z).linalg.svd(z, full_matrices=False)
        return self.gain * (U if z.shape[-2] >= z.shape[-1] else Vh)
