"""The one table of labelled matrices: what is known about each exactly, by construction."""

from __future__ import annotations

__all__ = ["CASES", "Case", "grcar", "haar_orthogonal", "jordan"]

from dataclasses import dataclass

import numpy as np

from unitcircle.spectra import Asymptotics

VANISHES, CONVERGES, BOUNDED, GROWS, EXPLODES, _ = Asymptotics


@dataclass(frozen=True, eq=False)
class Case:
    """A matrix and what is known about it exactly.

    Attributes
    ----------
    name
        What a test is called by.
    matrix
        ``(n, n)`` in float64 or complex128, read-only.
    verdict
        The asymptotics of its powers.
    radius
        Spectral radius, in closed form or to 12 digits.
    norm
        Spectral norm, where a closed form exists.
    growth_degree
        The d of ‖Wᵗ‖ ~ tᵈ where the verdict is GROWS.
    limit_rank
        Rank of lim Wᵗ where the verdict is VANISHES or CONVERGES.
    normal
        Whether W Wᴴ = Wᴴ W.
    single
        Whether the verdict survives rounding to float32.
    """

    name: str
    matrix: np.ndarray
    verdict: Asymptotics
    radius: float
    norm: float | None = None
    growth_degree: int | None = None
    limit_rank: int | None = None
    normal: bool = False
    single: bool = True

    def __post_init__(self) -> None:
        self.matrix.setflags(write=False)

    @property
    def n(self) -> int:
        return self.matrix.shape[0]

    @property
    def is_complex(self) -> bool:
        return np.iscomplexobj(self.matrix)


def jordan(eigenvalue: complex, n: int) -> np.ndarray:
    """Return the Jordan block: the eigenvalue on the diagonal, ones above it."""
    return eigenvalue * np.eye(n) + np.eye(n, k=1)


