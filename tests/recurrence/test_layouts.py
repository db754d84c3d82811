"""Every framework's layout becomes ours: against the framework's own formula, and from one layout to the other."""

from types import MappingProxyType

import numpy as np
import pytest
from scipy.special import expit

from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer, Source, from_flax, from_keras, from_onnx, from_torch, step

EPS = np.finfo(np.float64).eps
N, M = 5, 3
RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=64 * N * EPS * max(1.0, np.abs(expected).max()))


def keras_lstm(kernel, recurrent, bias, x, h, c):
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return np.concatenate([expit(o) * np.tanh(c), c], axis=-1)


def keras_gru(kernel, recurrent, bias, x, h, *, reset_after):
    if reset_after:
        (xz, xr, xh), (hz, hr, hh) = np.split(x @ kernel + bias[0], 3, -1), np.split(h @ recurrent + bias[1], 3, -1)
        z, r = expit(xz + hz), expit(xr + hr)
        candidate = np.tanh(xh + r * hh)
    else:
        xz, xr, xh = np.split(x @ kernel + bias, 3, -1)
        z, r = expit(xz + h @ recurrent[:, :N]), expit(xr + h @ recurrent[:, N : 2 * N])
        candidate = np.tanh(xh + (r * h) @ recurrent[:, 2 * N :])
    return z * h + (1 - z) * candidate


def to_cudnn(kernel, recurrent, gates):
    """Store Keras kernels as the CuDNN layers do: every block's buffer holds its transpose."""
    kernels = [block.T.reshape(block.shape, order="C") for block in np.split(kernel, gates, axis=1)]
    return np.hstack(kernels), np.hstack([block.T for block in np.split(recurrent, gates, axis=1)])


class TestKeras:
    def test_lstm(self):
        kernel, recurrent, bias = normal(M, 4 * N), normal(N, 4 * N), normal(4 * N)
        layer = from_keras(recurrent, cell="lstm", kernel=kernel, bias=bias)
        x, h, c = normal(2, M), normal(2, N), normal(2, N)
        close(step(layer, x, np.hstack([h, c])), keras_lstm(kernel, recurrent, bias, x, h, c))
        assert layer.source == Source(layout="keras", dtype="float64")

    @pytest.mark.parametrize("reset_after", [False, True])
    def test_gru(self, reset_after):
        kernel, recurrent = normal(M, 3 * N), normal(N, 3 * N)
        bias = normal(2, 3 * N) if reset_after else normal(3 * N)
        layer = from_keras(recurrent, cell="gru", kernel=kernel, bias=bias)
        assert layer.reset_after is reset_after
        x, h = normal(2, M), normal(2, N)
        close(step(layer, x, h), keras_gru(kernel, recurrent, bias, x, h, reset_after=reset_after))

    def test_cudnn_lstm_equals_the_lstm_it_was_made_from(self):
        kernel, recurrent, bias = normal(M, 4 * N), normal(N, 4 * N), normal(8 * N)
        stored = to_cudnn(kernel, recurrent, 4)
        layer = from_keras(stored[1], cell="lstm", kernel=stored[0], bias=bias)
        plain = from_keras(recurrent, cell="lstm", kernel=kernel, bias=bias[: 4 * N] + bias[4 * N :])
        assert layer.source.layout == "keras-cudnn"
        for blocks in ("gates", "inputs", "biases"):
            for gate, block in getattr(plain, blocks).items():
                np.testing.assert_array_equal(getattr(layer, blocks)[gate], block)
        np.testing.assert_array_equal(layer.bias_parts["recurrent"]["f"], bias[5 * N : 6 * N])

    def test_cudnn_gru_equals_the_gru_it_was_made_from(self):
        kernel, recurrent, bias = normal(M, 3 * N), normal(N, 3 * N), normal(6 * N)
        stored = to_cudnn(kernel, recurrent, 3)
        layer = from_keras(stored[1], cell="gru", kernel=stored[0], bias=bias)
        x, h = normal(M), normal(N)
        expected = keras_gru(kernel, recurrent, bias.reshape(2, -1), x, h, reset_after=True)
        close(step(layer, x, h), expected)

    @pytest.mark.parametrize(
        ("activation", "cell"), [("tanh", "rnn_tanh"), ("relu", "rnn_relu"), ("linear", "linear"), ("sigmoid", "rnn")]
    )
    def test_simple_rnn_is_named_by_its_activation(self, activation, cell):
        layer = from_keras(normal(N, N), cell="rnn", activation=activation)
        assert layer.cell == cell
        assert layer.activations["h"] == activation

    def test_swapped_activations_are_kept(self):
        layer = from_keras(normal(N, 4 * N), cell="lstm", activation="sigmoid", recurrent_activation="tanh")
        assert layer.activations == {"i": "tanh", "f": "tanh", "g": "sigmoid", "o": "tanh", "c": "sigmoid"}

    def test_without_bias_a_gru_resets_after(self):
        assert from_keras(normal(N, 3 * N), cell="gru").reset_after
        assert not from_keras(normal(N, 3 * N), cell="gru", reset_after=False).reset_after

    @pytest.mark.parametrize("bias", [normal(), normal(3, 4 * N), normal(1, 1, 4 * N)])
    def test_a_bias_of_no_known_shape_is_said(self, bias):
        with pytest.raises(ShapeError, match="bias must be one vector of biases, or two"):
            from_keras(normal(N, 4 * N), cell="lstm", bias=bias)

    def test_the_cudnn_layout_may_be_stated(self):
        recurrent = normal(N, 4 * N)
        layer = from_keras(recurrent, cell="lstm", cudnn=True)
        np.testing.assert_array_equal(layer.gates["i"], recurrent[:, :N])


