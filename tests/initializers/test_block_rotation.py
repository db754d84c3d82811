import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

from unitcircle import initializers as uci
from unitcircle.errors import ShapeError

LEVEL = 1e-3


@pytest.mark.parametrize("n", [2, 4, 5, 9])
def test_the_exponential_of_a_block_diagonal_skew_matrix(n):
    phases = np.linspace(-3, 3, n // 2)
    A = np.zeros((n, n))
    for k, phase in enumerate(phases):
        A[2 * k, 2 * k + 1], A[2 * k + 1, 2 * k] = -phase, phase
    W = uci.BlockRotation(modulus=0.9, phases=phases).sample(n)
    np.testing.assert_allclose(W, 0.9 * expm(A), rtol=0, atol=10 * n * 2**-52)


@pytest.mark.parametrize(("phases", "low", "high"), [("uniform", -np.pi, np.pi), ("cayley", 0, np.pi / 2)])
def test_the_laws_of_the_phases(phases, low, high):
    n = 2000
    W = uci.BlockRotation(phases=phases).sample(n, rng=0)
    even = np.arange(0, n, 2)
    found = np.arctan2(W[even + 1, even], W[even, even])
    assert stats.kstest(found, stats.uniform(low, high - low).cdf).pvalue > LEVEL


def test_an_odd_last_unit_is_alone():
    W = uci.BlockRotation(modulus=0.7, phases=1.0).sample(5)
    assert W[4].tolist() == W[:, 4].tolist() == [0, 0, 0, 0, 0.7]
    np.testing.assert_array_equal(uci.BlockRotation(modulus=0.7).sample(1), [[0.7]])


def test_the_number_of_phases_must_fit():
    with pytest.raises(ShapeError, match=r"must have 2 × 3 units, or one more, for these phases; got n = 4"):
        uci.BlockRotation(phases=[1, 2, 3]).sample(4)


def test_the_certificate_sees_what_is_not_in_blocks():
    assert not uci.BlockRotation().certificate(uci.Orthogonal().sample(6, rng=0)).holds
