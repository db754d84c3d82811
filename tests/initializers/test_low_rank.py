import numpy as np
import pytest

from unitcircle import initializers as uci
from unitcircle.errors import ShapeError


def test_a_sum_of_outer_products():
    n, r = 12, 3
    z = np.random.default_rng(0).standard_normal((n, n))
    W = uci.LowRank(rank=r, gain=2)(z)
    expected = sum(2 / n * np.outer(z[:, k], z[:, r + k]) for k in range(r))
    np.testing.assert_allclose(W, expected, rtol=0, atol=10 * 2**-52)
    assert np.linalg.matrix_rank(W) == r


def test_its_norm():
    n, r = 200, 10
    W = uci.LowRank(rank=r, gain=3).sample(n, rng=0, size=20)
    # E‖W‖_F² = g² r; its relative standard deviation is about 2/√(n r).
    mean = (np.linalg.norm(W, axis=(-2, -1)) ** 2).mean() / (9 * r)
    assert abs(mean - 1) <= 5 * 2 / np.sqrt(20 * n * r)


def test_it_needs_columns_for_both_factors():
    with pytest.raises(ShapeError, match=r"must have at least 2 × 3 units for rank 3; got n = 5"):
        uci.LowRank(rank=3).sample(5)
    assert np.linalg.matrix_rank(uci.LowRank(rank=3).sample(6, rng=0)) == 3


def test_the_certificate_sees_a_higher_and_a_lower_rank():
    W = uci.LowRank(rank=3).sample(20, rng=0)
    assert uci.LowRank(rank=3).certificate(W).holds
    assert not uci.LowRank(rank=2).certificate(W).holds
    assert not uci.LowRank(rank=1).certificate(np.zeros((20, 20))).holds
    assert not uci.LowRank(rank=20).certificate(W).holds
