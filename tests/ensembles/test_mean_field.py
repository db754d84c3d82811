import math

import mpmath
import numpy as np
import pytest
from scipy import integrate
from tests.oracles.random_network import FUNCTIONS, simulate
from tests.printed import half_unit

from unitcircle.ensembles import MeanField, SpectralRadius, critical_gain
from unitcircle.errors import ArgumentError, UnknownNameError

EPS = float(np.finfo(float).eps)

SIGMAS = 5
"""Standard errors: the runs are chaotic, so that another BLAS draws other samples, and there are dozens of them."""


def normal_mean(function):
    """Return E f(z) by mpmath, in pieces that isolate the kinks at 0."""
    density = lambda z: mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)  # noqa: E731
    return mpmath.quad(lambda z: function(z) * density(z), [-12, -6, -3, -1, -0.2, 0, 0.2, 1, 3, 6, 12])


SIGMOID = lambda x: 1 / (1 + mpmath.exp(-x))  # noqa: E731
PRECISE = {
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "relu": (lambda x: max(x, 0), lambda x: 1 if x > 0 else 0),
    "leaky_relu": (lambda x: max(x, x / 100), lambda x: 1 if x > 0 else mpmath.mpf(1) / 100),
    "sigmoid": (SIGMOID, lambda x: SIGMOID(x) * (1 - SIGMOID(x))),
    "gelu": (lambda x: x * mpmath.ncdf(x), lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x)),
    "linear": (lambda x: x, lambda _: 1),
}
SETTINGS = [
    ("tanh", 1.1, 0.3, 0.0),
    ("tanh", 2.0, 0.0, 0.0),
    ("tanh", 8.0, 3.0, 0.5),
    ("relu", 1.2, 0.5, 0.1),
    ("leaky_relu", 1.2, 0.5, 0.1),
    ("sigmoid", 5.0, 0.2, 0.0),
    ("gelu", 1.3, 0.4, 0.1),
    ("linear", 0.9, 0.7, 0.0),
]


@pytest.mark.parametrize(("activation", "gain", "input_std", "bias_std"), SETTINGS)
def test_the_variance_and_the_exponent_solve_their_equations(activation, gain, input_std, bias_std):
    field = MeanField("rnn", activation, gain, input_std, bias_std)
    function, derivative = PRECISE[activation]
    std = mpmath.sqrt(field.variance)
    q = gain**2 * normal_mean(lambda z: function(std * z) ** 2) + input_std**2 + bias_std**2
    exponent = mpmath.log(gain**2 * normal_mean(lambda z: derivative(std * z) ** 2)) / 2
    # 2 eps, and 0.6 of the exponent, measured.
    assert field.variance == pytest.approx(float(q), rel=16 * EPS)
    assert field.exponent == pytest.approx(float(exponent), abs=16 * EPS)
    assert field.error < 1e-13
    assert field.slope * gain == pytest.approx(math.exp(field.exponent), rel=4 * EPS)


def test_the_quadrature_is_right_where_the_activation_is_a_step():
    field = MeanField(gain=300.0, input_std=100.0)
    std = math.sqrt(field.variance)
    mean = integrate.quad(
        lambda x: (1 - np.tanh(x) ** 2) ** 2 * math.exp(-((x / std) ** 2) / 2), -40, 40, epsrel=500 * EPS
    )
    # As good as SciPy's integral; 2 eps measured.
    assert field.slope**2 == pytest.approx(mean[0] / math.sqrt(2 * math.pi) / std, rel=500 * EPS)


def test_the_critical_modulus_of_tanh_grows_with_the_input():
    values = [critical_gain(input_std=s) for s in (0, 0.1, 0.3, 1, 2)]
    assert values == pytest.approx([1.0, 1.1934, 1.3956, 1.8556, 2.3250], abs=half_unit(4))
    # Where the search for the root ends: 60 eps measured.
    assert MeanField(gain=values[-1], input_std=2).exponent == pytest.approx(0, abs=1000 * EPS)


