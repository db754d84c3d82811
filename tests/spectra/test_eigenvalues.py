import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES

from unitcircle.errors import DtypeError, NotFiniteError, ShapeError
from unitcircle.spectra import eigenvalues

EPS = np.finfo(float).eps


def test_a_triangle_shows_its_eigenvalues_on_the_diagonal():
    W = np.array([[0.5, 3, 1], [0, -2, 4], [0, 0, 1.0]])
    np.testing.assert_allclose(eigenvalues(W), [-2, 1, 0.5], rtol=8 * EPS)


def test_ties_go_by_phase_then_positive_imaginary_part_first():
    # All of modulus one: phases 0, ±π/2, π.
    W = np.roll(np.eye(4), 1, axis=0)
    np.testing.assert_allclose(eigenvalues(W), [1, 1j, -1j, -1], atol=8 * EPS)


def test_ties_survive_rounding_and_similarity():
    rng = np.random.default_rng(0)
    phases = np.linspace(0.1, 3.0, 6)
    blocks = np.zeros((12, 12))
    for k, phase in enumerate(phases):
        c, s = np.cos(phase), np.sin(phase)
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c, -s], [s, c]]
    expected = np.ravel([(np.exp(1j * p), np.exp(-1j * p)) for p in phases])
    for _ in range(5):
        Q = np.linalg.qr(rng.standard_normal((12, 12)))[0]
        np.testing.assert_allclose(eigenvalues(Q @ blocks @ Q.T), expected, atol=32 * 12 * EPS)


def test_complex_weights_need_not_pair():
    values = np.array([1j, -1j, np.exp(0.3j), 0.5])
    np.testing.assert_allclose(eigenvalues(np.diag(values)), [np.exp(0.3j), 1j, -1j, 0.5], atol=4 * EPS)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_order_and_pairs_hold_for_any_real_weight(seed, n):
    W = np.random.default_rng(seed).standard_normal((n, n))
    values = eigenvalues(W)
    assert np.all(np.diff(np.abs(values)) <= 16 * n * EPS * abs(values[0]))
    upper = np.flatnonzero(values.imag > 0)
    assert np.array_equal(values[upper + 1], values[upper].conj())
    assert len(upper) == np.count_nonzero(values.imag < 0)
    np.testing.assert_allclose(values.sum(), np.trace(W), atol=32 * n * n * EPS * np.linalg.norm(W))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_labelled_matrices(case):
    values = eigenvalues(case.matrix)
    assert values.shape == (case.n,)
    # A defective eigenvalue of multiplicity m moves by the m-th root of rounding; none of the cases exceeds 5, and
    # the triangular ones are exact.
    slack = 64 * case.n * EPS if case.normal else EPS**0.5
    assert abs(abs(values[0]) - case.radius) <= slack * max(case.radius, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_libraries_get_their_own_arrays_back(library, dtype):
    _, asarray = library
    W = asarray(np.array([[0.0, -1.0], [1.0, 0.0]], dtype=dtype))
    values = eigenvalues(W)
    assert type(values) is type(W)
    assert "complex" in str(values.dtype)
    np.testing.assert_allclose(np.asarray(values), [1j, -1j], atol=8 * np.finfo(np.float32).eps)


def test_batches():
    W = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    values = eigenvalues(W)
    assert values.shape == (2, 3, 4)
    np.testing.assert_allclose(values[1, 2], eigenvalues(W[1, 2]), rtol=64 * EPS)
    assert eigenvalues(np.zeros((0, 3, 3))).shape == (0, 3)


def test_misuse_is_refused_in_words():
    with pytest.raises(ShapeError, match=r"square.*\(2, 3\)"):
        eigenvalues(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="at least one unit"):
        eigenvalues(np.zeros((0, 0)))
    with pytest.raises(NotFiniteError, match="1 entries of 4"):
        eigenvalues([[1.0, np.nan], [0.0, 1.0]])
    with pytest.raises(DtypeError):
        eigenvalues(np.array([[object()]]))
