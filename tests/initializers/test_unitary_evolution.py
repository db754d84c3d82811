import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr
from tests.oracles.unitary_evolution import product_of_factors

from unitcircle import initializers as uci
from unitcircle.errors import ShapeError


@pytest.mark.parametrize("n", [8, 9, 20])
def test_the_product_of_its_dense_factors(n):
    z = np.random.default_rng(n).standard_normal((n, n))
    uniform = 2 * ndtr(z[:7]) - 1
    vectors = [uniform[3] + 1j * uniform[4], uniform[5] + 1j * uniform[6]]
    expected = product_of_factors(np.pi * uniform[:3], vectors, np.argsort(z[7]))
    W = uci.UnitaryEvolution()(z)
    np.testing.assert_allclose(W, expected, rtol=0, atol=10 * n * 2**-52)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(W)), 1, rtol=0, atol=10 * n * 2**-52)


def test_the_phase_of_its_determinant_is_uniform():
    # The diagonal factors turn it by a sum of independent uniform phases.
    determinants = np.linalg.det(uci.UnitaryEvolution().sample(8, rng=0, size=1500))
    assert stats.kstest(np.angle(determinants), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_it_needs_eight_rows():
    with pytest.raises(ShapeError, match="must have at least 8 units for unitary_evolution; got n = 7"):
        uci.UnitaryEvolution().sample(7)
