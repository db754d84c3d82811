"""Matrices whose Jordan form is known by construction, and what their powers are seen to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag
from scipy.stats import ortho_group

from unitcircle.spectra import Asymptotics, matrix_power

LONG = 2**17
"""Steps after which we look: 0.999ᵗ has lost to any power of t that occurs here."""
SHORT = 2**12
"""The same for matrices with a gap of 2 % round the unit circle, mixed by a rounded similarity."""
WINDOW = 32
"""Powers in a row of which the largest counts."""
GONE = 1e-6
GAP = 0.02


@dataclass(frozen=True, eq=False)
class Labelled:
    """A matrix with its Jordan structure."""

    name: str  # For tables
    matrix: np.ndarray  # (n, n)
    blocks: tuple[tuple[complex, int], ...]  # Every eigenvalue with the size of its Jordan block

    @property
    def radius(self) -> float:
        """The spectral radius."""
        return max(abs(value) for value, _ in self.blocks)


@dataclass(frozen=True)
class Seen:
    """What the powers of a matrix did, judged by the powers alone."""

    behaviour: Asymptotics  # One of the asymptotics
    log_norm: float  # log of the largest ‖Aᵗ‖₂ in the last window
    degree: float  # d log ‖Aᵗ‖ / d log t over the last doubling


def jordan(value: complex, size: int, /) -> np.ndarray:
    """Return the Jordan block: the eigenvalue on the diagonal, ones above it."""
    return value * np.eye(size) + np.eye(size, k=1)


def grcar(n: int, /) -> np.ndarray:
    """Return Grcar's matrix: −1 below the diagonal, 1 on the diagonals 0 to 3."""
    return np.triu(np.tril(np.ones((n, n)), 3)) - np.eye(n, k=-1)


def by_structure(blocks: Sequence[tuple[complex, int]], /) -> Asymptotics:
    """Return what the propositions say of a Jordan structure."""
    radius = max(abs(value) for value, _ in blocks)
    if radius < 1:
        return Asymptotics.VANISHES
    if radius > 1:
        return Asymptotics.EXPLODES
    on = [(value, size) for value, size in blocks if abs(value) == 1]
    if any(size > 1 for _, size in on):
        return Asymptotics.GROWS
    return Asymptotics.CONVERGES if all(value == 1 for value, _ in on) else Asymptotics.BOUNDED


def see(matrix: np.ndarray, /, steps: int = LONG) -> Seen:
    """Judge by the largest of a few powers from steps/4, steps/2 and steps on, without any eigenvalue."""
    # Several, because the norm of the powers of a rotation in oblique axes oscillates.
    window = np.stack([matrix_power(matrix, k, method="squaring") for k in range(WINDOW)])
    power, log_scale, logs = matrix, 0.0, []
    for _ in range(steps.bit_length() - 1):
        power, log_scale = power @ power, 2 * log_scale
        size = np.linalg.norm(power, 2)
        if size == 0:
            return Seen(Asymptotics.VANISHES, -np.inf, -np.inf)
        power, log_scale = power / size, log_scale + np.log(size)
        logs.append(log_scale + np.log(np.linalg.norm(power @ window, 2, axis=(-2, -1)).max()))
    before, middle, last = logs[-3:]
    degree = (last - middle) / np.log(2)
    if last < np.log(GONE):
        behaviour = Asymptotics.VANISHES
    elif last - middle > max(1.0, 1.5 * (middle - before)):
        behaviour = Asymptotics.EXPLODES  # the logarithm grows like t, not like log t
    elif degree > 0.5:
        behaviour = Asymptotics.GROWS
    else:
        still = np.linalg.norm(power @ matrix - power, 2) < GONE
        behaviour = Asymptotics.CONVERGES if still else Asymptotics.BOUNDED
    return Seen(behaviour, float(last), float(degree))