@pytest.mark.parametrize("input_std", [0.0, 0.3, 2.0])
def test_homogeneous_activations_have_a_critical_gain_without_regard_to_the_input(input_std):
    assert critical_gain(activation="relu", input_std=input_std) == pytest.approx(2**0.5, rel=4 * EPS)
    assert critical_gain(activation="linear", input_std=input_std) == 1
    assert critical_gain(activation="leaky_relu") == pytest.approx(math.sqrt(2 / 1.0001), rel=4 * EPS)


WIDE = [("tanh", 3.0, 2.0, 0.5) if gain == 8.0 else (name, gain, *rest) for name, gain, *rest in SETTINGS]
# At q = 50, of 300 units about 40 have a slope to speak of; and of a Gaussian weight whose Jacobian hardly changes in
# time the exponent is the logarithm of a spectral radius, which is larger than its limit by more than 1/n.
FIXED = {"sigmoid", "linear"}


@pytest.mark.parametrize(
    ("activation", "gain", "input_std", "bias_std", "haar"),
    [(*setting, haar) for setting in WIDE for haar in (False, True) if haar or setting[0] not in FIXED],
)
def test_a_network_of_300_units_has_the_exponent_of_the_theory(activation, gain, input_std, bias_std, haar):
    field = MeanField("rnn", activation, gain, input_std, bias_std)
    exponent, error, variance, spread = simulate(
        activation, gain, input_std, bias_std, n=300, draws=12, steps=250, haar=haar, rng=3
    )
    # Finite size shifts both by the order of 1/n.
    assert abs(exponent - field.exponent) < SIGMAS * error + 2 / 300
    assert abs(variance - field.variance) < SIGMAS * spread + 2 * field.variance / 300


@pytest.mark.parametrize(
    ("activation", "gain", "input_std", "leak"),
    [("tanh", 1.5, 1.0, 0.5), ("tanh", 2.0, 0.1, 0.2), ("relu", 1.2, 0.5, 0.5), ("gelu", 1.2, 0.5, 0.5)],
)
def test_a_leaky_network_has_the_exponent_of_the_theory(activation, gain, input_std, leak):
    field = MeanField("leaky_rnn", activation, gain, input_std, leak=leak)
    exponent, error, variance, spread = simulate(
        activation, gain, input_std, leak=leak, n=300, draws=12, steps=400, rng=5
    )
    assert abs(exponent - field.exponent) < SIGMAS * error + 2 / 300
    assert abs(variance - field.variance) < SIGMAS * spread + 2 * field.variance / 300


def test_without_leak_the_equations_of_memory_are_the_plain_ones():
    plain = MeanField(gain=1.5, input_std=0.5, bias_std=0.2)
    gap = 1e-7
    nearly = MeanField("leaky_rnn", "tanh", 1.5, 0.5, 0.2, leak=1 - gap)
    # Of the order of the gap: 0.6 and 2 of it measured.
    assert nearly.exponent == pytest.approx(plain.exponent, abs=8 * gap)
    assert nearly.variance == pytest.approx(plain.variance, rel=8 * gap)
    assert MeanField("leaky_rnn", "tanh", 1.5, 0.5).exponent == MeanField("rnn", "tanh", 1.5, 0.5).exponent


def test_the_exponent_of_a_linear_network_is_that_of_its_spectral_radius():
    exponent, error, *_ = simulate("linear", 0.9, 0.7, n=100, draws=40, steps=600, burn=300, rng=1)
    radius = SpectralRadius(100, 0.9 / 10).expect(np.log)
    assert abs(exponent - radius) < SIGMAS * error
    assert abs(exponent - MeanField(activation="linear", gain=0.9).exponent) > SIGMAS * error


