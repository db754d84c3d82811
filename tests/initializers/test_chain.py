import numpy as np
import pytest

from unitcircle import initializers as uci


def test_reference_value_of_a_long_chain():
    # ../shared/oracles/matrix.json, chain_256
    W = uci.Chain().sample(256)
    assert np.abs(np.linalg.eigvals(W)).max() == 0
    assert np.linalg.norm(np.linalg.matrix_power(W, 100), 2) == pytest.approx(
        7.244646118252348, rel=256 * 2**-52, abs=0
    )


@pytest.mark.parametrize("n", [2, 5, 20])
def test_eigenvalues_with_feedback(n):
    W = uci.Chain(gain=0.99, feedback=0.04).sample(n)
    expected = 2 * np.sqrt(0.99 * 0.04) * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    # A diagonal similarity of condition (g/f)^(n/2) makes it symmetric; measured through that.
    scale = np.sqrt(0.99 / 0.04) ** np.arange(n)
    symmetric = scale[:, None] * W / scale
    np.testing.assert_allclose(np.linalg.eigvalsh(symmetric), np.sort(expected), rtol=0, atol=10 * n * 2**-52)


def test_entries():
    np.testing.assert_array_equal(uci.Chain(gain=3, feedback=2).sample(3), [[0, 3, 0], [2, 0, 3], [0, 2, 0]])
    assert uci.Chain(gain=3, feedback=2).residual(np.zeros((3, 3))) == 1
