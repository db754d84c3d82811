import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES, grcar
from tests.printed import half_unit

from unitcircle.spectra import departure_from_normality, eigenvector_condition

EPS = np.finfo(float).eps


def test_reference_values():
    # The nilpotent shift of 10 units: nothing but 9 ones above the diagonal. Grcar: -1 below, 1 on diagonals 0..3.
    np.testing.assert_allclose(departure_from_normality(np.eye(10, k=1)), 3.0, rtol=10 * EPS)
    np.testing.assert_allclose(departure_from_normality(grcar(32)), 6.0070862348, rtol=0, atol=half_unit(10))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_normal_means_no_departure(case):
    size = np.linalg.norm(case.matrix)
    departure = departure_from_normality(case.matrix)
    if case.normal:
        assert departure <= 4 * case.n * EPS * size
        assert eigenvector_condition(case.matrix) == 1.0
    else:
        assert departure > 1e3 * case.n * EPS * size
        assert eigenvector_condition(case.matrix) > 1.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.booleans())
def test_the_definition_and_unitary_invariance(seed, n, complex_):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if complex_ else 0)
    Q = np.linalg.qr(rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if complex_ else 0))[0]
    size = np.linalg.norm(W)
    departure = departure_from_normality(W)
    square = size**2 - (np.abs(np.linalg.eigvals(W)) ** 2).sum()
    # The definition by subtraction is good to n·eps·κ‖W‖² only; κ of these stays far below 1e4.
    np.testing.assert_allclose(departure**2, square, atol=1e4 * n * EPS * size**2)
    np.testing.assert_allclose(departure_from_normality(Q @ W @ Q.conj().T), departure, atol=64 * n * EPS * size)


def test_small_departures_keep_their_digits():
    # The difference of squares would see nothing of 1e-9: its square is below rounding.
    W = np.array([[1.0, 1e-9], [0.0, 0.5]])
    np.testing.assert_allclose(departure_from_normality(W), 1e-9, rtol=4 * EPS)


def test_condition_of_two_directions():
    # Unit eigenvectors at an angle of 45°: κ = cot(45°/2) = 1 + √2.
    np.testing.assert_allclose(eigenvector_condition([[1.0, 1.0], [0.0, 2.0]]), 1 + 2**0.5, rtol=16 * EPS)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_defective_weight_has_infinite_condition(n):
    assert eigenvector_condition(0.5 * np.eye(n) + np.eye(n, k=1)) == np.inf


def test_repeated_eigenvalues_of_a_normal_weight_do_not_matter():
    v = np.random.default_rng(0).standard_normal(40)
    assert eigenvector_condition(np.eye(40) - 2 * np.outer(v, v) / (v @ v)) == 1.0


def test_single_precision_rounding_is_normal_enough():
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0].astype(np.float32)
    assert eigenvector_condition(Q) == 1.0
    assert departure_from_normality(Q) < 30 * np.finfo(np.float32).eps * 30**0.5


def test_libraries_and_batches(library):
    _, asarray = library
    W = asarray(np.array([[[1.0, 1.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]]], dtype=np.float32))
    for measure, expected in ((departure_from_normality, [1, 0]), (eigenvector_condition, [1 + 2**0.5, 1])):
        result = measure(W)
        assert type(result) is type(W)
        np.testing.assert_allclose(np.asarray(result), expected, atol=16 * np.finfo(np.float32).eps)
    assert isinstance(departure_from_normality(W[0, ...]), float)
