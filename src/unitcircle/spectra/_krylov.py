"""An orthonormal basis of a Krylov space, grown vector by vector."""

from __future__ import annotations

import numpy as np

from unitcircle._arguments import whole_number
from unitcircle._array import to_numpy
from unitcircle.errors import NotFiniteError, ShapeError


class KrylovBasis:
    r"""The orthonormal basis of a Krylov space and its Hessenberg matrix, by Arnoldi's recurrence.

    .. math:: A Q_m = Q_{m+1} H, \quad Q_{m+1}^H Q_{m+1} = I, \quad
              \operatorname{span} Q_m = \operatorname{span}(v, A v, …, A^{m-1} v)

    The caller multiplies: ``basis.extend(A @ basis.last)`` adds one vector, so that A may be anything that has a
    product with a vector. The eigenvalues of the first m rows of H, the Ritz values, approach the outermost
    eigenvalues of A. Each vector is orthogonalized twice, which keeps ``Q^H Q = I`` to rounding.

    Parameters
    ----------
    start
        v ``(n,)``, not zero; its element type is that of the basis.
    steps
        Most vectors that :meth:`extend` takes.

    Raises
    ------
    ShapeError
        ``start`` is not one vector, or ``steps`` not positive; or :meth:`extend` gets a vector of another size, or
        is called more than ``steps`` times.
    NotFiniteError
        ``start`` is zero, or holds a NaN or an infinity.

    References
    ----------
    Saad (2011), Numerical Methods for Large Eigenvalue Problems, sections 6.2 and 6.3; Giraud, Langou and Rozložník
    (2005), The loss of orthogonality in the Gram-Schmidt orthogonalization process (twice is enough).

    Examples
    --------
    >>> A = np.diag([3.0, 2.0, 1.0])
    >>> basis = KrylovBasis(np.ones(3), steps=3)
    >>> while basis.extend(A @ basis.last):
    ...     pass
    >>> basis.m, np.sort(np.linalg.eigvals(basis.hessenberg[:-1]).real).round(12)
    (3, array([1., 2., 3.]))
    """

    def __init__(self, start: np.ndarray, steps: int) -> None:
        start = to_numpy(start, argument="start")
        start = start if start.dtype.kind in "fc" else start.astype(np.float64)
        steps = whole_number("steps", steps, error=ShapeError)
        if start.ndim != 1:
            raise ShapeError("start", "must be one vector (n,)", f"shape {start.shape}")
        norm = float(np.linalg.norm(start))
        if not 0 < norm < np.inf:
            raise NotFiniteError("start", "must be finite and not zero", f"a vector of norm {norm}")
        self.m = 0
        # By columns, for every product with the basis to read contiguous memory.
        self._basis = np.empty((len(start), steps + 1), start.dtype, order="F")
        self._hessenberg = np.zeros((steps + 1, steps), np.result_type(start.dtype, np.float64))
        self._basis[:, 0] = start / norm
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
        """The vector to multiply next ``(n,)``, a view."""
        return self._basis[:, self.m]

    def extend(self, w: np.ndarray, /) -> bool:
        """Add the vector that the operator makes of :attr:`last`.

        Parameters
        ----------
        w
            A @ last ``(n,)``.

        Returns
        -------
        bool
            Whether it leads out of the space; if not, the space is invariant, its Ritz values are eigenvalues of A, and
            nothing can be added to it.

        Raises
        ------
        ShapeError
            Another size than ``start``, or more than ``steps`` vectors.
        """
        w = to_numpy(w, argument="w")
        if w.shape != self.last.shape or self.m == self._hessenberg.shape[1]:
            rule = f"must be one of at most {self._hessenberg.shape[1]} vectors {self.last.shape}"
            raise ShapeError("w", rule, f"shape {w.shape} in step {self.m + 1}")
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
