"""Small matrices with structure: where rounding is not random, and bounds of an error are most easily broken."""

from collections.abc import Iterator

import numpy as np


def structured(count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a number of named matrices of 2 to 6 units, one kind after another."""
    rng = np.random.default_rng(seed)
    kinds = list(KINDS)
    for k in range(count):
        name = kinds[k % len(kinds)]
        A = KINDS[name](int(rng.integers(2, 7)), rng)
        yield name, A


def stochastic(n, rng):
    """Rows of dyadic numbers that sum to 1, some of them zero: ρ = 1."""
    counts = np.stack([rng.multinomial(64, rng.dirichlet(np.full(n, rng.choice([0.3, 1.0, 10.0])))) for _ in range(n)])
    return counts / 64


def circulant(n, rng):
    row = rng.integers(0, 257, n) / 256
    return np.stack([np.roll(row, k) for k in range(n)])


def companion(n, rng):
    A = np.eye(n, k=-1)
    A[0] = rng.integers(-8, 9, n) * 2.0 ** -rng.integers(0, 4)
    return A


def permuted(n, rng):
    return np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0, 2.0, 0.75], (n, 1))


def jordan(n, rng):
    """A Jordan block in an integer basis of determinant 1."""
    J = rng.choice([0.0, 1.0, -0.5, 3.0]) * np.eye(n) + np.eye(n, k=1) * rng.choice([1.0, 2.0**-20, 2.0**10])
    up = np.triu(rng.integers(-2, 3, (n, n)), 1).astype(float)
    inverse, term = np.eye(n), np.eye(n)
    for _ in range(n):
        term = -term @ up
        inverse += term
    return (np.eye(n) + up) @ J @ inverse


def near_defective(n, rng):
    A = jordan(n, rng)
    A[rng.integers(n), rng.integers(n)] += 2.0 ** -float(rng.integers(10, 50))
    return A


def scaled(n, rng):
    kind = (stochastic, circulant, companion, gaussian)[rng.integers(4)]
    return kind(n, rng) * 2.0 ** float(rng.choice([-1060, -1000, -500, -30, 40, 500, 900, 1010]))


def badly_scaled(n, rng):
    """A similarity by powers of two, which changes no eigenvalue."""
    d = 2.0 ** (rng.integers(-1, 2, n) * rng.choice([8.0, 60.0]))
    return stochastic(n, rng) * d[:, None] / d


def far_apart(n, rng):
    d = 2.0 ** (rng.integers(-1, 2, n) * 480.0)
    return circulant(n, rng) * d[:, None] / d


def rank_one(n, rng):
    u = rng.integers(-8, 9, n) / 8 + (rng.integers(0, 9, n) / 8) * rng.choice([0, 1j])
    u[0] = 1
    return np.outer(u, u.conj())


def gaussian(n, rng):
    return rng.standard_normal((n, n))


def gaussian_complex(n, rng):
    return rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))


def symmetric(n, rng):
    A = rng.integers(-64, 65, (n, n)) / 16
    return A + A.T


def skew(n, rng):
    A = rng.integers(-64, 65, (n, n)) / 16
    return A - A.T


def integers(n, rng):
    return rng.integers(-3, 4, (n, n)).astype(float)


def triangular_complex(n, rng):
    return np.triu(gaussian_complex(n, rng))


def low_rank(n, rng):
    return rng.integers(-4, 5, (n, 2)) @ rng.integers(-4, 5, (2, n)) / 8


KINDS = {
    kind.__name__: kind
    for kind in (
        stochastic,
        circulant,
        companion,
        permuted,
        jordan,
        near_defective,
        scaled,
        badly_scaled,
        far_apart,
        rank_one,
        gaussian,
        gaussian_complex,
        symmetric,
        skew,
        integers,
        triangular_complex,
        low_rank,
    )
}
