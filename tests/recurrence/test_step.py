"""The reference step and its Jacobian: against torch, and against cells written one number at a time."""

import itertools

import numpy as np
import pytest
from tests.oracles import cells as naive

from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence import (
    ACTIVATIONS,
    Cell,
    RecurrentLayer,
    activation,
    from_diagonal,
    from_low_rank,
    from_onnx,
    from_torch,
    jacobian,
    jvp,
    step,
)

EPS = np.finfo(np.float64).eps
N, M, P = 5, 3, 4


def close(actual, expected, factor=64):
    """Equal to a multiple of n·eps, relative to the largest entry."""
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=factor * N * EPS * scale)


def stacked(cell, *, rng, projection=False, **options):
    k = len(Cell(cell).gates)
    return from_torch(
        rng.standard_normal((k * N, P if projection else N)),
        cell=cell,
        weight_ih=rng.standard_normal((k * N, M)),
        bias_ih=rng.standard_normal(k * N),
        bias_hh=rng.standard_normal(k * N),
        weight_hr=rng.standard_normal((P, N)) if projection else None,
        **options,
    )


def every_cell(rng):
    onnx = {"W": rng.standard_normal((1, 4 * N, M)), "B": rng.standard_normal((1, 8 * N))}
    return {
        "lstm": stacked("lstm", rng=rng),
        "lstm, projected": stacked("lstm", rng=rng, projection=True),
        "lstm, relu": stacked("lstm", rng=rng, activations={"g": "relu", "c": "relu", "i": "hard_sigmoid"}),
        "lstm, peepholes": from_onnx(
            rng.standard_normal((1, 4 * N, N)), cell="lstm", P=rng.standard_normal((1, 3 * N)), **onnx
        )[0],
        "gru": stacked("gru", rng=rng),
        "gru, reset before": from_onnx(
            rng.standard_normal((1, 3 * N, N)), cell="gru", W=rng.standard_normal((1, 3 * N, M))
        )[0],
        "rnn_tanh": stacked("rnn_tanh", rng=rng),
        "rnn_relu": stacked("rnn_relu", rng=rng),
        "linear": stacked("linear", rng=rng),
        "rnn, softsign": stacked("rnn", rng=rng, activations={"h": "softsign"}),
        "leaky": stacked("leaky_rnn", rng=rng, leak=0.2),
        "leaky, per unit": stacked("leaky_rnn", rng=rng, leak=np.linspace(0.1, 0.9, N)),
        "low rank": from_low_rank(
            rng.standard_normal((N, 2)),
            rng.standard_normal((N, 2)),
            inputs=rng.standard_normal((N, M)),
            bias=rng.standard_normal(N),
            leak=0.1,
        ),
        "diagonal": from_diagonal(rng.standard_normal(N), B=rng.standard_normal((N, M))),
    }


CELLS = every_cell(np.random.default_rng(7))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("driven", [True, False])
def test_step_and_jacobian_equal_the_naive_cell(name, driven):
    layer, rng = CELLS[name], np.random.default_rng(11)
    state = rng.standard_normal((2, 3, layer.state_size))
    x = rng.standard_normal((2, 3, M)) if driven else None
    after, J = step(layer, x, state), jacobian(layer, x, state)
    assert after.shape == state.shape
    assert J.shape == (*state.shape, layer.state_size)
    for place in itertools.product(range(2), range(3)):
        sample = x[place] if driven else None
        close(after[place], np.real(naive.step(layer, sample, state[place])))
        close(J[place], naive.jacobian(layer, sample, state[place]))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_and_slopes_equal_the_naive_ones(name):
    x = np.concatenate([np.linspace(-4.1, 4.3, 37), [-30.0, 30.0]])
    nudged = [naive.FUNCTIONS[name](complex(value, naive.TINY)) for value in x]
    phi = activation(name)
    close(phi.value(x), np.real(nudged))
    close(phi.slope(x), np.imag(nudged) / naive.TINY)


@pytest.mark.parametrize(
    ("name", "function", "slope"),
    [
        ("affine(2, 1)", lambda x: 2 * x + 1, lambda x: 2.0),
        ("elu(0.5)", lambda x: x if x > 0 else 0.5 * np.expm1(x), lambda x: 1.0 if x > 0 else 0.5 * np.exp(x)),
        (
            "Hard_Sigmoid(0.3, 0.4)",
            lambda x: min(max(0.3 * x + 0.4, 0), 1),
            lambda x: 0.3 if 0 < 0.3 * x + 0.4 < 1 else 0,
        ),
        ("leaky_relu(0.2)", lambda x: max(x, 0.2 * x), lambda x: 1.0 if x > 0 else 0.2),
        ("scaled_tanh(1.5, 0.7)", lambda x: 1.5 * np.tanh(0.7 * x), lambda x: 1.05 / np.cosh(0.7 * x) ** 2),
        ("thresholded_relu(0.5)", lambda x: x if x > 0.5 else 0.0, lambda x: 1.0 if x > 0.5 else 0.0),
    ],
)
def test_activations_with_constants(name, function, slope):
    x = np.linspace(-4, 4, 33)
    phi = activation(name)
    np.testing.assert_allclose(phi.value(x), [function(one) for one in x], rtol=8 * np.finfo(float).eps)
    np.testing.assert_allclose(
        phi.slope(x), [slope(one) for one in x], rtol=64 * np.finfo(float).eps, atol=np.finfo(float).eps
    )


