"""Diagonal and low-rank recurrences: against the definition of the model, and the matrix exponential."""

import cmath
import math

import numpy as np
import pytest
from scipy.linalg import expm

from unitcircle.errors import ShapeError
from unitcircle.recurrence import from_diagonal, from_low_rank, from_lru, from_mamba, from_s4d, step

EPS = np.finfo(np.float64).eps


def test_lru_has_the_modulus_and_phase_of_its_parameters():
    modulus, phase = np.array([0.9, 0.999]), np.array([0.1, 3.0])
    B = np.array([[1.0], [2.0]])
    layer = from_lru(np.log(-np.log(modulus)), np.log(phase), B=B, gamma_log=np.log(np.sqrt(1 - modulus**2)))
    expected = np.array([m * cmath.exp(1j * t) for m, t in zip(modulus, phase, strict=True)])
    np.testing.assert_allclose(layer.diagonal, expected, rtol=64 * EPS)
    np.testing.assert_allclose(layer.inputs["h"][:, 0], np.sqrt(1 - modulus**2) * B[:, 0], rtol=64 * EPS)
    assert from_lru([0.0], [0.0], B=[[1.0]]).inputs["h"][0, 0] == 1.0
    assert layer.source.layout == "lru"


def test_s4d_is_the_zero_order_hold_of_its_continuous_system():
    A = np.array([[-0.5 + 3j, -0.5 + 6j], [-1.0, 0.0]])
    log_step = np.log([0.1, 0.01])
    B = np.arange(1.0, 5.0)[:, None]
    layer = from_s4d(A, log_step, B=B)
    assert layer.hidden_size == 4
    for k, (a, dt, b) in enumerate(zip(A.ravel(), np.repeat([0.1, 0.01], 2), B[:, 0], strict=True)):
        # exp of [[A, B], [0, 0]] Δ holds both discretized blocks (Van Loan 1978).
        block = expm(np.array([[a, b], [0, 0]]) * dt)
        assert layer.diagonal[k] == pytest.approx(block[0, 0], rel=256 * EPS, abs=0)
        assert layer.inputs["h"][k, 0] == pytest.approx(block[0, 1], rel=4096 * EPS, abs=0)


def test_steps_may_be_one_or_one_per_mode():
    one = from_s4d([-1.0, -2.0], 0.0)
    np.testing.assert_allclose(one.diagonal, [math.exp(-1), math.exp(-2)], rtol=8 * EPS)
    each = from_s4d([-1.0, -2.0], [0.0, math.log(2)])
    np.testing.assert_allclose(each.diagonal, [math.exp(-1), math.exp(-4)], rtol=8 * EPS)
    with pytest.raises(ShapeError, match="log_step must have one entry per row"):
        from_s4d(np.zeros((2, 2)), np.zeros(3))


def test_an_unstable_state_space_overflows_to_infinity_without_noise():
    assert np.isinf(from_s4d([1e4], [0.0]).diagonal[0])


def test_mamba_rests_at_the_softplus_of_its_bias():
    A_log, dt_bias = np.log([[1.0, 2.0, 3.0]]), np.array([math.log(math.expm1(0.01))])
    layer = from_mamba(A_log, dt_bias)
    np.testing.assert_allclose(layer.diagonal, np.exp([-0.01, -0.02, -0.03]), rtol=64 * EPS)
    assert not layer.inputs
    assert from_mamba(np.zeros(2), np.full(2, -800.0)).diagonal == pytest.approx(1.0, abs=EPS)
    with pytest.raises(ShapeError, match=r"dt_bias must have shape \(1,\)"):
        from_mamba(A_log, np.zeros(3))


def test_low_rank_weight_is_the_mean_of_outer_products():
    rng = np.random.default_rng(2)
    m, n = rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    layer = from_low_rank(m, n)
    expected = sum(np.outer(m[:, k], n[:, k]) for k in range(2)) / 6
    np.testing.assert_allclose(layer.gates["h"], expected, rtol=0, atol=32 * EPS)
    np.testing.assert_array_equal(layer.factors[1], n)
    with pytest.raises(ShapeError, match=r"n must have the shape of m, \(6, 2\)"):
        from_low_rank(m, n[:5])
    with pytest.raises(ShapeError, match=r"m must have shape \(N, rank\)"):
        from_low_rank(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    with pytest.raises(ShapeError, match="theta_log must have the shape of nu_log"):
        from_lru([0.0], [0.0, 1.0])


def test_a_leak_per_unit():
    layer = from_low_rank(np.zeros(2), np.zeros(2), leak=np.array([0.5, 1.0]), activation="relu")
    np.testing.assert_array_equal(step(layer, None, [1.0, 1.0]), [0.5, 0.0])
    assert from_diagonal([0.5], name="d").source.layout == "diagonal"
