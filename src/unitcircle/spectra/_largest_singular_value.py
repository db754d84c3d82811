"""The largest singular value of a matrix by Golub, Kahan and Lanczos, without a factorization of it."""

from __future__ import annotations

import math

import numpy as np

from unitcircle.spectra._enclosure import EPS

LANCZOS = 96
"""Below this size LAPACK is as fast."""
CHECKS = (4, 6, 8, 11, 15, 20, 26, 34, 44, 56)
"""Steps after which the error is estimated; after the last one LAPACK is asked."""


def largest_singular_value(
    A: np.ndarray, start: np.ndarray | None = None, rng: np.random.Generator | None = None, /
) -> tuple[float, np.ndarray | None]:
    """Return σ₁ of a matrix with entries of order one, to n·eps of its type, and its right singular vector if found."""
    # A start near the vector saves steps. Half of it is random, so that no vector is without a part in it: a Ritz value
    # with a small residual is then the largest one, but for a probability that rounding hides.
    # G. Golub and W. Kahan, "Calculating the singular values and pseudo-inverse of a matrix", SIAM J. Numer. Anal. 2
    # (1965), with full reorthogonalization. A Ritz value is off by at most its residual (Parlett, "The Symmetric
    # Eigenvalue Problem", 1998, theorem 4.5.1).
    n = A.shape[-1]
    if n < LANCZOS:
        return float(np.linalg.norm(A, 2)), None
    random = (rng or np.random.default_rng(0)).standard_normal(n)
    v = random / np.linalg.norm(random)
    if start is not None:
        v = v + start / np.linalg.norm(start)
    v = v / np.linalg.norm(v)
    eps = EPS
    if A.dtype in {np.dtype(np.float32), np.dtype(np.complex64)}:
        v, eps = v.astype(A.dtype), float(np.finfo(np.float32).eps)
    most = CHECKS[-1]
    right = np.empty((most + 1, n), dtype=np.result_type(A, v))
    left = np.empty((most, len(A)), dtype=right.dtype)
    alphas, betas = np.zeros(most), np.zeros(most)
    right[0] = v
    for k in range(most):
        u = A @ right[k]
        u -= left[:k].T @ (left[:k].conj() @ u)
        alphas[k] = np.linalg.norm(u)
        if not alphas[k] > 0:  # zero, or not finite
            break
        left[k] = u / alphas[k]
        w = (left[k].conj() @ A).conj()
        for _ in range(2):
            w -= right[: k + 1].T @ (right[: k + 1].conj() @ w)
        betas[k] = np.linalg.norm(w)
        exhausted = betas[k] <= eps * alphas[: k + 1].max()
        if k + 1 in CHECKS or exhausted:
            small = np.diag(alphas[: k + 1]) + np.diag(betas[:k], 1)
            x, sigma, y = np.linalg.svd(small)
            # Not the square of the residual over the gap: a pair of singular values that are nearer to each other than
            # the residual looks like one, and the Ritz value lies between them.
            if exhausted or betas[k] * abs(x[k, 0]) <= n * eps / 2 * sigma[0]:
                return float(sigma[0]), y[0] @ right[: k + 1]
        right[k + 1] = w / betas[k]
    gram = A.conj().T @ A
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0)), None
