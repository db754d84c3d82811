"""Naive twins of the measurements of powers, resolvents and fields of values."""

import numpy as np


def power_norms(W, steps, norm=2):
    """log ‖Wᵗ‖ by one product per step in extended precision, scaled by its own norm."""
    wide = np.clongdouble if np.iscomplexobj(W) else np.longdouble
    narrow = np.complex128 if np.iscomplexobj(W) else np.float64
    P, log_scale, logs = np.eye(len(W), dtype=wide), np.longdouble(0), []
    for _ in range(steps + 1):
        size = np.linalg.norm(P.astype(narrow), norm)
        if size == 0.0:
            logs.append(-np.inf)
            continue
        logs.append(float(log_scale + np.log(np.longdouble(size))))
        log_scale += np.log(np.longdouble(size))
        P = np.asarray(W, dtype=wide) @ (P / np.longdouble(size))
    return np.array(logs)


def smallest_singular_values(W, grid):
    """σ_min(zI − W) by one SVD per point."""
    return np.array([np.linalg.svd(z * np.eye(len(W)) - W, compute_uv=False)[-1] for z in np.ravel(grid)])


def numerical_radius(W, angles=20_000):
    """max |x*Wx| by the largest eigenvalue of the Hermitian part at many angles: low by at most (π/angles)²/2."""
    turned = np.exp(2j * np.pi * np.arange(angles) / angles)[:, None, None] * W
    return np.linalg.eigvalsh((turned + turned.conj().swapaxes(1, 2)) / 2)[:, -1].max()


def kreiss_constant(W, radii=200, angles=720):
    """(|z| − 1)‖(zI − W)⁻¹‖ at its largest on a dense polar grid: a lower bound."""
    gap = np.logspace(-7, 2, radii)[:, None]
    z = (1 + gap) * np.exp(2j * np.pi * np.arange(angles) / angles)
    sigma = np.linalg.svd(z[..., None, None] * np.eye(len(W)) - W, compute_uv=False)[..., -1]
    return (gap / sigma).max()


def horizon(logs, factor):
    """The first t ≥ 1 at which a list of log-norms has changed by a factor."""
    return next((t for t, log in enumerate(logs) if t and abs(log) >= np.log(factor) - 1e-12 * t), np.inf)
