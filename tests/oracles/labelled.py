"""Families of matrices whose asymptotics are known by construction, and dense similarity transforms of them."""

from __future__ import annotations

__all__ = ["FAMILIES", "dense_similarity"]

from collections.abc import Callable

import numpy as np
from scipy.linalg import block_diag, circulant, companion, dft, expm, hadamard, pascal
from tests.cases import haar_orthogonal, jordan, rotation

from unitcircle.spectra import Asymptotics

VANISHES, CONVERGES, BOUNDED, GROWS, EXPLODES, _ = Asymptotics
Draw = Callable[[np.random.Generator], np.ndarray]


def contraction(rng: np.random.Generator) -> np.ndarray:
    """Return a matrix of 2 to 14 units with ‖W‖ = 0.9."""
    n = int(rng.integers(2, 15))
    W = rng.uniform(-1, 1, (n, n))
    return 0.9 * W / np.linalg.norm(W, 2)


def beside(block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a block coupled into a contraction: the spectrum is the union of the two."""
    rest = contraction(rng)
    W = block_diag(block, rest)
    W[: len(block), len(block) :] = rng.uniform(-1, 1, (len(block), len(rest)))
    return W


def stochastic(rng: np.random.Generator, n: int) -> np.ndarray:
    P = rng.exponential(size=(n, n))
    return P / P.sum(axis=1, keepdims=True)


def skew(rng: np.random.Generator, n: int) -> np.ndarray:
    A = rng.standard_normal((n, n))
    return A - A.T


def polynomial(*roots: complex) -> np.ndarray:
    """Return the companion matrix with the given eigenvalues: one Jordan block for each."""
    return companion(np.poly(roots).real)


def turns(*fractions: float) -> list[complex]:
    """Return e^{±2πi f} for each fraction f of a turn."""
    return [np.exp(2j * np.pi * s * f) for f in fractions for s in (1, -1)]


def cyclic(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a stochastic matrix of period 3."""
    return np.kron(np.roll(np.eye(3), 1, axis=1), np.ones((n, n))) * np.tile(stochastic(rng, n), (3, 3))


def angle(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.3, 2.8))


def scaled_jordan(eigenvalue: complex, couplings: np.ndarray) -> np.ndarray:
    return eigenvalue * np.eye(len(couplings) + 1) + np.diag(couplings, 1)


FAMILIES: dict[str, tuple[Asymptotics, Draw]] = {
    "leaky": (VANISHES, lambda g: 0.9 * np.eye(6) + 0.09 * haar_orthogonal(6, g)),
    "nilpotent_3_2": (VANISHES, lambda g: block_diag(np.eye(3, k=1), 5 * np.eye(2, k=1), contraction(g))),
    "scaled_companion": (VANISHES, lambda g: 0.9 * polynomial(*turns(0.1, 0.23), 1, -1)),
    "damped_skew": (VANISHES, lambda g: expm(skew(g, 7) - 0.05 * np.eye(7))),
    "jordan_0.9": (VANISHES, lambda g: scaled_jordan(-0.9, g.uniform(0.2, 2, 2))),
    "projection": (CONVERGES, lambda g: beside(np.eye(int(g.integers(1, 6))), g)),
    "markov": (CONVERGES, lambda g: stochastic(g, int(g.integers(3, 25)))),
    "absorbing": (CONVERGES, lambda g: np.block([[np.eye(3), np.zeros((3, 6))], [stochastic(g, 9)[3:]]])),
    "diffusion": (CONVERGES, lambda g: circulant([0.5, 0.25, *np.zeros(6), 0.25])),
    "near_one": (CONVERGES, lambda g: block_diag(1.0, 1 - 1e-6, 1 - 1e-4, contraction(g))),
    "fourier": (BOUNDED, lambda g: dft(int(g.integers(3, 12)), scale="sqrtn")),
    "hadamard": (BOUNDED, lambda g: hadamard(8) / 8**0.5),
    "period_3": (BOUNDED, lambda g: cyclic(g, int(g.integers(2, 6)))),
    "cyclotomic": (BOUNDED, lambda g: polynomial(*turns(1 / 7, 2 / 7, 3 / 7), 1)),
    "rotations": (BOUNDED, lambda g: beside(np.kron(np.eye(int(g.integers(1, 4))), rotation(angle(g))), g)),
    "cayley": (BOUNDED, lambda g: beside(expm(skew(g, int(g.integers(2, 8)))), g)),
    "double_root": (GROWS, lambda g: polynomial(*turns(0.1, 0.1, 0.3))),
    "jordan_couplings": (GROWS, lambda g: beside(scaled_jordan(1, 10 ** g.uniform(-1, 1, int(g.integers(1, 4)))), g)),
    "jordan_both": (GROWS, lambda g: beside(block_diag(jordan(1, 2), jordan(-1, 2), 1), g)),
    "rotation_jordan": (GROWS, lambda g: beside(np.kron(np.eye(2), rotation(angle(g))) + np.eye(4, k=2), g)),
    "shear": (GROWS, lambda g: np.eye(5) + np.outer([1, -1, 0, 0, 2], [1, 1, 1, 0, 0])),
    "pascal": (EXPLODES, lambda g: pascal(int(g.integers(3, 6)))),
    "outlier": (EXPLODES, lambda g: beside(np.diag([1.0, -1.0, 1 + 10 ** g.uniform(-6, -1)]), g)),
    "jordan_1.05": (EXPLODES, lambda g: beside(scaled_jordan(1.05, np.ones(2)), g)),
    "corner": (EXPLODES, lambda g: beside(jordan(1, 2) + np.array([[0, 0], [10 ** g.uniform(-8, -4), 0]]), g)),
}  # fmt: skip
"""Verdict and draw of each family; none was looked at while the procedure was made."""


def dense_similarity(W: np.ndarray, rng: np.random.Generator, *, condition: float) -> np.ndarray:
    """Return S W S⁻¹ for S = U diag(1 … 1/condition) V with Haar U and V; condition 1 is orthogonal."""
    n = len(W)
    U, V = haar_orthogonal(n, rng), haar_orthogonal(n, rng)
    scale = np.geomspace(1, 1 / condition, n)
    return (U * scale) @ V @ W @ V.T @ (U / scale).T
