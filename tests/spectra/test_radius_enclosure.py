import numpy as np
import pytest
from scipy import linalg, sparse
from tests.cases import CASES, grcar, haar_orthogonal, jordan

from unitcircle.spectra import _enclosure
from unitcircle.spectra._enclosure import (
    BACKWARD,
    Enclosure,
    by_eigenvalues,
    by_gram_matrix,
    by_positive_vector,
    by_powers,
    vanishes_exactly,
)

EPS = np.finfo(float).eps
# Closed forms, and the table's 12 digits.
KNOWN = 1e-11
REGULAR = [case for case in CASES if case.n > 1 and case.matrix.any()]


@pytest.mark.parametrize("method", [by_eigenvalues, lambda A: by_powers(A, 1e-9)], ids=["eigenvalues", "powers"])
@pytest.mark.parametrize("case", REGULAR, ids=lambda case: case.name)
def test_encloses_the_radius_of_every_labelled_matrix(method, case):
    found = method(case.matrix)
    assert found.lower <= found.value <= found.upper
    assert found.lower - KNOWN <= case.radius <= found.upper + KNOWN


@pytest.mark.parametrize("case", [case for case in REGULAR if case.normal], ids=lambda case: case.name)
def test_eigenvalues_of_normal_matrices_are_sharp(case):
    # κ = 1 throughout, so that the error is ε times the number of eigenvalues near the circle.
    assert by_eigenvalues(case.matrix).error <= 1.2 * BACKWARD * case.n**2 * EPS * np.linalg.norm(case.matrix)


def test_eigenvalues_claim_nothing_of_a_defective_matrix():
    found = by_eigenvalues(jordan(1.0, 5))
    assert (found.lower, found.upper) == (0.0, pytest.approx(3.0))


def test_eigenvalues_survive_an_ill_conditioned_inside():
    # The zero eigenvalues of one Jordan block are hopeless, the one at 2 is not. Of a block of 6 the method tells them
    # apart or not as LAPACK happens to round (not in 81 of 300 draws); of 3 it always does.
    Q = haar_orthogonal(4, np.random.default_rng(0))
    A = Q @ linalg.block_diag(2.0, jordan(0.0, 3)) @ Q.T
    found = by_eigenvalues(A)
    assert found.lower <= 2.0 <= found.upper
    assert found.error <= 1e-10


def test_eigenvalues_are_not_fooled_by_bad_scaling():
    # κ before balancing is about 1e9 for both eigenvalues.
    A = np.array([[1.0, 1e9], [1e-9, 1.0]])
    found = by_eigenvalues(A)
    assert found.lower <= 2.0 <= found.upper
    assert found.error <= 100 * EPS


def test_lapack_giving_up_is_a_value(monkeypatch):
    def fail(A):
        raise linalg.LinAlgError

    monkeypatch.setattr(_enclosure, "eigensystem", fail)
    found = by_eigenvalues(grcar(8))
    assert found.lower == 0.0
    assert found.upper == pytest.approx(np.linalg.norm(grcar(8)))


@pytest.mark.parametrize("is_complex", [False, True])
def test_powers_narrow_to_a_thousandth_on_a_random_matrix(is_complex):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((40, 40)) + 1j * is_complex * rng.standard_normal((40, 40))
    found = by_powers(A if is_complex else A.real, 1e-9)
    reference = np.abs(np.linalg.eigvals(A if is_complex else A.real)).max()
    assert found.lower <= reference <= found.upper
    assert found.meets(1e-3)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_powers_hold_where_a_dense_matrix_is_defective(size):
    for seed in range(5):
        Q = haar_orthogonal(size, np.random.default_rng(seed))
        found = by_powers(Q @ jordan(1.0, size) @ Q.T, 1e-9)
        # Rounding of the similarity itself moves a k-fold eigenvalue by its k-th root, within the upper bound's own.
        assert found.lower <= 1 + (100 * EPS) ** (1 / size)
        assert found.upper >= 1 - (100 * EPS) ** (1 / size)
        assert found.upper <= 1.2


@pytest.mark.parametrize(
    ("A", "answer"),
    [
        (np.array([[2.0, -1.0], [4.0, -2.0]]), True),
        (np.array([[2.0, -1.0], [4.0, -2.0]]) / 1024, True),
        (np.array([[1j, 1.0], [1.0, -1j]]), True),
        (np.array([[0.1, 0.1], [-0.1, -0.1]]), False),  # nilpotent, but 0.1 is no short binary number
        (np.array([[1.0, 1.0], [1.0, 0.0]]), False),
        (np.array([[2.0**30, 1.0], [1.0, 1.0]]), False),  # no room for a product
    ],
)
def test_integers_that_vanish_are_recognised(A, answer):
    assert vanishes_exactly(A) is answer


def test_a_bounded_integer_matrix_ends_the_search():
    assert vanishes_exactly(np.array([[0.0, 1.0], [1.0, 0.0]])) is False


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_gram_matrix_of_an_isometry(form):
    rng = np.random.default_rng(5)
    n = 64
    permuted = 0.7 * np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n)
    found = by_gram_matrix(form(permuted), 1e-6, rng)
    assert found is not None
    assert found.lower <= 0.7 <= found.upper
    assert found.error <= n**2 * EPS


def test_gram_matrix_of_a_unitary_and_of_what_is_none():
    rng = np.random.default_rng(6)
    n = 50
    Q = np.linalg.qr(rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)))[0]
    found = by_gram_matrix(1.3 * Q, 1e-6, rng)
    assert found is not None
    assert found.lower <= 1.3 <= found.upper
    assert by_gram_matrix(rng.standard_normal((n, n)), 1e-6, rng) is None


def test_positive_vector_brackets_perrons_root():
    rng = np.random.default_rng(7)
    A = rng.random((30, 30))
    found = by_positive_vector(lambda x: A @ x, 30, 1e-9, 100)
    reference = np.abs(np.linalg.eigvals(A)).max()
    assert found.meets(1e-9)
    assert found.lower * (1 - 30 * EPS) <= reference <= found.upper * (1 + 30 * EPS)


def test_positive_vector_of_a_periodic_matrix():
    A = np.kron([[0.0, 1.0], [1.0, 0.0]], np.array([[1.0, 2.0], [3.0, 4.0]]))
    found = by_positive_vector(lambda x: A @ x, 4, 1e-9, 100)
    assert found.meets(1e-9)
    assert found.lower <= (5 + 33**0.5) / 2 <= found.upper


def test_positive_vector_ends_at_its_limit_with_what_it_has():
    A = np.diag(np.ones(9), 1)
    A[9, 0] = 1e-9
    found = by_positive_vector(lambda x: A @ x, 10, 1e-9, 5)
    assert found.matvecs == 5
    assert found.lower <= 10**-0.9 <= found.upper
    assert not found.meets(1e-9)


def test_an_enclosure_narrows_and_scales():
    narrowed = Enclosure(1.0, 0.0, 4.0, "norm").within(2.0, 9.0).times(0.5)
    assert (narrowed.value, narrowed.lower, narrowed.upper, narrowed.error) == (1.0, 1.0, 2.0, 1.0)
