"""What eigenvalues of modulus 1 say of the norm, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from unitcircle.initializers import Gaussian, Orthogonal
from unitcircle.report import plot_power_norms
from unitcircle.spectra import power_norms, spectral_radius
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context

STEPS, DOUBLINGS = 64, 13
UNITS = 32
SIZES = (2, 3, 8, 33, 128)
EPS = float(np.finfo(float).eps)
SIXTH = np.array([[0.0, -1.0], [1.0, 1.0]])
"""Rotation by 60° in oblique axes: the companion matrix of a sixth root of one."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Judge what is said of eigenvalues of modulus 1."""
    rng = np.random.default_rng([context.draws, 5])
    yield constant_norm(Orthogonal().sample(UNITS, rng=rng))
    yield _real_eigenvalues(rng, context.pick(100, 1000))
    yield _converse(rng)
    yield _orthogonal_powers(np.random.default_rng([context.draws, 6]), context.pick(4, 20))


def constant_norm(orthogonal: np.ndarray, /) -> Claim:
    """Judge the statement as it is written, by matrices all of whose eigenvalues have modulus 1."""
    weights = {
        "orthogonal (Haar)": orthogonal,
        "rotation by 60°, oblique axes": SIXTH,
        "Jordan block of size 2, λ = 1": np.array([[1.0, 1.0], [0.0, 1.0]]),
        "Jordan block of size 3, λ = −1": -np.eye(3) + np.eye(3, k=1),
    }
    rows = []
    for name, W in weights.items():
        norms = np.exp(power_norms(W, STEPS))
        rows.append({
            "matrix": name, "largest ‖λ| − 1|": float(np.abs(np.abs(np.linalg.eigvals(W)) - 1).max()),
            "ρ": float(spectral_radius(W)), "smallest ‖Wᵗ‖": float(norms[1:].min()), "largest ‖Wᵗ‖": float(norms.max()),
            f"‖W⁶⁴‖ at t = {STEPS}": float(norms[-1]),
        })  # fmt: skip
    constant = [row["largest ‖Wᵗ‖"] / row["smallest ‖Wᵗ‖"] - 1 < STEPS * UNITS * EPS for row in rows]
    jordan = rows[2][f"‖W⁶⁴‖ at t = {STEPS}"]
    return Claim(
        "constant-norm",
        "All eigenvalues of modulus 1 and the norm",
        "Fⁿ maintains a constant norm if the absolute value of all eigenvalues is 1.",
        f"Of four matrices whose eigenvalues all have modulus 1, {sum(constant)} keep the norm: the orthogonal one. A "
        f"rotation seen in oblique axes oscillates between {rows[1]['smallest ‖Wᵗ‖']:.3f} and "
        f"{rows[1]['largest ‖Wᵗ‖']:.3f}; a Jordan block of 1 grows without bound, to {jordan:.1f} after {STEPS} "
        f"steps, one of size 3 to {rows[3][f'‖W⁶⁴‖ at t = {STEPS}']:.0f}. What keeps the norm is that W is normal "
        f"besides: orthogonal "
        "or unitary.",
        Verdict.HOLDS if all(constant) else Verdict.FAILS,
        rows,
        {"Norms of the powers of matrices all of whose eigenvalues have modulus 1": partial(_figure, weights)},
        {"jordan": jordan},
    )


