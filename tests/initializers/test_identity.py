import numpy as np

from unitcircle import initializers as uci


def test_multiples_of_the_identity():
    np.testing.assert_array_equal(uci.Identity().sample(3), np.eye(3))
    np.testing.assert_array_equal(uci.Identity(0.01).sample((2, 4), size=2)[1], 0.01 * np.eye(2, 4))


def test_the_residual_is_relative_to_the_scale():
    assert uci.Identity(2.0).residual(3 * np.eye(4)) == 0.5
    assert uci.Identity(0.0).residual(3 * np.eye(4)) == 3.0
