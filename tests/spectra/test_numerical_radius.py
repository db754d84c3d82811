import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES, grcar
from tests.oracles import powers
from tests.printed import half_unit

from unitcircle.spectra import numerical_radius

EPS = np.finfo(float).eps


def test_reference_values():
    # Grcar(32): -1 on the subdiagonal, 1 on diagonals 0..3.
    np.testing.assert_allclose(numerical_radius(grcar(32)), 3.188306207, rtol=0, atol=half_unit(9))
    np.testing.assert_allclose(numerical_radius([[0.9, 1.0], [0.0, 0.9]]), 1.4, rtol=8 * EPS)


@pytest.mark.parametrize("n", [2, 3, 10, 80])
def test_the_nilpotent_shift_fills_a_disc(n):
    np.testing.assert_allclose(numerical_radius(np.eye(n, k=1)), np.cos(np.pi / (n + 1)), rtol=4 * n * EPS)


@pytest.mark.parametrize("case", [case for case in CASES if case.n < 100], ids=lambda case: case.name)
def test_between_radius_and_norm(case):
    w = numerical_radius(case.matrix)
    norm = np.linalg.norm(case.matrix, 2)
    slack = 8 * case.n * EPS * norm
    # Below the largest of 20,000 angles by no more than rounding, above it by no more than the grid misses.
    brute = powers.numerical_radius(case.matrix, 2000)
    assert brute - slack <= w <= brute * (1 + (np.pi / 2000) ** 2) + slack
    assert case.radius <= w + max(slack, EPS**0.5 * norm)
    assert w <= norm + slack
    assert norm <= 2 * w + slack


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.booleans(), st.floats(0.0, 6.3))
def test_laws(seed, n, complex_, angle):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if complex_ else 0)
    w = numerical_radius(W)
    norm = np.linalg.norm(W, 2)
    slack = 16 * n * EPS * norm
    assert np.abs(np.linalg.eigvals(W)).max() - slack <= w <= norm + slack <= 2 * w + 3 * slack
    np.testing.assert_allclose(w, powers.numerical_radius(W, 2000), rtol=(np.pi / 2000) ** 2)
    np.testing.assert_allclose(numerical_radius(2 * np.exp(1j * angle) * W), 2 * w, atol=4 * slack)
    # Berger's power inequality.
    assert numerical_radius(W @ W @ W) <= w**3 + slack * norm**2


def test_two_bumps_of_nearly_equal_height():
    # A long thin triangle next to a disc: the maxima lie at 0 and at 2, and differ by 1e-3.
    W = np.zeros((4, 4), dtype=complex)
    W[0, 0], W[1, 1] = np.exp(2j), 1.001
    W[2, 3] = 1.9
    np.testing.assert_allclose(numerical_radius(W), 1.001, rtol=8 * EPS)


def test_libraries_and_batches(library):
    _, asarray = library
    W = asarray(np.array([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 3.0]]], dtype=np.float32))
    result = numerical_radius(W)
    assert type(result) is type(W)
    np.testing.assert_allclose(np.asarray(result), [0.5, 3.0], rtol=8 * np.finfo(np.float32).eps)
