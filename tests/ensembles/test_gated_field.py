import math

import numpy as np
import pytest
from tests.oracles.gated_network import simulate
from tests.printed import half_unit

from unitcircle.ensembles import MeanField, critical_gain
from unitcircle.errors import ArgumentError

EPS = float(np.finfo(float).eps)
SIGMAS = 5
"""Standard errors: the runs are chaotic, so that another BLAS draws other samples."""


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("cell", "gain", "input_std", "keep_bias"),
    [("gru", 1.0, 1.0, 0.0), ("gru", 5.0, 1.0, 1.0), ("lstm", 1.0, 1.0, 0.0), ("lstm", 8.0, 1.0, 0.0)],
)
def test_a_gated_network_has_the_exponent_and_the_variance_of_the_theory(cell, gain, input_std, keep_bias):
    field = MeanField(cell, gain=gain, input_std=input_std, keep_bias=keep_bias)
    n = 200
    exponent, error, variance, spread = simulate(cell, gain, input_std, keep_bias, n=n, draws=6, steps=250, rng=1)
    assert 0 < field.error < 0.005
    # Finite size shifts both by the order of 1/n.
    assert abs(exponent - field.exponent) < SIGMAS * math.hypot(error, field.error) + 3 / n
    assert abs(variance - field.variance) < SIGMAS * spread + 4 * field.variance / n


def test_a_gated_network_forgets_more_slowly_than_one_with_new_weights_at_every_step():
    # Closed for new weights: λ = ½ log(E z² + g² Q), Q by a million draws of one unit.
    gain = 1.0
    rng = np.random.default_rng(0)
    expit = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, square = np.zeros(1_000_000), 0.0
    for _ in range(12):
        r, z = expit(np.sqrt(gain**2 * square + 1) * rng.standard_normal((2, h.size)))
        u = gain * math.sqrt(square) * rng.standard_normal(h.size)
        n = np.tanh(rng.standard_normal(h.size) + r * u)
        bent = (1 - z) * (1 - n**2) * r
        slopes = bent**2 + (bent * u * (1 - r)) ** 2 + ((h - n) * z * (1 - z)) ** 2
        h = z * h + (1 - z) * n
        square = float((h**2).mean())
    fresh = 0.5 * math.log(float((z**2).mean() + gain**2 * slopes.mean()))
    assert fresh == pytest.approx(-0.505, abs=half_unit(2))
    assert MeanField("gru", gain=1.0, input_std=1.0).exponent > fresh + 0.08


@pytest.mark.parametrize("keep_bias", [-1.0, 0.0, 2.0])
def test_at_rest_a_gated_network_has_one_jacobian(keep_bias):
    keep = sigmoid(keep_bias)
    for gain in (0.05, 0.3):
        gru, lstm = (MeanField(cell, gain=gain, keep_bias=keep_bias) for cell in ("gru", "lstm"))
        assert gru.exponent == pytest.approx(math.log(keep + (1 - keep) * gain / 2), abs=8 * EPS)
        assert lstm.exponent == pytest.approx(math.log(keep + gain / 4), abs=8 * EPS)
        assert gru.variance == lstm.variance == gru.error == 0
        assert gru.correlation == 1
        assert gru.horizon() == pytest.approx(math.log(1e-3) / gru.exponent)
    assert critical_gain("gru", keep_bias=keep_bias) == 2
    assert critical_gain("lstm", keep_bias=keep_bias) == pytest.approx(4 * (1 - keep), rel=8 * EPS)


@pytest.mark.parametrize(("cell", "gain"), [("gru", 1.0), ("lstm", 1.2)])
def test_the_exponent_at_rest_is_that_of_a_network(cell, gain):
    n = 200
    exponent, error, *_ = simulate(cell, gain, 0.0, n=n, draws=8, steps=150, burn=75, rng=2)
    # The spectral radius of a Gaussian weight lies above its limit by a few hundredths at this size.
    assert abs(exponent - MeanField(cell, gain=gain).exponent) < SIGMAS * error + 4 / n


def test_where_few_units_carry_the_growth_the_error_says_so():
    # With almost no recurrence λ tends to ½ log E z² from above, which units carry that happen to keep for long.
    z = np.linspace(-12, 12, 24001)
    weight = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    limit = 0.5 * math.log(float(weight @ (1 / (1 + np.exp(-z))) ** 2))
    field = MeanField("gru", gain=0.01, input_std=1.0)
    assert field.exponent < limit
    # The sample of E z² has itself an error of a thousandth.
    assert field.error > 0.9 * (limit - field.exponent)


@pytest.mark.slow
def test_the_critical_gain_of_a_driven_gru_is_where_its_exponent_is_zero():
    gain = critical_gain("gru", input_std=0.3)
    field = MeanField("gru", gain=gain, input_std=0.3)
    assert gain > 2
    assert abs(field.exponent) < 5 * field.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bias_std": 0.1}, "bias_std must be 0 for gated cells"),
        ({"activation": "relu"}, "activation must be 'tanh' for cell='gru'"),
        ({"keep_bias": math.nan}, "keep_bias must be between -20 and 20"),
        ({"keep_bias": 21.0}, "keep_bias must be between -20 and 20"),
        ({"gain": 1e6}, "gain must be between 0.001 and 100 for gated cells"),
        ({"gain": 1e-6}, "gain must be between 0.001 and 100 for gated cells"),
        ({"input_std": 1e6}, "input_std must be at most 100 for gated cells"),
        ({"leak": 0.5}, "leak must be in"),
        ({"cell": "rnn", "keep_bias": 1.0}, "keep_bias must be between -20 and 20, and 0 unless"),
    ],
)
def test_what_a_gated_cell_does_not_have_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        MeanField(**{"cell": "gru"} | arguments)


def test_what_is_not_known_of_a_gated_cell_is_refused():
    with pytest.raises(ArgumentError, match="cell must be one without gates"):
        MeanField("lstm").slope  # noqa: B018


def test_a_gate_that_never_lets_go_has_no_critical_gain():
    with pytest.raises(ArgumentError, match="keep_bias must let the state decay by more than"):
        critical_gain("gru", input_std=1.0, keep_bias=18.0)
