import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES, haar_orthogonal
from tests.oracles import powers

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.spectra import horizon, power_norms

EPS = np.finfo(float).eps


@pytest.mark.parametrize("case", [case for case in CASES if case.n < 100], ids=lambda case: case.name)
@pytest.mark.parametrize("factor", [1.5, 1000.0])
def test_labelled_matrices_against_step_by_step(case, factor):
    steps = 400
    expected = powers.horizon(power_norms(case.matrix, steps), factor)
    found = horizon(case.matrix, factor)
    if math.isinf(expected):
        assert found > steps
    else:
        assert found == expected


@pytest.mark.parametrize("radius", [0.9, 0.999, 1.0 + 1e-6, 1 - 1e-9])
def test_a_scaled_rotation_takes_a_logarithm_of_steps(radius):
    expected = math.ceil(math.log(1000) / abs(math.log(radius)))
    assert (
        abs(horizon(radius * haar_orthogonal(6, np.random.default_rng(0)), 1000.0) / expected - 1)
        <= 1e3 * EPS / abs(1 - radius) + 1e-9
    )


def test_huge_horizons_of_a_non_normal_weight():
    # Jordan: ‖Wᵗ‖ ≈ t ρ^(t-1) (1 + ...): solve for the crossing by its closed form.
    rho = 1 - 1e-6
    W = np.array([[rho, 1.0], [0.0, rho]])

    def log_norm(t):
        # σ₁ of ρᵗ [[1, t/ρ], [0, 1]] is ρᵗ exp(asinh(t/2ρ)).
        return t * math.log(rho) + math.asinh(t / (2 * rho))

    t = int(horizon(W, 1000.0, direction="down"))
    assert log_norm(t - 3) > -math.log(1000) > log_norm(t + 3)
    up = int(horizon(W, 1000.0))
    assert log_norm(up) >= math.log(1000) > log_norm(up - 1)


def test_growth_and_slow_rise():
    assert abs(horizon([[1.0, 1.0], [0.0, 1.0]], 1e6) - 1e6) <= 1
    # 1e9 (1 − (1 − 1e-9)ᵗ) is the corner that rises.
    W = np.array([[1.0, 1.0], [0.0, 1 - 1e-9]])
    assert abs(horizon(W, 1e8) / (-math.log(0.9) * 1e9) - 1) < 1e-6


def test_directions():
    W = [[0.9, 10.0], [0.0, 0.8]]
    assert horizon(W, 5.0) == horizon(W, 5.0, direction="up") == 1.0
    down = horizon(W, 5.0, direction="down")
    logs = power_norms(W, 200)
    assert logs[int(down)] <= -math.log(5) < logs[int(down) - 1]
    assert horizon([[0.5]], 8.0, direction="up") == math.inf
    assert horizon([[2.0]], 8.0, direction="down") == math.inf
    assert horizon([[2.0]], 8.0) == horizon([[0.5]], 8.0) == 3.0


def test_never():
    assert horizon(np.eye(3), 1.1) == math.inf
    assert horizon(haar_orthogonal(5, np.random.default_rng(0)).astype(np.float32), 1.1) == math.inf
    oblique = np.array([[1.0, 3.0], [0.0, 0.0]])
    assert horizon(oblique, 4.0) == math.inf
    assert horizon(oblique, 3.0) == 1.0
    assert horizon(oblique, 1.1, direction="down") == math.inf


def test_a_nilpotent_weight_ends_at_once():
    # 1.02ᵗ until t = 255, then exactly zero.
    assert horizon(1.02 * np.eye(256, k=1), 1000.0) == 256.0
    assert horizon(np.zeros((2, 2)), 2.0) == 1.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.5, 1.2), st.floats(1.01, 1e6))
def test_it_is_a_passage(seed, n, radius, factor):
    W = np.random.default_rng(seed).standard_normal((n, n))
    W *= radius / np.abs(np.linalg.eigvals(W)).max()
    t = horizon(W, factor)
    if t <= 2000:
        logs = power_norms(W, int(t))
        assert abs(logs[-1]) >= math.log(factor) - 64 * n * EPS * t
        assert t == 1 or abs(logs[-2]) < math.log(factor) + 64 * n * EPS * t


def test_libraries_and_batches(library):
    _, asarray = library
    W = asarray(np.array([[[0.5]], [[1.0]], [[2.0]]], dtype=np.float32))
    result = horizon(W, 4.0)
    assert type(result) is type(W)
    assert np.asarray(result).tolist() == [2.0, math.inf, 2.0]


def test_misuse():
    for factor in (1.0, 0.5, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="factor must be above 1"):
            horizon([[0.5]], factor)
    with pytest.raises(UnknownNameError, match="down, either, up"):
        horizon([[0.5]], 2.0, direction="sideways")  # pyright: ignore[reportArgumentType]


def test_every_weight_of_a_batch_has_its_own_fate():
    # The first converges and never falls, the second vanishes after the powers that are looked at one by one.
    falling = np.array([[0.999, 1.0], [0.0, 0.999]])
    batch = np.stack([[[1.0, 0.5], [0.0, 0.9]], falling])
    assert horizon(batch, 1000.0, direction="down").tolist() == [math.inf, horizon(falling, 1000.0, direction="down")]
    assert horizon(falling, 1000.0, direction="down") > 64


def test_either_direction_counts_by_default():
    W = [[0.9, 10.0], [0.0, 0.8]]
    assert horizon(W, 2.0) == horizon(W, 2.0, direction="either") == horizon(W, 2.0, direction="up") == 1
    assert horizon([[0.5]], 2.0) == horizon([[0.5]], 2.0, direction="down") == 1
    assert horizon([[0.5]], 2.0, direction="up") == math.inf


def test_a_zero_weight_never_rises():
    for W in (np.zeros((4, 4)), np.zeros((2, 4, 4))):
        assert np.all(np.isinf(horizon(W, 100.0, direction="up")))
        assert np.all(np.asarray(horizon(W, 100.0, direction="down")) == 1.0)
