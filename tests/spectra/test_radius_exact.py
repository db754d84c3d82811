"""The interval of the spectral radius contains the radius in exact arithmetic, on matrices with structure."""

import mpmath
import numpy as np
import pytest
from tests.enclosures import ROOTS, is_inside
from tests.oracles.exact_radius import DIGITS, exact_radius
from tests.structured import KINDS, structured

from unitcircle.spectra import spectral_radius

STOCHASTIC = [
    [0.15625, 0.34375, 0.0, 0.5],
    [0.265625, 0.28125, 0.453125, 0.0],
    [0.5625, 0.140625, 0.0, 0.296875],
    [0.125, 0.25, 0.5, 0.125],
]
CIRCULANT = [np.roll([0.87109375, 0.625, 0.3125, 0.8671875, 0.91796875], k) for k in range(5)]


def test_the_oracle_knows_closed_forms():
    with mpmath.workdps(DIGITS):
        golden = (1 + mpmath.sqrt(5)) / 2
        assert abs(exact_radius(np.array([[1.0, 1.0], [1.0, 0.0]])) - golden) < ROOTS
        assert abs(exact_radius(np.array([[1 + 1j, 3.0], [0.0, 1.0]])) - mpmath.sqrt(2)) < ROOTS
    assert exact_radius(np.eye(4, k=1)) == 0
    assert abs(exact_radius(np.eye(4) + np.eye(4, k=1)) - 1) < ROOTS


@pytest.mark.parametrize("A", [STOCHASTIC, CIRCULANT, [[1.0 + 1.0j]]], ids=["stochastic", "circulant", "modulus"])
def test_matrices_whose_radius_once_lay_outside(A):
    for scale in (2.0**900, 1.0, 2.0**-1000, 2.0**-1060):
        assert is_inside(np.array(A) * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_structured_matrices(kind):
    outside = [A.tolist() for name, A in structured(10 * len(KINDS), 20) if name == kind and not is_inside(A)]
    assert not outside


def test_powers_of_two_beyond_the_range_of_the_largest_entry():
    # λ² − 2⁻²⁰ λ − 1 = 0, and the smaller entry is 2⁻²⁰⁰⁰ of the larger.
    A = np.array([[2.0**-20, 2.0**1000], [2.0**-1000, 0.0]])
    estimate = spectral_radius(A)
    assert estimate.converged
    assert is_inside(A)


def test_a_radius_beyond_the_largest_number():
    estimate = spectral_radius(np.full((4, 4), np.finfo(float).max))
    assert not estimate.converged
    assert (estimate.lower, estimate.upper, estimate.error) == (np.finfo(float).max, np.inf, np.inf)
