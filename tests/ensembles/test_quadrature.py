import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from unitcircle.ensembles._quadrature import gauss_legendre

EPS = np.finfo(float).eps


@pytest.mark.parametrize("nodes", [2, 4, 16, 128])
def test_polynomials_of_every_degree_below_twice_the_nodes_are_exact(nodes):
    s, weights = gauss_legendre(nodes)
    powers = np.arange(2 * nodes)
    integrals = weights @ s[:, None] ** powers
    np.testing.assert_allclose(integrals, 1 / (powers + 1), rtol=8 * nodes * EPS)


@pytest.mark.parametrize("nodes", [8, 64])
def test_nodes_are_those_of_numpy(nodes):
    s, weights = gauss_legendre(nodes)
    expected, expected_weights = leggauss(nodes)
    np.testing.assert_allclose(s, (expected + 1) / 2, rtol=0, atol=4 * EPS)
    # NumPy's weights lose digits next to the end points.
    np.testing.assert_allclose(weights, expected_weights / 2, rtol=1e4 * nodes * EPS)


def test_the_result_is_shared_and_read_only():
    assert gauss_legendre(16)[0] is gauss_legendre(16)[0]
    with pytest.raises(ValueError, match="read-only"):
        gauss_legendre(16)[0][0] = 0.0