def haar_orthogonal(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return a Haar-distributed orthogonal matrix: QR of a Gaussian, the signs of diag R made positive."""
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diagonal(R))


def grcar(n: int) -> np.ndarray:
    """Return Grcar's matrix: −1 below the diagonal, 1 on the diagonals 0 to 3."""
    return np.triu(np.tril(np.ones((n, n)), 3)) - np.eye(n, k=-1)


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


GOLDEN = (1 + 5**0.5) / 2
GRCAR_32_RADIUS = 2.24944777653  # 40-digit arithmetic
R = rotation(1.0)
Q8 = haar_orthogonal(8, np.random.default_rng(8))
ROLL = np.roll(np.eye(5), 1, axis=0)

CASES: tuple[Case, ...] = (
    # 1 × 1
    Case("zero_1", np.zeros((1, 1)), VANISHES, 0.0, 0.0, limit_rank=0, normal=True),
    Case("half_1", np.array([[0.5]]), VANISHES, 0.5, 0.5, limit_rank=0, normal=True),
    Case("one_1", np.ones((1, 1)), CONVERGES, 1.0, 1.0, limit_rank=1, normal=True),
    Case("minus_one_1", -np.ones((1, 1)), BOUNDED, 1.0, 1.0, normal=True),
    Case("phase_1", np.array([[np.exp(2j)]]), BOUNDED, 1.0, 1.0, normal=True),
    Case("two_1", np.array([[-2.0]]), EXPLODES, 2.0, 2.0, normal=True),
    # normal
    Case("zero", np.zeros((4, 4)), VANISHES, 0.0, 0.0, limit_rank=0, normal=True),
    Case("identity", np.eye(4), CONVERGES, 1.0, 1.0, limit_rank=4, normal=True),
    Case("reflection", np.eye(3) - 2 / 9 * np.outer([1, 2, 2], [1, 2, 2]), BOUNDED, 1.0, 1.0, normal=True),
    Case("rotation", R, BOUNDED, 1.0, 1.0, normal=True),
    Case("permutation", np.eye(6)[[1, 2, 0, 4, 3, 5]], BOUNDED, 1.0, 1.0, normal=True),
    Case("orthogonal", Q8, BOUNDED, 1.0, 1.0, normal=True),
    Case("orthogonal_0.95", 0.95 * Q8, VANISHES, 0.95, 0.95, limit_rank=0, normal=True),
    Case("orthogonal_1.05", 1.05 * Q8, EXPLODES, 1.05, 1.05, normal=True),
    Case("projection", np.full((3, 3), 1 / 3), CONVERGES, 1.0, 1.0, limit_rank=1, normal=True),
    Case("fibonacci", np.array([[1.0, 1.0], [1.0, 0.0]]), EXPLODES, GOLDEN, GOLDEN, normal=True),
    Case("phases", np.diag(np.exp(1j * np.arange(4))), BOUNDED, 1.0, 1.0, normal=True),
    # defective
    Case("jordan_2", jordan(1, 2), GROWS, 1.0, GOLDEN, growth_degree=1),
    Case("jordan_3", jordan(1, 3), GROWS, 1.0, growth_degree=2),
    Case("jordan_5", jordan(1, 5), GROWS, 1.0, growth_degree=4),
    Case("jordan_minus_1", jordan(-1, 3), GROWS, 1.0, growth_degree=2),
    Case("jordan_i", jordan(1j, 2), GROWS, 1.0, GOLDEN, growth_degree=1),
    Case("jordan_0.999", jordan(0.999, 5), VANISHES, 0.999, limit_rank=0),
    Case("rotation_jordan", np.block([[R, np.eye(2)], [np.zeros((2, 2)), R]]), GROWS, 1.0, growth_degree=1),
    Case("weak_jordan", np.eye(3) + 1e-9 * np.eye(3, k=1), GROWS, 1.0, growth_degree=2, single=False),
    Case("oblique_projection", np.array([[1.0, 3.0], [0.0, 0.0]]), CONVERGES, 1.0, 10**0.5, limit_rank=1),
    # a defective matrix, perturbed by 1e-9
    Case("defective_split", np.array([[1, 1], [0, 1 - 1e-9]]), CONVERGES, 1.0, limit_rank=1, single=False),
    Case("defective_up", np.array([[1, 1], [1e-9, 1]]), EXPLODES, 1 + 1e-9**0.5, single=False),
    Case("defective_around", np.array([[1, 1], [-1e-9, 1]]), EXPLODES, (1 + 1e-9) ** 0.5, single=False),
    # nilpotent
    Case("nilpotent", np.eye(6, k=1), VANISHES, 0.0, 1.0, limit_rank=0),
    Case("nilpotent_dense", np.array([[2.0, -1.0], [4.0, -2.0]]), VANISHES, 0.0, 5.0, limit_rank=0),
    Case("chain", 1.02 * np.eye(256, k=1), VANISHES, 0.0, 1.02, limit_rank=0),
    # stochastic: rows sum to one
    Case("stochastic", np.array([[0.9, 0.1], [0.4, 0.6]]), CONVERGES, 1.0, limit_rank=1),
    Case("stochastic_periodic", ROLL, BOUNDED, 1.0, 1.0, normal=True),
    Case(
        "stochastic_reducible",
        np.array([[0.5, 0.25, 0.25], [0, 1.0, 0], [0, 0, 1.0]]),
        CONVERGES,
        1.0,
        limit_rank=2,
    ),
    Case(
        "stochastic_reducible_periodic",
        np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 1]]),
        BOUNDED,
        1.0,
    ),
    # strongly non-normal
    Case("transient", np.array([[0.9, 10.0], [0.0, 0.8]]), VANISHES, 0.9, limit_rank=0),
    Case("grcar", grcar(32), EXPLODES, GRCAR_32_RADIUS, 3.2223184959),
    Case("grcar_0.95", 0.95 / GRCAR_32_RADIUS * grcar(32), VANISHES, 0.95, limit_rank=0),
)
