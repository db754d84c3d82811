import numpy as np
import pytest
from scipy import integrate, special

from unitcircle.ensembles._toeplitz import toeplitz_elements

EPS = np.finfo(float).eps


@pytest.mark.parametrize("r", [0.0, 0.3, 3.0, 40.0])
def test_elements_are_the_integrals(r):
    elements = toeplitz_elements(np.array([r]), 4)[0]
    for m in range(5):
        expected, error = integrate.quad(
            lambda t, m=m: 2 * np.sin((2 * m + 1) * t) * special.erfcx(np.sqrt(2) * r * np.sin(t)),
            0,
            np.pi / 2,
            limit=200,
        )
        assert elements[4 + m] == pytest.approx(expected, abs=error + 32 * EPS)


def test_elements_are_odd_about_minus_one_half():
    elements = toeplitz_elements(np.array([0.5, 2.0]), 6)
    np.testing.assert_array_equal(elements[:, :6], -elements[:, 11:5:-1])


def test_elements_at_the_origin_are_those_of_the_sine():
    np.testing.assert_allclose(toeplitz_elements(np.zeros(1), 9)[0, 9:], 2 / (2 * np.arange(10) + 1), rtol=64 * EPS)
