"""Haar measure by QR, its signs fixed by the diagonal of R (Mezzadri 2007): nothing shared with Stewart's method."""

import numpy as np


def haar_by_qr(z):
    Q, R = np.linalg.qr(z)
    diagonal = np.diagonal(R, axis1=-2, axis2=-1)
    return Q * (diagonal / np.abs(diagonal))[..., None, :]


def haar_rotation_by_qr(z):
    """Haar on SO(n): the first column is turned over where the determinant is −1."""
    Q = haar_by_qr(z)
    Q[..., :, 0] *= np.linalg.det(Q).round()[..., None]
    return Q


def householder_qr(z):
    """Stewart's method as he wrote it, one reflection a column applied to the identity, for one real matrix."""
    n = len(z)
    Q = np.eye(n)
    signs = np.empty(n)
    for k in range(n):
        x = np.zeros(n)
        x[k:] = z[k:, k]
        beta = -np.copysign(np.linalg.norm(x), x[k])
        signs[k] = np.sign(beta)
        x[k] -= beta
        Q = Q @ (np.eye(n) - 2 * np.outer(x, x) / (x @ x))
    return Q * signs
