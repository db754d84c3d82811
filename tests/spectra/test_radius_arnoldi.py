import numpy as np
import pytest
from tests.cases import grcar
from tests.oracles.radius import hidden_triangle, polynomial_norm, reservoir

from unitcircle.errors import NotFiniteError
from unitcircle.spectra import _arnoldi
from unitcircle.spectra._arnoldi import by_arnoldi

EPS = np.finfo(float).eps


def arnoldi(A, *, seed=0, tol=1e-6, power=1, limit=10**6):
    dtype = np.complex128 if np.iscomplexobj(A) else np.float64
    rng = np.random.default_rng(seed)
    return by_arnoldi(lambda x: A @ x, A.shape[0], dtype=dtype, tol=tol, power=power, limit=limit, rng=rng)


def spaces(A, power, steps, seed=0):
    start = np.random.default_rng(seed).standard_normal(A.shape[0])
    return start, list(_arnoldi._expand(lambda x: A @ x, start, power, steps, 1e-6))


@pytest.mark.parametrize("power", [1, 3])
def test_the_subdiagonal_is_the_norm_of_the_characteristic_polynomial(power):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((60, 60)) / 60**0.5
    start, (*_, space) = spaces(A, power, 20)
    naive = polynomial_norm(np.linalg.matrix_power(A, power), space.ritz, start.astype(complex))
    log_norm = np.log(space.subdiagonal).sum() + np.log(space.start_norm)
    # The product of 20 factors loses digits to cancellation that the Hessenberg matrix does not: 2.4·m·n·eps measured.
    assert np.log(naive) == pytest.approx(log_norm, abs=30 * 20 * 60 * EPS)


def test_the_margin_is_the_least_over_the_outside():
    rng = np.random.default_rng(2)
    _, (*_, space) = spaces(rng.standard_normal((80, 80)), 1, 24)
    radius = space.radius * 1.1
    z = radius * (1 + rng.exponential(1.0, 20_000)) * np.exp(2j * np.pi * rng.random(20_000))
    outside = np.log(np.abs(z[:, None] - space.ritz)).sum(axis=1).min()
    delta = _arnoldi.FAILURE * np.pi**0.5 / 2
    bound = np.log(space.subdiagonal).sum() + np.log(space.start_norm / delta)
    assert space.margin_at(0.1) <= outside - bound


def test_the_upper_bound_fails_no_more_often_than_it_says(monkeypatch):
    # With the probability raised to 0.2 and a space of 12, 400 starts: binomial, 99.99 % point of Bin(400, 0.2) = 111.
    monkeypatch.setattr(_arnoldi, "FAILURE", 0.2)
    rng = np.random.default_rng(3)
    A = rng.standard_normal((40, 40))
    radius = np.abs(np.linalg.eigvals(A)).max()
    failures = sum(arnoldi(A, seed=seed, limit=13).upper < radius for seed in range(400))
    assert failures <= 111
    # And it is no vacuous bound: it moves with the probability.
    assert arnoldi(A, limit=13).upper < 2.5 * radius


@pytest.mark.parametrize("power", [1, 2, 5])
@pytest.mark.parametrize("is_complex", [False, True])
def test_agrees_with_lapack(power, is_complex):
    rng = np.random.default_rng(4)
    A = rng.standard_normal((300, 300)) + 1j * is_complex * rng.standard_normal((300, 300))
    A = A if is_complex else A.real
    found = arnoldi(A, power=power)
    reference = np.abs(np.linalg.eigvals(A)).max()
    assert found.meets(1e-6)
    assert found.lower <= reference <= found.upper
    assert found.matvecs <= 1 + power * 300


def test_a_crowded_edge_is_resolved_when_the_space_is_exhausted():
    rng = np.random.default_rng(5)
    moduli = 1 - np.linspace(0, 1e-3, 120)
    found = arnoldi(hidden_triangle(moduli, 0.0, rng))
    assert found.lower <= 1.0 <= found.upper
    assert found.meets(1e-6)


def test_few_distinct_eigenvalues_exhaust_the_space_at_once():
    rng = np.random.default_rng(6)
    found = arnoldi(hidden_triangle(np.repeat([2.0, -1.0, 0.5], 40), 0.0, rng))
    assert found.matvecs == 4
    assert found.value == pytest.approx(2.0, rel=120 * EPS)


def test_a_pair_of_equal_moduli_is_no_trap_for_any_power():
    rng = np.random.default_rng(7)
    eigenvalues = np.concatenate([[1.0, -1.0], rng.uniform(-0.9, 0.9, 98)])
    A = hidden_triangle(eigenvalues, 0.0, rng)
    for power in (1, 2, 3):
        found = arnoldi(A, power=power)
        assert found.meets(1e-6)
        assert found.lower <= 1.0 <= found.upper


@pytest.mark.parametrize("seed", range(12))
def test_never_silently_wrong_away_from_normality(seed):
    rng = np.random.default_rng(seed)
    eigenvalues = [rng.uniform(-1, 1, 150), rng.uniform(0.99, 1, 150)][seed % 2]
    found = arnoldi(hidden_triangle(eigenvalues, 10 ** rng.uniform(-2, 1), rng))
    assert found.lower - 150 * EPS <= np.abs(eigenvalues).max() <= found.upper


def test_grcars_pseudospectrum_is_not_taken_for_its_spectrum():
    # ρ tends to 2.26 and the pseudospectrum to 3.2; LAPACK itself is 8 % off at n = 600.
    found = arnoldi(grcar(300), power=2)
    assert not found.meets(1e-2)
    assert found.lower <= 2.26 <= found.upper


def test_a_limit_that_comes_first_leaves_a_wide_interval():
    A = reservoir(400, 0.1, 0)
    found = arnoldi(A, limit=40)
    assert found.matvecs <= 40
    assert not found.meets(1e-6)
    assert found.lower <= np.abs(np.linalg.eigvals(A.toarray())).max() <= found.upper < np.inf


def test_zero_is_found_to_be_zero():
    found = arnoldi(np.zeros((30, 30)))
    assert (found.value, found.upper) == (0.0, 0.0)


def test_a_nilpotent_operator_gets_no_false_radius():
    A = np.zeros((30, 30))
    A[0, 1] = A[1, 2] = 1.0
    found = arnoldi(A)
    assert found.lower == 0.0
    assert found.upper >= 0.0
    assert not found.meets(1e-6)


def test_a_product_that_is_not_finite_is_refused():
    A = np.ones((30, 30))
    A[3, 4] = np.nan
    with pytest.raises(NotFiniteError, match="finite products"):
        arnoldi(A)