@pytest.mark.parametrize("name", ["leaky_relu()", "leaky_relu(x)", "leaky_relu(1, 2)", "tanh(2)", "leaky_relu(0.2"])
def test_constants_that_no_activation_has(name):
    with pytest.raises(UnknownNameError):
        activation(name)


def test_activations_have_the_names_of_frameworks():
    assert activation("HardSigmoid") is ACTIVATIONS["hard_sigmoid"]
    assert activation("swish") is ACTIVATIONS["silu"]
    with pytest.raises(UnknownNameError, match="activation must be one of"):
        activation("lambda")


@pytest.mark.parametrize("large", [-1e4, 1e4])
def test_no_activation_overflows(large):
    for phi in ACTIVATIONS.values():
        assert np.isfinite(phi.value(np.array([large]))).all()
        assert np.isfinite(phi.slope(np.array([large]))).all()


class TestAgainstTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        self.torch = pytest.importorskip("torch")

    def described(self, module, k, direction):
        end = f"_l{k}{'_reverse' if direction == 'reverse' else ''}"
        names = ("weight_hh", "weight_ih", "bias_hh", "bias_ih", "weight_hr")
        arrays = {name: getattr(module, name + end, None) for name in names}
        cell = module.mode.lower()
        return from_torch(arrays.pop("weight_hh"), cell=cell, layer=k, direction=direction, **arrays)

    @pytest.mark.parametrize("kind", ["LSTM", "LSTM, projected", "LSTM, no bias", "GRU", "RNN", "RNN, relu"])
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_a_stack_of_layers_gives_the_same_sequence(self, kind, bidirectional):
        torch = self.torch
        options = {
            "LSTM, projected": {"proj_size": P},
            "LSTM, no bias": {"bias": False},
            "RNN, relu": {"nonlinearity": "relu"},
        }
        torch.manual_seed(3)
        module = getattr(torch.nn, kind.partition(",")[0])(
            M, N, num_layers=2, bidirectional=bidirectional, dtype=torch.float64, **options.get(kind, {})
        )
        steps = torch.randn(6, 2, M, dtype=torch.float64)
        expected, _ = module(steps)
        signal = steps.numpy()
        for k in range(2):
            ways = []
            for direction in ("forward", "reverse")[: 2 if bidirectional else 1]:
                layer = self.described(module, k, direction)
                state, outputs = np.zeros((2, layer.state_size)), []
                for x in signal if direction == "forward" else signal[::-1]:
                    state = step(layer, x, state)
                    outputs.append(state[:, : layer.output_size])
                ways.append(np.array(outputs if direction == "forward" else outputs[::-1]))
            signal = np.concatenate(ways, axis=-1)
        close(signal, expected.detach().numpy())

    @pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
    def test_the_jacobian_is_what_autograd_finds(self, kind):
        torch = self.torch
        torch.manual_seed(4)
        module = getattr(torch.nn, kind)(M, N, dtype=torch.float64)
        cell = {"LSTMCell": "lstm", "GRUCell": "gru", "RNNCell": "rnn_tanh"}[kind]
        layer = from_torch(
            module.weight_hh, cell=cell, weight_ih=module.weight_ih, bias_ih=module.bias_ih, bias_hh=module.bias_hh
        )
        x, state = torch.randn(M, dtype=torch.float64), torch.randn(layer.state_size, dtype=torch.float64)

        def function(s):
            return torch.cat(module(x, (s[:N], s[N:]))) if kind == "LSTMCell" else module(x, s)

        expected = torch.autograd.functional.jacobian(function, state)
        close(jacobian(layer, x.numpy(), state.numpy()), expected.numpy())


def test_a_complex_diagonal_turns_its_state():
    layer = from_diagonal([1j, 0.5])
    np.testing.assert_array_equal(step(layer, None, [1.0, 1.0]), [1j, 0.5])
    np.testing.assert_array_equal(jacobian(layer, None, [1.0, 1.0]), np.diag([1j, 0.5]))


@pytest.mark.parametrize("name", CELLS)
def test_tangents_are_carried_as_by_the_jacobian(name):
    layer, rng = CELLS[name], np.random.default_rng(12)
    state, V = rng.standard_normal((3, layer.state_size)), rng.standard_normal((2, 1, layer.state_size, 2))
    close(jvp(layer, None, state, V), jacobian(layer, None, state) @ V)


def test_what_does_not_fit_is_said():
    layer = CELLS["lstm"]
    with pytest.raises(ShapeError, match=r"state must have shape \(\.\.\., 10\); got shape \(5,\)"):
        step(layer, None, np.zeros(5))
    with pytest.raises(ShapeError, match=r"x must have shape \(\.\.\., 3\)"):
        jacobian(layer, np.zeros(4), np.zeros(10))
    with pytest.raises(ShapeError, match=r"tangents must have shape \(\.\.\., 10, p\)"):
        jvp(layer, None, np.zeros(10), np.zeros(10))
    without = RecurrentLayer(name="w", cell=Cell.LINEAR, gates={"h": np.eye(2)})
    with pytest.raises(ArgumentError, match="has no input weight"):
        step(without, np.zeros(4), np.zeros(2))