def _figure(weights: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    ax = plot_power_norms(weights, steps=STEPS, ax=figure.subplots())
    ax.set_title("")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _real_eigenvalues(rng: np.random.Generator, draws: int) -> Claim:
    # An orthogonal matrix with real eigenvalues is symmetric: Q diag(±1) Qᵀ.
    Q = Orthogonal().sample(UNITS, rng=rng, size=draws)
    W = (Q * rng.choice([-1.0, 1.0], size=(draws, 1, UNITS))) @ Q.swapaxes(-1, -2)
    from_one = float(np.abs(np.abs(np.linalg.eigvalsh(W)) - 1).max())
    square = float(np.abs(W @ W - np.eye(UNITS)).max())
    return Claim(
        "real-eigenvalues",
        "Orthogonal with real eigenvalues",
        "With real numbers only, eigenvalues of modulus 1 are +1 or −1, which makes very boring matrices.",
        f"{draws} orthogonal matrices of size {UNITS} with real eigenvalues: all eigenvalues are +1 or −1 within "
        f"{from_one:.0e}, and W² is the identity within {square:.0e}. Every such W is a reflection: its powers are W "
        f"and I in turn.",
        Verdict.HOLDS if max(from_one, square) < 8 * UNITS * EPS else Verdict.FAILS,
    )


def gram_by_norms(W: np.ndarray, /) -> np.ndarray:
    """Return WᵀW from the norms of W x alone, by ⟨Wx, Wy⟩ = ½(‖W(x + y)‖² − ‖Wx‖² − ‖Wy‖²)."""
    identity = np.eye(len(W))
    single = np.sum((W @ identity) ** 2, axis=0)
    pairs = np.sum((W @ (identity[:, :, None] + identity[:, None, :]).reshape(len(W), -1)) ** 2, axis=0)
    return (pairs.reshape(len(W), -1) - single[:, None] - single) / 2


def _converse(rng: np.random.Generator) -> Claim:
    orthogonal, columns = Orthogonal().sample(UNITS, rng=rng), Gaussian().sample(UNITS, rng=rng)
    columns = columns / np.linalg.norm(columns, axis=0)
    kept, broken = (float(np.abs(gram_by_norms(W) - np.eye(UNITS)).max()) for W in (orthogonal, columns))
    return Claim(
        "converse",
        "A constant norm implies orthogonality",
        "Without inputs and nonlinearities, a constant norm would imply that the transition matrix is orthogonal.",
        "The norms of all states determine WᵀW, by ⟨Wx, Wy⟩ = ½(‖W(x + y)‖² − ‖Wx‖² − ‖Wy‖²). Computed from norms "
        f"alone, WᵀW of an orthogonal W is the identity within {kept:.0e}. It must be so for every state: a Gaussian "
        f"matrix with columns of norm 1 keeps the norm of the {UNITS} unit vectors, and is {broken:.2f} off.",
        Verdict.HOLDS if kept < 8 * UNITS * EPS and broken > 0.1 else Verdict.FAILS,
    )


def _orthogonal_powers(rng: np.random.Generator, draws: int) -> Claim:
    rows, last = [], 2**DOUBLINGS
    for n in SIZES:
        powers = weights = Orthogonal().sample(n, rng=rng, size=draws)
        moduli, drift, away = np.abs(np.linalg.eigvals(weights)), 0.0, 0.0
        for doubling in range(1, DOUBLINGS + 1):
            powers = powers @ powers
            # All singular values: no direction explodes or vanishes.
            away = float(np.abs(np.linalg.svd(powers, compute_uv=False) - 1).max())
            drift = max(drift, away / (2**doubling * n * EPS))
        rows.append({
            "n": n, "draws": draws, "largest ||λ| − 1|": float(np.abs(moduli - 1).max()),
            f"largest |σ − 1| of Wᵗ, t = {last}": away, "the same at any t, in t · n · eps": drift,
        })  # fmt: skip
    from_one = max(float(row["largest ||λ| − 1|"]) for row in rows)
    # Each of t products adds a rounding of some n eps to the singular values.
    holds = from_one < 8 * max(SIZES) * EPS and all(row["the same at any t, in t · n · eps"] < 8 for row in rows)
    return Claim(
        "orthogonal-powers",
        "Eigenvalues and powers of orthogonal matrices",
        "All eigenvalues of an orthogonal matrix have modulus 1, so that its powers neither explode nor vanish.",
        f"{draws} Haar matrices of each size, {', '.join(map(str, SIZES))}: all moduli are 1 within {from_one:.0e}, "
        f"and all singular values of Wᵗ, multiplied out for t = 2, 4, 8 to {last:,}, are 1 within the rounding of the "
        "products: (Wᵗ)ᵀWᵗ = I for every t.",
        Verdict.HOLDS if holds else Verdict.FAILS,
        rows,
    )
