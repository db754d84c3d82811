import numpy as np
import pytest
import torch
from scipy import stats

from unitcircle import initializers as uci
from unitcircle.errors import ShapeError, UnknownNameError


def test_time_constants_are_uniform_up_to_the_longest_dependency():
    bias = uci.Chrono(max_steps=100).sample(5000, rng=0)
    time_constants = 1 + np.exp(bias)
    assert stats.kstest(time_constants, stats.uniform(2, 98).cdf).pvalue > 1e-3
    assert 2 <= time_constants.min() < time_constants.max() <= 100 * (1 + 2**-50)


def test_gates_of_an_lstm():
    z = np.random.default_rng(0).standard_normal((2, 7))
    gates = uci.Chrono(max_steps=50).gates(z, cell="lstm")
    assert set(gates) == {"f", "i"}
    np.testing.assert_array_equal(gates["f"], uci.Chrono(max_steps=50)(z))
    np.testing.assert_array_equal(gates["i"], -gates["f"])
    np.testing.assert_array_equal(uci.ForgetBias(2.0).gates(z, cell="lstm")["f"], np.full((2, 7), 2.0))
    assert set(uci.ForgetBias().gates(z, cell="lstm")) == {"f"}


def test_gates_of_a_gru_keep_what_they_say():
    z = torch.randn(4, generator=torch.Generator().manual_seed(0))
    gates = uci.Chrono(max_steps=50).gates(z, cell="gru")
    assert set(gates) == {"z"}
    # torch's own cell, its weights 0 and the bias once, not twice: h' = z h + (1 − z) tanh(0).
    cell = torch.nn.GRUCell(1, 4)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_hh[4:8] = gates["z"]
        h = cell(torch.zeros(1, 1), torch.ones(1, 4))
    # A time constant of T steps decays by 1 − 1/T a step.
    assert (h[0] - (1 - 1 / (1 + torch.exp(gates["z"])))).abs().max() <= 10 * 2**-23


def test_other_cells_are_refused():
    with pytest.raises(UnknownNameError, match="cell must be one of gru, lstm; got 'rnn'"):
        uci.Chrono().gates(np.zeros(3), cell="rnn")


def test_the_certificate_tells_the_longest_dependency():
    bias = uci.Chrono(max_steps=100).sample(1000, rng=0)
    assert uci.Chrono(max_steps=100).certificate(bias.astype(np.float16)).holds
    assert not uci.Chrono(max_steps=200).certificate(bias).holds
    assert uci.ForgetBias(2).residual(np.full(3, 3.0)) == 0.5


def test_gates_are_uniform_up_to_one_over_n():
    n = 4000
    bias = uci.UniformGate().sample(n, rng=0)
    gate = 1 / (1 + np.exp(-bias))
    assert stats.kstest(gate, stats.uniform(1 / n, 1 - 2 / n).cdf).pvalue > 1e-3
    assert 1 / n * (1 - 2**-50) <= gate.min() < gate.max() <= 1 - 1 / n + 2**-50
    both = uci.UniformGate().gates(np.random.default_rng(0).standard_normal(n), cell="lstm")
    np.testing.assert_array_equal(both["f"], bias)
    np.testing.assert_array_equal(both["i"], -bias)
    assert set(uci.parse("ugi").gates(bias, cell="gru")) == {"z"}


def test_both_tails_of_a_uniform_gate_are_those_of_its_formula():
    z = np.array([-30.0, -3.0, 0.0, 3.0, 30.0, 1.0])
    n, u = 6, stats.norm.cdf([-30.0, -3.0, 0.0, 3.0, 30.0, 1.0])
    u = 1 / n + (1 - 2 / n) * u
    np.testing.assert_allclose(uci.UniformGate()(z), -np.log(1 / u - 1), rtol=0, atol=8 * 2**-52)
    # The law is symmetric: the gate that forgets is the mirror of the one that keeps.
    np.testing.assert_array_equal(uci.UniformGate()(-z), -uci.UniformGate()(z))


def test_the_certificate_of_uniform_gates():
    bias = uci.UniformGate().sample(1000, rng=0)
    assert uci.UniformGate().certificate(bias.astype(np.float16)).holds
    assert not uci.UniformGate().certificate(uci.Chrono(max_steps=100).sample(1000, rng=0)).holds
    assert not uci.UniformGate().certificate(1.2 * bias).holds
    # Of two units the interval is the point 1/2; of one it is empty.
    assert uci.UniformGate().certificate(uci.UniformGate()(np.array([1.0, -2.0]))).holds
    assert not uci.UniformGate().certificate(np.array([0.0, 0.1])).holds
    with pytest.raises(ShapeError, match=r"^z must have at least two units for uniform_gate, .*; got n = 1"):
        uci.UniformGate()(np.zeros(1))
    with pytest.raises(ShapeError, match=r"^W must have at least two units"):
        uci.UniformGate().certificate(np.zeros((3, 1)))


@pytest.mark.parametrize("name", ["chrono", "forget_bias", "uniform_gate"])
def test_gate_biases_are_told_apart_from_weights(name):
    assert isinstance(uci.parse(name), uci.GateBias)
    assert not isinstance(uci.parse("zeros"), uci.GateBias)