class TestOnnx:
    def test_bidirectional_lstm_equals_torch(self):
        order = [0, 3, 1, 2]  # i o f g from i f g o
        arrays = [(normal(4 * N, N), normal(4 * N, M), normal(4 * N), normal(4 * N)) for _ in range(2)]
        torch = [from_torch(R, cell="lstm", weight_ih=W, bias_ih=b, bias_hh=c) for R, W, b, c in arrays]

        def shuffled(index):
            return np.stack(
                [a[index].reshape(4, N, *a[index].shape[1:])[order].reshape(a[index].shape) for a in arrays]
            )

        both = from_onnx(
            shuffled(0),
            cell="lstm",
            W=shuffled(1),
            B=np.hstack([shuffled(2), shuffled(3)]),
            direction="bidirectional",
            name="encoder",
        )
        assert [layer.direction for layer in both] == ["forward", "reverse"]
        for mine, theirs in zip(both, torch, strict=True):
            assert mine.name == "encoder"
            for blocks in ("gates", "inputs", "biases"):
                for gate, block in getattr(theirs, blocks).items():
                    np.testing.assert_array_equal(getattr(mine, blocks)[gate], block)

    @pytest.mark.parametrize("linear_before_reset", [False, True])
    def test_gru_follows_the_operator(self, linear_before_reset):
        R, W, B = normal(1, 3 * N, N), normal(1, 3 * N, M), normal(1, 6 * N)
        (layer,) = from_onnx(R, cell="gru", W=W, B=B, linear_before_reset=linear_before_reset, direction="reverse")
        assert layer.direction == "reverse"
        x, h = normal(M), normal(N)
        Wz, Wr, Wh = np.split(W[0], 3)
        Rz, Rr, Rh = np.split(R[0], 3)
        Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = np.split(B[0], 6)
        z, r = expit(Wz @ x + Rz @ h + Wbz + Rbz), expit(Wr @ x + Rr @ h + Wbr + Rbr)
        hidden = r * (Rh @ h + Rbh) if linear_before_reset else Rh @ (r * h) + Rbh
        candidate = np.tanh(Wh @ x + hidden + Wbh)
        close(step(layer, x, h), (1 - z) * candidate + z * h)

    def test_activations_are_read_per_direction(self):
        R = normal(2, 4 * N, N)
        names = ["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Relu", "Tanh"]
        first, second = from_onnx(R, cell="lstm", direction="bidirectional", activations=names)
        assert dict(first.activations) == {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid", "c": "relu"}
        assert second.activations["i"] == "hardsigmoid"
        (gru,) = from_onnx(normal(1, 3 * N, N), cell="gru", activations=["Sigmoid", "Relu"])
        assert gru.activations["n"] == "relu"
        (rnn,) = from_onnx(normal(1, N, N), cell="rnn", activations=["Relu"])
        assert rnn.cell is Cell.RNN_RELU
        assert from_onnx(normal(1, N, N), cell="rnn")[0].cell is Cell.RNN_TANH

    def test_what_does_not_fit_the_node_is_said(self):
        R = normal(1, 4 * N, N)
        with pytest.raises(UnknownNameError, match="direction must be one of bidirectional, forward, reverse"):
            from_onnx(R, cell="lstm", direction="backward")
        with pytest.raises(ShapeError, match=r"R must have 3 axes, the first 2 direction"):
            from_onnx(R, cell="lstm", direction="bidirectional")
        with pytest.raises(ShapeError, match=r"B must have shape \(1, 40\)"):
            from_onnx(R, cell="lstm", B=normal(1, N))
        with pytest.raises(ShapeError, match="P must hold 3 peepholes of 5"):
            from_onnx(R, cell="lstm", P=normal(1, 4 * N))
        with pytest.raises(ArgumentError, match="activations must name 3 functions per direction; got 2"):
            from_onnx(R, cell="lstm", activations=["Tanh", "Relu"])


class TestFlax:
    def parameters(self, gates, side, size, *, biased):
        return {
            f"{side}{gate}": {"kernel": normal(size, N)} | ({"bias": normal(N)} if gate in biased else {})
            for gate in gates
        }

    def test_linen_lstm(self):
        p = self.parameters("ifgo", "h", N, biased="ifgo") | self.parameters("ifgo", "i", M, biased="")
        layer = from_flax(p, name="cell")
        x, h, c = normal(M), normal(N), normal(N)
        a = {k: x @ p[f"i{k}"]["kernel"] + h @ p[f"h{k}"]["kernel"] + p[f"h{k}"]["bias"] for k in "ifgo"}
        new = expit(a["f"]) * c + expit(a["i"]) * np.tanh(a["g"])
        close(step(layer, x, np.hstack([h, c])), np.hstack([expit(a["o"]) * np.tanh(new), new]))
        assert layer.source.layout == "flax"

    def test_nnx_writes_if_with_an_underscore(self):
        p = self.parameters("ifgo", "h", N, biased="ifgo") | self.parameters("ifgo", "i", M, biased="")
        layer = from_flax({("if_" if key == "if" else key): leaves for key, leaves in p.items()})
        np.testing.assert_array_equal(layer.inputs["f"], p["if"]["kernel"].T)
        assert list(layer.inputs) == list("ifgo")

    def test_linen_gru(self):
        p = self.parameters("rzn", "h", N, biased="n") | self.parameters("rzn", "i", M, biased="rzn")
        layer = from_flax(p)
        x, h = normal(M), normal(N)
        u = {k: x @ p[f"i{k}"]["kernel"] + p[f"i{k}"]["bias"] for k in "rzn"}
        r, z = (expit(u[k] + h @ p[f"h{k}"]["kernel"]) for k in "rz")
        candidate = np.tanh(u["n"] + r * (h @ p["hn"]["kernel"] + p["hn"]["bias"]))
        close(step(layer, x, h), (1 - z) * candidate + z * h)

    def test_simple_cell(self):
        p = {"h": {"kernel": normal(N, N)}, "i": {"kernel": normal(M, N), "bias": normal(N)}}
        x, h = normal(M), normal(N)
        close(step(from_flax(p), x, h), np.tanh(x @ p["i"]["kernel"] + p["i"]["bias"] + h @ p["h"]["kernel"]))

    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    def test_nnx_fuses_the_gates_by_columns(self, cell):
        k = len(Cell(cell).gates)
        dense = {
            "dense_h": {"kernel": normal(N, k * N)},
            "dense_i": {"kernel": normal(M, k * N), "bias": normal(k * N)},
        }
        layer = from_flax(dense)
        assert layer.cell == cell
        for j, gate in enumerate(Cell(cell).gates):
            np.testing.assert_array_equal(layer.gates[gate], dense["dense_h"]["kernel"][:, j * N : (j + 1) * N].T)

    def test_other_parameters_are_refused(self):
        with pytest.raises(ArgumentError, match="must be those of a flax SimpleCell, GRUCell or LSTMCell; got kernel"):
            from_flax({"kernel": normal(N, N)})
        with pytest.raises(ArgumentError, match="flax"):
            from_flax({"dense_h": {"kernel": normal(N)}})
        with pytest.raises(ArgumentError, match="two-dimensional recurrent kernels"):
            from_flax({"h": {}})


class TestTorch:
    def test_both_biases_stay_visible_beside_their_sum(self):
        ones = np.ones(4 * N, dtype=np.float32)
        layer = from_torch(normal(4 * N, N), cell="lstm", bias_ih=ones, bias_hh=ones)
        np.testing.assert_array_equal(layer.biases["f"], np.full(N, 2.0))
        np.testing.assert_array_equal(layer.bias_parts["input"]["f"], np.ones(N))
        np.testing.assert_array_equal(layer.bias_parts["recurrent"]["f"], np.ones(N))
        assert not layer.recurrent_biases

    def test_a_gru_keeps_the_bias_inside_its_reset_product(self):
        layer = from_torch(normal(3 * N, N), cell="gru", bias_hh=np.arange(3.0 * N))
        np.testing.assert_array_equal(layer.recurrent_biases["n"], np.arange(2 * N, 3 * N))
        np.testing.assert_array_equal(layer.biases["n"], np.zeros(N))
        np.testing.assert_array_equal(layer.biases["z"], np.arange(N, 2 * N))

    def test_a_projection_gives_the_effective_recurrence(self):
        stack, projection = normal(4 * N, 2).astype(np.float32), normal(2, N).astype(np.float32)
        layer = from_torch(stack, cell="lstm", weight_hr=projection)
        np.testing.assert_array_equal(layer.projected_gates["f"], stack[N : 2 * N])
        close(layer.gates["f"], stack[N : 2 * N].astype(float) @ projection.astype(float))
        assert (layer.hidden_size, layer.output_size, layer.state_size) == (N, 2, N + 2)

    def test_blocks_are_views_in_the_stored_precision(self):
        stack = normal(3 * N, N).astype(np.float16)
        layer = from_torch(stack, cell="gru", name="rnn")
        assert np.shares_memory(layer.gates["z"], stack)
        assert layer.source.dtype == "float16"
        assert layer.input_size is None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cell": "lstm", "stack": (10, 5)}, "weight_hh must stack 4 gates of a cell lstm; got a stack of 10"),
            ({"cell": "gru", "stack": (15, 4)}, r"gate r must have shape \(5, 5\); got shape \(5, 4\)"),
            ({"cell": "gru", "stack": (15,)}, "weight_hh must have two axes"),
            ({"cell": "gru", "stack": (0, 0)}, "weight_hh must have two axes, neither empty"),
            ({"cell": "gru", "stack": (15, 5), "bias_ih": (14,)}, "bias_ih must stack 3 gates of 5 units"),
            ({"cell": "gru", "stack": (15, 5), "weight_ih": (5, 5)}, "weight_ih must stack 3 gates of 5 units"),
            ({"cell": "gru", "stack": (15, 5), "weight_hr": (2, 5)}, "weight_hr must be the"),
            ({"cell": "lstm", "stack": (20, 2), "weight_hr": (2, 4)}, "weight_hr must be the"),
        ],
    )
    def test_shapes_that_do_not_fit_are_said(self, options, message):
        shapes = dict(options)
        cell, stack = shapes.pop("cell"), shapes.pop("stack")
        with pytest.raises(ShapeError, match=message):
            from_torch(np.zeros(stack), cell=cell, **{name: np.zeros(shape) for name, shape in shapes.items()})

    @pytest.mark.parametrize("cell", ["elman", "diagonal"])
    def test_an_unknown_cell_is_said(self, cell):
        with pytest.raises(UnknownNameError, match="cell must be one of"):
            from_torch(np.zeros((2, 2)), cell=cell)


