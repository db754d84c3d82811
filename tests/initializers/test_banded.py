import numpy as np
import pytest

from unitcircle.initializers._banded import banded, identity


@pytest.mark.parametrize("n", [1, 2, 5])
def test_numpys_diagonals(n):
    rng = np.random.default_rng(0)
    diagonals = {k: rng.standard_normal((3, n - abs(k))) for k in range(1 - n, n)}
    expected = [sum(np.diag(values[b], k) for k, values in diagonals.items()) for b in range(3)]
    np.testing.assert_array_equal(banded(np.ones((3, n, n)), diagonals), expected)
    np.testing.assert_array_equal(banded(np.ones((n, n)), {1: 2.0}), np.diag(np.full(n - 1, 2.0), 1))


def test_identity_of_a_rectangle():
    np.testing.assert_array_equal(identity(np.full((2, 3, 5), 7.0)), np.broadcast_to(np.eye(3, 5), (2, 3, 5)))