def random_labelled(rng: np.random.Generator, /) -> Labelled:
    """Draw a real matrix of random Jordan structure, mixed by a random similarity of condition at most about 10."""
    largest = rng.choice(["inside", "on", "outside"], p=[0.3, 0.5, 0.2])
    parts: list[np.ndarray] = []
    blocks: list[tuple[complex, int]] = []
    for index in range(rng.integers(1, 4)):
        place = largest if index == 0 else rng.choice(["inside", largest])
        size = int(rng.integers(1, 3 if place == "on" else 4))
        modulus = {"inside": rng.uniform(0, 1 - GAP), "on": 1.0, "outside": rng.uniform(1 + GAP, 1.5)}[place]
        kind = rng.choice(["positive", "negative", "pair"])
        if kind == "pair":
            angle = rng.uniform(0.3, np.pi - 0.3)
            turn = modulus * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            parts.append(np.kron(np.eye(size), turn) + np.kron(np.eye(size, k=1), np.eye(2)))
            # Its modulus is exactly the one meant, whatever the rounding of cos² + sin².
            blocks += [(modulus if place != "on" else 1j, size)] * 2
        else:
            value = modulus if kind == "positive" else -modulus
            parts.append(jordan(value, size))
            blocks.append((value, size))
    J = np.asarray(block_diag(*parts))
    n = len(J)
    if n == 1:
        return Labelled("random", J, tuple(blocks))
    Q, P = ortho_group.rvs(n, size=2, random_state=rng)
    S = Q @ np.diag(np.exp(rng.uniform(-1.1, 1.1, n))) @ P
    return Labelled("random", S @ J @ np.linalg.inv(S), tuple(blocks))


def _turn(sixths: int) -> np.ndarray:
    """Rotate by a multiple of 60°, in integers: the companion matrix of a sixth root of one."""
    return matrix_power(np.array([[0.0, -1.0], [1.0, 1.0]]), sixths, method="squaring")


GOLDEN = (1 + 5**0.5) / 2
_QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])

LABELLED: tuple[Labelled, ...] = (
    Labelled("0.5", np.array([[0.5]]), ((0.5, 1),)),
    Labelled("1", np.array([[1.0]]), ((1, 1),)),
    Labelled("−1", np.array([[-1.0]]), ((-1, 1),)),
    Labelled("−2", np.array([[-2.0]]), ((-2, 1),)),
    Labelled("identity", np.eye(4), ((1, 1),) * 4),
    Labelled("projection, oblique", np.array([[1.0, 3.0], [0.0, 0.0]]), ((1, 1), (0, 1))),
    Labelled("stochastic", np.array([[0.75, 0.25], [0.5, 0.5]]), ((1, 1), (0.25, 1))),
    Labelled("stochastic, two closed classes", np.array([[0.5, 0.25, 0.25], [0, 1.0, 0], [0, 0, 1.0]]),
             ((1, 1), (1, 1), (0.5, 1))),
    Labelled("rotation by 90°", _QUARTER, ((1j, 1), (-1j, 1))),
    Labelled("rotation by 60°, oblique", _turn(1), ((1j, 1), (-1j, 1))),
    Labelled("reflection", np.array([[0.0, 1.0], [1.0, 0.0]]), ((1, 1), (-1, 1))),
    Labelled("cyclic shift", np.roll(np.eye(4), 1, axis=0), ((1, 1), (-1, 1), (1j, 1), (-1j, 1))),
    Labelled("Fibonacci", np.array([[1.0, 1.0], [1.0, 0.0]]), ((GOLDEN, 1), (1 - GOLDEN, 1))),
    Labelled("nilpotent", np.eye(6, k=1), ((0, 6),)),
    Labelled("nilpotent, dense", np.array([[2.0, -1.0], [4.0, -2.0]]), ((0, 2),)),
    Labelled("J₂(1)", jordan(1, 2), ((1, 2),)),
    Labelled("J₃(1)", jordan(1, 3), ((1, 3),)),
    Labelled("J₂(−1)", jordan(-1, 2), ((-1, 2),)),
    Labelled("J₅(0.999)", jordan(0.999, 5), ((0.999, 5),)),
    Labelled("J₂(1.001)", jordan(1.001, 2), ((1.001, 2),)),
    Labelled("rotation by 90°, J₂", np.block([[_QUARTER, np.eye(2)], [np.zeros((2, 2)), _QUARTER]]),
             ((1j, 2), (-1j, 2))),
    Labelled("0.9, 0.8 and a shear of 10", np.array([[0.9, 10.0], [0.0, 0.8]]), ((0.9, 1), (0.8, 1))),
    Labelled("1, 0.5 and a shear of 10", np.array([[1.0, 10.0], [0.0, 0.5]]), ((1, 1), (0.5, 1))),
)  # fmt: skip
"""Each with the Jordan blocks it was made of; all but three have exact entries."""
