"""The structure of a matrix that is nilpotent up to rounding."""

from __future__ import annotations

import numpy as np

CLEAR = 10.0
"""A quantity is clear of zero when it exceeds its error bound by this factor; between the two it is ambiguous."""


def nilpotency_index(N: np.ndarray, /, *, tolerance: float) -> int:
    """Return the least k with N^k = 0: the size of the largest Jordan block.

    Null spaces are split off by singular value decompositions until nothing is left; each takes one off every
    Jordan block.

    Parameters
    ----------
    N
        ``(m, m)``.
    tolerance
        Singular values up to this are zero.

    Returns
    -------
    int
        The index; 0 where N is not nilpotent, or where a singular value is neither zero nor clear of it.

    References
    ----------
    Golub and Wilkinson (1976), Ill-conditioned eigensystems and the computation of the Jordan canonical form,
    SIAM Review 18(4), section 10.

    Examples
    --------
    >>> nilpotency_index(np.eye(4, k=2), tolerance=1e-15)
    2
    """
    above = np.abs(np.diagonal(N, 1))
    if np.abs(np.tril(N)).max() <= tolerance and (above > CLEAR * tolerance).all():
        return len(N)  # one Jordan block, as it is written down: no need for n decompositions
    index, rest = 0, N
    while len(rest):
        _, singular, Vh = np.linalg.svd(rest)
        rank = int(np.sum(singular > tolerance))
        if rank == len(rest) or (rank and singular[rank - 1] < CLEAR * tolerance):
            return 0
        if rank:  # the null vectors are known only to tolerance / singular[rank - 1]
            tolerance *= float(singular[0] / singular[rank - 1])
        index += 1
        rest = Vh[:rank] @ rest @ Vh[:rank].conj().T
    return index
