"""Singular values of long products of matrices, however many decades they span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.linalg import lapack

_RANGE = 600.0
"""Nats between the largest and smallest singular value that one block of doubles may span."""


def log_singular_values_of(matrices: Iterable[np.ndarray], basis: np.ndarray, /) -> np.ndarray:
    """Return the log singular values ``(k,)`` of ``J_T ⋯ J_1 B``, descending, B ``(N, k)`` of orthonormal columns."""
    triangles = _triangles(matrices, basis)
    # QR of the transposed factors, twice, as in the QR algorithm: the diagonal comes out by size.
    for _ in range(2):
        triangles = _triangles([R.T for R in triangles[::-1]], np.eye(basis.shape[1]))
    return log_singular_values(np.stack(triangles))


def _triangles(matrices: Iterable[np.ndarray], basis: np.ndarray) -> Sequence[np.ndarray]:
    """Return the triangular factors R_t of ``J_t Q_{t-1} = Q_t R_t``."""
    found: list[np.ndarray] = []
    for matrix in matrices:
        basis, triangle = np.linalg.qr(matrix @ basis)
        found.append(triangle)
    return found


def log_singular_values(triangles: np.ndarray, /) -> np.ndarray:
    """Return the log singular values of ``R_m ⋯ R_1``, upper triangular factors ``(m, N, N)`` of a graded product."""
    n = triangles.shape[-1]
    scale, rows = np.zeros(n), np.eye(n)
    for R in triangles:
        # Row i of the product so far is e^scale_i rows_i; the scale of a zero row is −inf.
        top = scale[np.isfinite(scale)].max(initial=-np.inf)
        if np.isneginf(top):
            break
        with np.errstate(invalid="ignore", over="ignore"):
            weights = R * np.exp(np.clip(scale[None, :] - scale[:, None], None, 700.0))
        lost = np.isneginf(scale)
        weights[:, lost] = 0.0
        weights[lost] = R[lost] * np.where(lost, 0.0, np.exp(np.where(lost, 0.0, scale - top)))
        rows = weights @ rows
        scale = np.where(lost, top, scale)
        lengths = np.linalg.norm(rows, axis=1)
        with np.errstate(divide="ignore"):
            scale = scale + np.log(lengths)
        rows /= np.where(lengths > 0, lengths, 1.0)[:, None]
    order = np.argsort(-scale, kind="stable")
    blocks = [_block_singular_values(scale[block], rows[np.ix_(block, block)]) for block in _split(scale, order)]
    return -np.sort(-np.concatenate(blocks))


def _split(scale: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Cut graded rows at the widest gaps until no block spans more nats than the exponents of doubles allow."""
    finite = order[np.isfinite(scale[order])]
    lost = order[finite.size :]
    wide, narrow = [finite] if finite.size else [], [np.array([j]) for j in lost]
    while wide:
        block = wide.pop()
        if scale[block[0]] - scale[block[-1]] <= _RANGE:
            narrow.append(block)
        else:
            cut = int(np.argmax(-np.diff(scale[block]))) + 1
            wide += [block[:cut], block[cut:]]
    return narrow


def _block_singular_values(scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if np.isneginf(scale[0]):
        return scale
    # dgejsv is accurate for columns of different scale (joba "C"): those of the transpose.
    columns = np.asfortranarray((np.exp(scale - scale[0])[:, None] * rows).T)
    values, _, _, work, _, info = lapack.dgejsv(  # pyright: ignore[reportAttributeAccessIssue]
        columns, joba=0, jobu=3, jobv=3, jobr=0, jobt=1, jobp=1
    )
    with np.errstate(divide="ignore"):
        logs = np.log(values * (work[0] / work[1])) + scale[0]
    return np.where(info == 0, logs, np.nan)
