import numpy as np

from unitcircle import initializers as uci


def test_zeros_and_constant_values():
    np.testing.assert_array_equal(uci.Zeros()(np.ones((2, 3))), np.zeros((2, 3)))
    np.testing.assert_array_equal(uci.Constant(-2.5)(np.ones((2, 3))), np.full((2, 3), -2.5))


def test_biases_too():
    np.testing.assert_array_equal(uci.Zeros()(np.ones(3)), np.zeros(3))
    np.testing.assert_array_equal(uci.Constant(1)(np.ones(3)), np.ones(3))
    assert uci.Constant(1).certificate(np.ones(3)).holds


def test_the_residual_is_relative_to_the_value():
    assert uci.Constant(100).residual(np.full(3, 101.0)) == 0.01
    assert uci.Constant(0).residual(np.full(3, 2.0)) == 2.0
