"""Measurements of one weight against the direct way to compute the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from benchmarks._row import Row
from unitcircle.spectra import power_norms, pseudospectrum

POINTS = 500
STEPS = 300


def seconds(function) -> tuple[float, object]:
    start = perf_counter()
    result = function()
    return perf_counter() - start, result


def rows() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    yield resolvent(rng)
    n = 256
    gaussian = rng.standard_normal((n, n)) / n**0.5
    orthogonal = np.linalg.qr(rng.standard_normal((n, n)))[0]
    yield powers("a Gaussian weight", gaussian, 10_000, 10.0)
    # No eigenvalue decays, and rounding to float32 makes it non-normal: every power needs a product.
    yield powers("an orthogonal float32 weight", orthogonal.astype(np.float32).astype(np.float64), 1_000, 1.0)


def resolvent(rng: np.random.Generator) -> Row:
    n, side = 200, 100
    W = rng.standard_normal((n, n)) / n**0.5
    ours_s, result = seconds(lambda: pseudospectrum(W, side))
    sample = rng.choice(side**2, POINTS, replace=False)
    z = result.grid.ravel()[sample]
    baseline_s, expected = seconds(lambda: [np.linalg.svd(w * np.eye(n) - W, compute_uv=False)[-1] for w in z])
    worst = np.abs(result.smallest_singular_values.ravel()[sample] - expected).max()
    assert worst <= result.tolerance, worst
    return Row(
        claim=f"pseudospectrum, n = {n}, {side} × {side} points",
        baseline=f"an SVD per point ({POINTS} points measured, scaled to {side**2})",
        ours=f"Schur form and Lanczos, equal to {worst:.0e} at the points measured",
        baseline_s=baseline_s * side**2 / POINTS,
        ours_s=ours_s,
        at_least=10.0,
    )


def powers(name: str, W: np.ndarray, steps: int, at_least: float) -> Row:
    def product_per_step() -> np.ndarray:
        P, log, logs = np.eye(len(W)), 0.0, [0.0]
        for _ in range(STEPS):
            P = W @ P
            size = np.linalg.norm(P, 2)
            P /= size
            log += np.log(size)
            logs.append(log)
        return np.array(logs)

    baseline_s, expected = seconds(product_per_step)
    ours_s, logs = seconds(lambda: power_norms(W, steps))
    worst = np.abs(logs[: STEPS + 1] - expected).max()
    assert worst <= 1e3 * len(W) * np.finfo(float).eps, worst
    return Row(
        claim=f"log ‖Wᵗ‖₂ of {name}, n = {len(W)}, t = 0..{steps}",
        baseline=f"a product and a spectral norm per step ({STEPS} steps measured, scaled to {steps})",
        ours=f"power_norms, equal to {worst:.0e} on those steps",
        baseline_s=baseline_s * steps / STEPS,
        ours_s=ours_s,
        at_least=at_least,
    )
