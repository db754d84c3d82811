import numpy as np
import pytest
import torch
from tests.oracles.random_network import simulate
from tests.printed import half_unit

from unitcircle.ensembles import critical_gain
from unitcircle.errors import ShapeError, UnknownNameError
from unitcircle.initializers import Critical, parse


@pytest.mark.parametrize(
    ("activation", "input_std", "gain"), [("tanh", 0.0, 1.0), ("tanh", 1.0, 1.855589), ("relu", 0.5, 2**0.5)]
)
def test_every_eigenvalue_has_the_critical_modulus(activation, input_std, gain):
    init = Critical(input_std=input_std, activation=activation)
    W = init.sample(40, rng=0)
    assert np.abs(np.linalg.eigvals(W)) == pytest.approx(gain, rel=0, abs=half_unit(6))
    assert init.certificate(W).holds
    assert not init.certificate(1.01 * W).holds


def test_the_exponent_of_the_driven_network_is_zero():
    exponent, error, *_ = simulate("tanh", Critical(input_std=0.3).gain, 0.3, n=300, draws=12, haar=True)
    assert abs(exponent) < 3 * error + 2 / 300


def test_a_text_names_it():
    init = parse("critical(input_std=0.3, activation=gelu)")
    assert init == Critical(0.3, "gelu")
    assert init.gain == critical_gain(activation="gelu", input_std=0.3)
    assert parse("critical(leak=0.5, input_std=1)").gain == critical_gain("leaky_rnn", input_std=1, leak=0.5)


def test_the_drive_of_a_batch_is_split_into_input_and_bias():
    rng = np.random.default_rng(0)
    bias = 0.4 * rng.standard_normal(500)
    drive = 0.7 * rng.standard_normal((20, 30, 500)) + bias
    init = Critical.of_drive(torch.from_numpy(drive), activation="relu")
    assert init.input_std == pytest.approx(0.7, rel=0.01)
    assert init.bias_std == pytest.approx(np.sqrt(np.mean(bias**2)), rel=0.01)
    assert init.activation == "relu"


def test_misuse_is_refused():
    with pytest.raises(UnknownNameError, match="activation must be one of"):
        Critical(activation="step")
    with pytest.raises(ShapeError, match="drive must be"):
        Critical.of_drive(np.ones(3))
