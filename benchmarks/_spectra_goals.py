"""Goals of the performance table: pseudospectra and spectral radii."""

from __future__ import annotations

import numpy as np

from benchmarks._goal import Goal, least_time
from unitcircle import initializers as uci
from unitcircle.ensembles import sample_radii
from unitcircle.spectra import pseudospectrum, spectral_radius


def grid(n: int = 200, side: int = 100, sample: int = 100) -> Goal:
    """A pseudospectrum against an SVD a point that uses the same symmetry: half of the points."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((n, n)) / n**0.5
    z = rng.uniform(-1, 1, sample) + 1j * rng.uniform(0, 1, sample)
    theirs, ours = least_time(
        1,
        lambda: [np.linalg.svd(w * np.eye(n) - W, compute_uv=False) for w in z],
        lambda: pseudospectrum(W, side),
    )
    product = least_time(2, lambda: W.astype(complex) @ np.ones((n, 2048), complex))[0]
    limit = f"three Lanczos steps, two triangular solves each, at GEMM rate {6 * product / 2 * side**2 / 4096:.2g} s"
    ratio = theirs * side**2 / 2 / sample / ours
    reason = "6 to 30 steps a point in single precision and 2 to 4 in double, at half of the rate of a product"
    return Goal(f"pseudospectrum, n = {n}, {side}², against symmetric SVDs", ratio, 15.0, "x", limit, reason)


def sparse_radius(n: int = 1000) -> Goal:
    W = uci.Sparse(density=0.1, radius=1.0).sample(n, rng=0)
    theirs, ours = least_time(1, lambda: np.linalg.eigvals(W.toarray()), lambda: spectral_radius(W, tol=1e-6))
    product = least_time(2, lambda: W @ np.ones(n))[0]
    limit = f"a product {1e3 * product:.2g} ms"
    return Goal(
        f"spectral_radius, sparse, n = {n}, error at most 1e-6, against LAPACK", theirs / ours, 5.0, "x", limit,
        "a Krylov space of a disc of eigenvalues needs some hundred products",
    )  # fmt: skip


def hundred_radii(n: int = 1000, draws: int = 100, timed: int = 4) -> Goal:
    """Radii of Gaussian weights, drawn one by one and by direct sampling in single precision; a few of them timed."""
    gaussian = uci.Gaussian(std=1.0)

    def loop() -> list[float]:
        rng = np.random.default_rng(0)
        return [abs(np.linalg.eigvals(rng.standard_normal((n, n)))).max() for _ in range(timed)]

    theirs, ours = least_time(1, loop, lambda: sample_radii(gaussian, n, timed, rng=0, dtype=np.float32, workers=1))
    A = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    product = least_time(2, lambda: A @ A)[0]
    limit = f"25/3 n³ additions and products at GEMM rate {25 / 3 * product * draws / 2:.2g} s"
    return Goal(
        f"{draws} spectral radii, n = {n}, sampled, against a loop of eigvals ({timed} of them timed)",
        theirs / ours, 2.0, "x", limit, "the QR iteration on a Hessenberg matrix, LAPACK's own, is most of either",
    )  # fmt: skip