class TestRecurrentLayer:
    def test_it_is_frozen_and_its_mappings_too(self):
        layer = RecurrentLayer(name="w", cell=Cell.RNN_TANH, gates={"h": np.eye(2)})
        assert isinstance(layer.gates, MappingProxyType)
        with pytest.raises(AttributeError):
            layer.name = "other"

    @pytest.mark.parametrize(
        ("fields", "label"),
        [({}, "w"), ({"layer": 2}, "w l2"), ({"direction": "reverse"}, "w l0 reverse")],
    )
    def test_its_label_tells_layers_of_one_module_apart(self, fields, label):
        assert RecurrentLayer(name="w", cell=Cell.RNN_TANH, gates={"h": np.eye(2)}, **fields).label == label

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"direction": "backward"}, "direction must be one of forward, reverse"),
            ({"gates": {}}, "gates must be h, in this order"),
            ({"gates": {"h": np.zeros((0, 0))}}, "gates must have at least one unit"),
            ({"inputs": {"h": np.zeros((3, 1))}}, r"input block h must have shape \(2, 1\)"),
            ({"biases": {"h": np.zeros(3)}}, r"biases h must have shape \(2,\)"),
            ({"cell": Cell.DIAGONAL}, "diagonal must be one eigenvalue per unit"),
            ({"cell": Cell.DIAGONAL, "diagonal": np.zeros((2, 2))}, r"got shape \(2, 2\)"),
        ],
    )
    def test_what_is_no_layer_is_refused(self, fields, message):
        with pytest.raises((ArgumentError, UnknownNameError), match=message):
            RecurrentLayer(**({"name": "w", "cell": Cell.RNN_TANH, "gates": {"h": np.eye(2)}} | fields))
