"""The spectral radius of sparse reservoirs: LAPACK's full spectrum, the usual ARPACK call, and spectral_radius."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackNoConvergence, eigs

from benchmarks._row import Row
from unitcircle.spectra import spectral_radius

DENSITY = 0.1
WRONG = 1e-5
TOLERANCE = 1e-6


def lapack(W: sparse.csr_array) -> float:
    return float(np.abs(np.linalg.eigvals(W.toarray())).max())


def arpack(W: sparse.csr_array) -> float:
    """The call that reservoirpy makes (NaN where it does not converge; reservoirpy then draws another matrix)."""
    n = W.shape[0]
    try:
        values = eigs(W, k=1, which="LM", v0=np.ones(n), maxiter=20 * n, return_eigenvectors=False)
    except ArpackNoConvergence:
        return float("nan")
    return float(np.abs(values).max())


def ours(W: sparse.csr_array) -> float:
    result = spectral_radius(W, tol=TOLERANCE)
    assert result.converged, result
    return float(result)


def rows(counts: tuple[tuple[int, int], ...] = ((500, 200), (1000, 200))) -> Iterator[Row]:
    for n, count in counts:
        yield from reservoirs(n, count)


def reservoirs(n: int, count: int) -> Iterator[Row]:
    methods = (lapack, arpack, ours)
    seconds, radii = np.zeros((count, 3)), np.zeros((count, 3))
    for seed in range(count):
        rng = np.random.default_rng(seed)
        W = sparse.random_array((n, n), density=DENSITY, rng=rng, data_sampler=rng.standard_normal, format="csr")
        for index, method in enumerate(methods):
            start = perf_counter()
            radii[seed, index] = method(W)
            seconds[seed, index] = perf_counter() - start
    errors = np.abs(radii / radii[:, :1] - 1)
    wrong = [int((~(errors[:, index] <= WRONG)).sum()) for index in range(3)]
    assert wrong[2] == 0, errors[:, 2].max()
    total = seconds.sum(axis=0)
    claim = f"spectral radius of {count} reservoirs, n = {n}, density {DENSITY:g}"
    method = f"spectral_radius: {wrong[2]} wrong by more than {WRONG:g}, worst {errors[:, 2].max():.1e}"
    yield Row(
        claim=f"{claim}, against the full spectrum",
        baseline="LAPACK's eigenvalues",
        ours=method,
        baseline_s=total[0],
        ours_s=total[2],
        # At half the size LAPACK does an eighth of the work, and a Krylov method a third.
        at_least=5.0 if n >= 1000 else 2.0,
    )
    yield Row(
        claim=f"{claim}, against reservoirpy's call",
        baseline=f"eigs(k=1, v0=ones): {wrong[1]} wrong, worst {np.nanmax(errors[:, 1]):.1e}",
        ours=method,
        baseline_s=total[1],
        ours_s=total[2],
        at_least=0.5,
    )
