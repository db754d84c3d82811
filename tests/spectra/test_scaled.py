import math

import numpy as np
import pytest
from tests.cases import haar_orthogonal

from unitcircle.spectra import (
    departure_from_normality,
    eigenvector_condition,
    matrix_power,
    numerical_radius,
    power_norms,
    pseudospectrum,
)
from unitcircle.spectra._largest_singular_value import largest_singular_value
from unitcircle.spectra._scaled import ScaledMatrix

EPS = np.finfo(float).eps


@pytest.mark.parametrize("complex_", [False, True])
def test_products_are_exact_powers_of_two_apart(complex_):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 4)) + (1j * rng.standard_normal((4, 4)) if complex_ else 0)
    product = ScaledMatrix.of(A)
    for t in range(2, 9):
        product = product @ ScaledMatrix.of(A)
        size = max(np.abs(product.mantissa.real).max(), np.abs(product.mantissa.imag).max())
        assert 0.5 <= size < 1.0
        plain = matrix_power(A, t)
        restored = product.mantissa * 2.0**product.exponent
        np.testing.assert_allclose(restored, plain, atol=8 * t * EPS * np.abs(plain).max())


def test_no_exponent_is_too_large():
    product = ScaledMatrix.of(np.array([[5e-324]]))
    assert product.log_norm() == pytest.approx(math.log(2.0) * -1074, rel=EPS)
    for _ in range(60):
        product = product @ product
    # 2^-1074 squared sixty times: every bit is in the exponent.
    assert product.mantissa * 2.0 == 1.0
    assert product.exponent - 1 == -1074 * 2**60
    assert ScaledMatrix.of(np.zeros((2, 2))).log_norm() == -math.inf


@pytest.mark.parametrize("n", [3, 47, 48, 49, 80])
def test_the_norm_of_the_gram_matrix(n):
    sigma = np.logspace(0, -12, n)
    A = haar_orthogonal(n, np.random.default_rng(0)) * sigma @ haar_orthogonal(n, np.random.default_rng(1))
    assert abs(largest_singular_value(A)[0] - 1.0) <= 4 * n * EPS


def _stretched(n, sigma, rng=0):
    draws = np.random.default_rng(rng)
    return haar_orthogonal(n, draws) * sigma @ haar_orthogonal(n, draws)


N = 150
SINGULAR_VALUES = {
    "clustered": 1 - 1e-9 * np.linspace(0, 1, N),
    "equal": np.ones(N),
    "a pair": np.r_[1.0, 1 - 1e-12, np.linspace(0.9, 0, N - 2)],
    "rank one": np.r_[1.0, np.zeros(N - 1)],
    "slowly falling": np.linspace(1, 0, N),
}


@pytest.mark.parametrize("kind", SINGULAR_VALUES)
@pytest.mark.parametrize("start", ["none", "the second", "the last"])
def test_the_largest_singular_value_wherever_the_search_starts(kind, start):
    A = _stretched(N, SINGULAR_VALUES[kind])
    vectors = np.linalg.svd(A)[2]
    given = {"none": None, "the second": vectors[1], "the last": vectors[-1]}[start]
    size, vector = largest_singular_value(A, given, np.random.default_rng(3))
    assert abs(size - 1) <= N * EPS
    if vector is not None:
        assert abs(np.linalg.norm(A @ vector) - 1) <= N * EPS


@pytest.mark.parametrize("kind", ["Gaussian", "complex", "Jordan", "shift", "zero"])
def test_the_largest_singular_value_is_that_of_lapack(kind):
    rng = np.random.default_rng(1)
    G = rng.standard_normal((N, N))
    A = {
        "Gaussian": G,
        "complex": G + 1j * rng.standard_normal((N, N)),
        "Jordan": 0.9 * np.eye(N) + np.eye(N, k=1),
        "shift": np.eye(N, k=1),
        "zero": np.zeros((N, N)),
    }[kind]
    expected = np.linalg.norm(A, 2)
    assert abs(largest_singular_value(A)[0] - expected) <= N * EPS * expected


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_measurements_at_the_ends_of_the_range(scale):
    W = np.array([[1.0, 1.0], [0.0, 2.0]])
    for measure in (departure_from_normality, numerical_radius):
        np.testing.assert_allclose(measure(scale * W) / scale, measure(W), rtol=16 * EPS)
    np.testing.assert_allclose(eigenvector_condition(scale * W), eigenvector_condition(W), rtol=16 * EPS)
    result, plain = (pseudospectrum(c * W, [c * 1j, c * 3.0]) for c in (scale, 1.0))
    np.testing.assert_allclose(result.smallest_singular_values / scale, plain.smallest_singular_values, rtol=16 * EPS)
    np.testing.assert_allclose(power_norms(scale * W, 30)[30], power_norms(W, 30)[30] + 30 * np.log(scale))