@pytest.mark.parametrize(
    ("activation", "gain", "slope"),
    [("linear", 0.9, 1.0), ("linear", 1.2, 1.0), ("tanh", 0.9, 1.0), ("gelu", 0.9, 0.5), ("relu", 0.9, 0.5**0.5)],
)
def test_a_leaky_network_at_rest_keeps_what_its_radius_says(activation, gain, slope):
    # One Jacobian, (1 − α) I + α g D G/√n, of spectral radius 1 − α + α g |D|.
    for leak in (0.3, 0.5):
        field = MeanField("leaky_rnn", activation, gain, leak=leak)
        assert field.exponent == pytest.approx(math.log(1 - leak + leak * gain * slope), abs=8 * EPS)
        assert field.error <= 8 * EPS
        assert field.variance == (0 if gain < 1 else math.inf)


def test_a_leaky_relu_network_at_rest_has_the_exponent_of_the_theory():
    field = MeanField("leaky_rnn", "relu", 0.9, leak=0.3)
    exponent, error, *_ = simulate("relu", 0.9, 0.0, leak=0.3, n=200, draws=16, steps=250, rng=2)
    assert abs(exponent - field.exponent) < SIGMAS * error + 2 / 200


def test_two_states_reach_the_correlation_of_the_theory():
    field = MeanField(gain=2.0, input_std=0.3)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(6):
        W = 2.0 * rng.standard_normal((400, 400)) / 20
        pair = rng.standard_normal((2, 400))
        values = []
        for step in range(250):
            a = pair @ W.T + 0.3 * rng.standard_normal(400)
            pair = np.tanh(a)
            values += [a[0] @ a[1] / 400 / field.variance] if step > 100 else []
        found.append(np.mean(values))
    assert abs(np.mean(found) - field.correlation) < SIGMAS * np.std(found, ddof=1) / 6**0.5
    assert MeanField(gain=1.1, input_std=0.3).correlation == 1


def test_lengths_follow_from_the_exponent():
    ordered, chaotic = MeanField(gain=0.9), MeanField("feedforward", gain=1.5, bias_std=0.1)
    assert ordered.correlation_length == pytest.approx(-0.5 / math.log(0.9))
    assert ordered.horizon() == pytest.approx(math.log(1e-3) / math.log(0.9))
    assert chaotic.exponent > 0
    assert chaotic.correlation < 1
    # The correlation of two inputs approaches its limit by a factor e in one depth scale.
    offset = 1e-4
    c = [chaotic.correlation + offset]
    for _ in range(2):
        c.append(chaotic._map(c[-1])[0])
    rate = math.log((c[1] - chaotic.correlation) / (c[2] - chaotic.correlation))
    # The map is linear there but for terms of the order of the offset: 0.4 of it measured.
    assert chaotic.depth_scale == pytest.approx(1 / rate, rel=10 * offset)
    assert MeanField(activation="linear").horizon() == math.inf


def test_a_state_without_bound_has_an_infinite_variance():
    assert MeanField(activation="relu", gain=1.5, input_std=0.1).variance == math.inf
    assert MeanField(activation="gelu", gain=2.5, input_std=0.1).variance == math.inf
    assert MeanField(activation="relu", gain=1.5).exponent == pytest.approx(0.5 * math.log(1.5**2 / 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gain": 0.0}, "gain must be a positive"),
        ({"input_std": -1.0}, "input_std must not be negative"),
        ({"bias_std": math.inf}, "bias_std must not be negative, and its square finite"),
        ({"cell": "feedforward", "input_std": 0.1}, "input_std must be 0 for a stack"),
        ({"leak": 0.5}, "leak must be in"),
        ({"cell": "leaky_rnn", "leak": 0.0}, "leak must be in"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        MeanField(**arguments)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="activation must be one of"):
        MeanField(activation="tanhh")
    with pytest.raises(UnknownNameError, match="cell must be one of"):
        MeanField("elman")
    with pytest.raises(ArgumentError, match="factor must be"):
        MeanField().horizon(2.0)
    with pytest.raises(ArgumentError, match="leak must be 1"):
        MeanField("leaky_rnn", leak=0.5, input_std=0.1).correlation  # noqa: B018


def test_the_oracle_knows_the_same_activations():
    assert set(FUNCTIONS) == set(PRECISE)
