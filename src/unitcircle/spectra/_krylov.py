"""An orthonormal basis of a Krylov space, grown vector by vector."""

from __future__ import annotations

import numpy as np


class KrylovBasis:
    r"""Orthonormal vectors Q and a Hessenberg matrix H of Arnoldi's recurrence.

    .. math:: A Q_m = Q_{m+1} H, \quad Q_{m+1}^H Q_{m+1} = I

    Parameters
    ----------
    start
        ``(n,)``, not zero; its element type is that of the basis.
    steps
        Most vectors that :meth:`extend` takes.

    References
    ----------
    Saad (2011), Numerical Methods for Large Eigenvalue Problems, section 6.2.
    """

    def __init__(self, start: np.ndarray, steps: int) -> None:
        self.m = 0
        # By columns, for every product with the basis to read contiguous memory.
        self._basis = np.empty((len(start), steps + 1), start.dtype, order="F")
        self._hessenberg = np.zeros((steps + 1, steps), np.result_type(start.dtype, np.float64))
        self._basis[:, 0] = start / np.linalg.norm(start)
        self._rounding = len(start) * float(np.finfo(start.dtype).eps)

    @property
    def vectors(self) -> np.ndarray:
        """Q_m ``(n, m)``, a view."""
        return self._basis[:, : self.m]

    @property
    def hessenberg(self) -> np.ndarray:
        """H ``(m + 1, m)``, a view."""
        return self._hessenberg[: self.m + 1, : self.m]

    @property
    def last(self) -> np.ndarray:
        """The vector to multiply next."""
        return self._basis[:, self.m]

    def extend(self, w: np.ndarray, /) -> bool:
        """Take the product of the operator with :attr:`last`.

        Parameters
        ----------
        w
            ``(n,)``.

        Returns
        -------
        bool
            Whether it leads out of the space; if not, the space is invariant and its eigenvalues are the operator's.
        """
        size = float(np.linalg.norm(w))
        self.m += 1
        for _ in range(2):  # classical Gram-Schmidt loses no orthogonality when it is done twice
            h = self.vectors.conj().T @ w
            w = w - self.vectors @ h
            self._hessenberg[: self.m, self.m - 1] += h
        beta = float(np.linalg.norm(w))
        self._hessenberg[self.m, self.m - 1] = beta
        if beta <= self._rounding * size:
            return False
        self._basis[:, self.m] = w / beta
        return True
