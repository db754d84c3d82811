"""Cells that exporters took apart, held against what the onnx package's evaluator computes with the same graph."""

from contextlib import suppress

import numpy as np
import pytest

from unitcircle.checkpoints._onnx import read_onnx
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import Cell, step

EPS32 = float(np.finfo(np.float32).eps)

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT = onnx.TensorProto.FLOAT
N, STEPS = 4, 3


class Graph:
    """A graph under construction; every operation returns the name of its output."""

    def __init__(self, outer=None, *, seed=0):
        self.nodes, self.stored, self.outer = [], {}, outer
        self.rng = np.random.default_rng(seed) if outer is None else outer.rng
        self.names = outer.names if outer is not None else iter(f"v{k}" for k in range(10_000))

    def __getattr__(self, op):
        def call(*inputs, outputs=1, domain="", **attributes):
            names = [next(self.names) for _ in range(outputs)]
            self.nodes.append(helper.make_node(op, list(inputs), names, domain=domain, **attributes))
            return names[0] if outputs == 1 else names

        return call

    def const(self, array, name=None):
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        top = self if self.outer is None else self.outer
        name = name or next(self.names)
        top.stored[name] = array
        return name

    def draw(self, *shape, name=None):
        return self.const(self.rng.standard_normal(shape), name)

    def model(self, inputs, outputs):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "g",
            [value(name, FLOAT, None) for name in inputs],
            [value(name, FLOAT, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.stored.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def body(self, build, inputs, outputs):
        value = helper.make_tensor_value_info
        kinds = [onnx.TensorProto.INT64, onnx.TensorProto.BOOL] + [FLOAT] * 9
        first = kinds[: len(inputs)] if inputs[0] == "iteration" else [FLOAT] * len(inputs)
        last = [onnx.TensorProto.BOOL] + [FLOAT] * 9 if inputs[0] == "iteration" else [FLOAT] * 9
        return helper.make_graph(
            build.nodes,
            "body",
            [value(name, kind, None) for name, kind in zip(inputs, first, strict=False)],
            [value(name, kind, None) for name, kind in zip(outputs, last, strict=False)],
        )


def cut(g, value, k, how):
    """Split a value into the columns of k gates, as one exporter or another does."""
    if how == "Split":
        return g.Split(value, outputs=k, axis=1)
    if how == "Split, sizes":
        return g.Split(value, g.const(np.full(k, N)), outputs=k, axis=-1)
    places = [(0 if how == "Slice, masks" else place * N, place * N, (place + 1) * N) for place in range(k)]
    ends = [end if place + 1 < k else 2**31 - 1 for place, (_, _, end) in enumerate(places)]
    if how == "Slice, masks":  # tf2onnx: the first axis whole, and the end as far as it goes
        return [
            g.Slice(
                value, g.const(np.array([0, start])), g.const(np.array([2**31 - 1, end])), g.const(np.array([0, 1]))
            )
            for (_, start, _), end in zip(places, ends, strict=True)
        ]
    return [
        g.Slice(value, g.const(np.array([start])), g.const(np.array([end])), g.const(np.array([1])))
        for (_, start, _), end in zip(places, ends, strict=True)
    ]


def products(g, style, m, k):
    """Return the function of x and h that gives the pre-activations of k gates."""
    if style == "Gemm":  # torch
        W, b = g.draw(k * N, m, name="cell.weight_ih"), g.draw(k * N, name="cell.bias_ih")
        U, d = g.draw(k * N, N, name="cell.weight_hh"), g.draw(k * N, name="cell.bias_hh")
        return lambda g, x, h: g.Add(g.Gemm(h, U, d, transB=1), g.Gemm(x, W, b, transB=1))
    if style in {"[x, h]", "[h, x]"}:
        W, b = g.draw(N + m, k * N, name="cell/kernel"), g.draw(k * N, name="cell/bias")
        turn = slice(None, None, 1 if style == "[x, h]" else -1)
        return lambda g, x, h: g.Add(g.MatMul(g.Concat(*(x, h)[turn], axis=1), W), b)
    W, U = g.draw(m, k * N, name="cell/MatMul/kernel"), g.draw(N, k * N, name="cell/MatMul_1/kernel")
    b = g.draw(k * N, name="cell/bias")
    return lambda g, x, h: g.Add(b, g.Add(g.MatMul(x, W), g.MatMul(h, U)))


def lstm(g, *, style="MatMul", order="ifgo", how="Split", m=3, gate=None, candidate=None, shift=0.0):
    pre = products(g, style, m, 4)
    one = None if not shift else g.const(np.float32(shift))
    gate = gate or (lambda g, v: g.Sigmoid(v))
    candidate = candidate or (lambda g, v: g.Tanh(v))

    def update(g, x, h, c):
        a = dict(zip(order, cut(g, pre(g, x, h), 4, how), strict=True))
        if one:  # BasicLSTMCell of TensorFlow 1
            a["f"] = g.Add(a["f"], one)
        c = g.Add(g.Mul(gate(g, a["f"]), c), g.Mul(gate(g, a["i"]), candidate(g, a["g"])))
        return g.Mul(candidate(g, c), gate(g, a["o"])), c

    return update


def gru(g, *, form="keras", how="Split", m=3, order="zrn"):
    W, b = g.draw(m, 3 * N, name="cell/kernel"), g.draw(3 * N, name="cell/bias_ih")
    U, d = g.draw(N, 3 * N, name="cell/recurrent"), g.draw(3 * N, name="cell/bias_hh")
    one = g.const(np.float32(1))
    gates, new = g.draw(N + m, 2 * N, name="cell/gates"), g.draw(N + m, N, name="cell/candidate")
    late = g.draw(N, N, name="cell/recurrent_n")

    def update(g, x, h, c):
        if form == "[x, r h]":  # GRUCell of TensorFlow 1
            r, z = (g.Sigmoid(part) for part in cut(g, g.MatMul(g.Concat(x, h, axis=1), gates), 2, how))
            n = g.Tanh(g.MatMul(g.Concat(x, g.Mul(r, h), axis=1), new))
            return g.Add(g.Mul(z, h), g.Mul(g.Sub(one, z), n)), c
        ax = dict(zip(order, cut(g, g.Add(g.MatMul(x, W), b), 3, how), strict=True))
        ah = dict(zip(order, cut(g, g.Add(g.MatMul(h, U), d), 3, how), strict=True))
        z, r = (g.Sigmoid(g.Add(ax[key], ah[key])) for key in "zr")
        if form == "before":
            n = g.Tanh(g.Add(ax["n"], g.MatMul(g.Mul(r, h), late)))
        else:
            n = g.Tanh(g.Add(g.Mul(r, ah["n"]), ax["n"]))
        if form == "torch":
            return g.Add(g.Mul(g.Sub(h, n), z), n), c
        return g.Add(g.Mul(z, h), g.Mul(g.Sub(one, z), n)), c

    return update


def plain(g, *, m=3, phi="Tanh"):
    pre = products(g, "MatMul", m, 1)
    return lambda g, x, h, c: (getattr(g, phi)(pre(g, x, h)), c)


def unrolled(make, *, m=3, zeros=False, **options):
    """Return a model of some steps one after the other, and its inputs."""
    g = Graph()
    update = make(g, m=m, **options)
    xs = g.rng.standard_normal((STEPS, 1, m)).astype(np.float32)
    state = g.rng.standard_normal((2, 1, N)).astype(np.float32) * (not zeros)
    names = [g.Squeeze(one, g.const(np.array([0]))) for one in g.Split("x", outputs=STEPS, axis=0)]
    h, c = (g.const(part) for part in state) if zeros else ("h0", "c0")
    outputs = []
    for x in names:
        h, c = update(g, x, h, c)
        outputs.append(h)
    feeds = {"x": xs} if zeros else {"x": xs, "h0": state[0], "c0": state[1]}
    return g.model(list(feeds), outputs), feeds, (xs, *state)


def one_step(make, *, m=3, **options):
    """Return a model of a single step, whose state is one input, and its inputs."""
    g = Graph()
    update = make(g, m=m, **options)
    xs = g.rng.standard_normal((1, 1, m)).astype(np.float32)
    state = g.rng.standard_normal((2, 1, N)).astype(np.float32)
    h, c = (g.Gather("state", g.const(np.array(place)), axis=0) for place in (0, 1))
    h, _ = update(g, g.Relu("x"), h, c)
    return g.model(["x", "state"], [h]), {"x": xs[0], "state": state}, (np.maximum(xs, 0), *state)


def loop(make, *, m=3, carried=True, **options):
    """Return a model with a Loop, its weights loop-carried as those of tf2onnx, and its inputs."""
    g = Graph()
    update = make(g, m=m, **options)
    body = Graph(g)
    x = body.Gather("xs", "iteration", axis=0)
    h, c = update(body, x, "h", "c")
    weights = [name for name, array in g.stored.items() if array.ndim == 2] if carried else []
    inner = [f"{name}/carried" for name in weights]
    for node in body.nodes:
        node.input[:] = [inner[weights.index(name)] if name in weights else name for name in node.input]
    copies = [body.Identity(name) for name in inner]
    outputs = [body.Identity("go"), h, body.Identity(c), *copies, body.Identity(h)]
    graph = g.body(body, ["iteration", "go", "h", "c", *inner], outputs)
    ends = g.Loop(
        g.const(np.array(STEPS)), g.const(np.array(True)), "h0", "c0", *weights, outputs=3 + len(weights), body=graph
    )
    xs = g.rng.standard_normal((STEPS, 1, m)).astype(np.float32)
    state = g.rng.standard_normal((2, 1, N)).astype(np.float32)
    outs = [g.Squeeze(one, g.const(np.array([0]))) for one in g.Split(ends[-1], outputs=STEPS, axis=0)]
    return g.model(["xs", "h0", "c0"], outs), {"xs": xs, "h0": state[0], "c0": state[1]}, (xs, *state)


def scan(make, *, m=3, **options):
    """Return a model with a Scan and its inputs."""
    g = Graph()
    update = make(g, m=m, **options)
    body = Graph(g)
    h, c = update(body, "x", "h", "c")
    graph = g.body(body, ["h", "c", "x"], [h, body.Identity(c), body.Identity(h)])
    ends = g.Scan("h0", "c0", "xs", outputs=3, body=graph, num_scan_inputs=1)
    xs = g.rng.standard_normal((STEPS, 1, m)).astype(np.float32)
    state = g.rng.standard_normal((2, 1, N)).astype(np.float32)
    outs = [g.Squeeze(one, g.const(np.array([0]))) for one in g.Split(ends[-1], outputs=STEPS, axis=0)]
    return g.model(["xs", "h0", "c0"], outs), {"xs": xs, "h0": state[0], "c0": state[1]}, (xs, *state)


def read(tmp_path, model):
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    return read_onnx(path)


def assert_equal_to_the_graph(tmp_path, made, cell):
    """Hold the steps of the one layer that is read against the outputs of the graph."""
    from onnx.reference import ReferenceEvaluator

    model, feeds, (xs, h, c) = made
    expected = ReferenceEvaluator(model).run(None, feeds)
    (layer,), coverage = read(tmp_path, model)
    assert layer.cell is cell
    assert (coverage.unread, coverage.notes, layer.unknown) == ((), (), frozenset())
    state = np.concatenate([h, c], axis=-1) if cell is Cell.LSTM else h
    for x, output in zip(xs, expected, strict=True):
        state = step(layer, x, state)
        np.testing.assert_allclose(state[0, :N], output.ravel(), rtol=0, atol=64 * np.finfo(np.float32).eps)
    return layer, coverage


ORDERS = ["ifgo", "iofg", "igfo", "fiog", "gifo"]
HOWS = ["Split", "Split, sizes", "Slice", "Slice, masks"]


def clipped(g, value, offset, high):
    """Return the pieces of the hard sigmoid of Keras 2 and 3 that they have in common."""
    return g.Clip(g.Add(value, g.const(np.float32(offset))), g.const(np.float32(0)), g.const(np.float32(high)))


class TestLstm:
    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("how", HOWS)
    def test_every_order_and_cut(self, tmp_path, order, how):
        layer, _ = assert_equal_to_the_graph(tmp_path, loop(lstm, order=order, how=how), Cell.LSTM)
        assert layer.name == "cell"

    @pytest.mark.parametrize("m", [3, N])
    @pytest.mark.parametrize("style", ["MatMul", "Gemm", "[x, h]", "[h, x]"])
    @pytest.mark.parametrize("place", [unrolled, one_step, loop, scan])
    def test_every_product_and_place(self, tmp_path, m, style, place):
        assert_equal_to_the_graph(tmp_path, place(lstm, m=m, style=style), Cell.LSTM)

    @pytest.mark.parametrize("m", [3, N])
    def test_steps_that_start_from_constant_zeros(self, tmp_path, m):
        assert_equal_to_the_graph(tmp_path, unrolled(lstm, m=m, zeros=True), Cell.LSTM)

    def test_biases_stay_apart_where_the_graph_keeps_them_apart(self, tmp_path):
        layer, _ = assert_equal_to_the_graph(tmp_path, unrolled(lstm, style="Gemm"), Cell.LSTM)
        assert np.abs(layer.bias_parts["input"]["f"]).min() > 0 < np.abs(layer.bias_parts["recurrent"]["f"]).min()

    def test_a_constant_added_to_the_forget_gate_is_a_bias(self, tmp_path):
        layer, _ = assert_equal_to_the_graph(tmp_path, loop(lstm, shift=1.0), Cell.LSTM)
        bare, _ = assert_equal_to_the_graph(tmp_path, loop(lstm), Cell.LSTM)
        np.testing.assert_allclose(layer.biases["f"], bare.biases["f"] + 1, rtol=2 * EPS32)

    @pytest.mark.parametrize(
        ("gate", "candidate", "names"),
        [
            (lambda g, v: g.HardSigmoid(v, alpha=0.3), None, ("hard_sigmoid(0.3, 0.5)", "tanh")),
            (None, lambda g, v: g.Relu(v), ("sigmoid", "relu")),
            (lambda g, v: g.Tanh(v), lambda g, v: g.Sigmoid(v), ("tanh", "sigmoid")),
            (lambda g, v: clipped(g, g.Mul(v, g.const(np.float32(0.2))), 0.5, 1), None, ("hard_sigmoid", "tanh")),
            (
                lambda g, v: g.Mul(g.const(np.float32(1 / 6)), clipped(g, v, 3, 6)),
                None,
                ("hard_sigmoid6", "tanh"),
            ),
            (lambda g, v: g.Div(clipped(g, v, 3, 6), g.const(np.float32(6))), None, ("hard_sigmoid6", "tanh")),
        ],
    )
    def test_activations(self, tmp_path, gate, candidate, names):
        layer, _ = assert_equal_to_the_graph(tmp_path, loop(lstm, gate=gate, candidate=candidate), Cell.LSTM)
        assert (layer.activations["f"], layer.activations["g"]) == names


class TestGru:
    @pytest.mark.parametrize("m", [3, N])
    @pytest.mark.parametrize("place", [unrolled, one_step, loop, scan])
    @pytest.mark.parametrize("form", ["keras", "torch", "before", "[x, r h]"])
    def test_every_form_and_place(self, tmp_path, m, place, form):
        layer, _ = assert_equal_to_the_graph(tmp_path, place(gru, m=m, form=form), Cell.GRU)
        assert layer.reset_after == (form in {"keras", "torch"})

    @pytest.mark.parametrize("order", ["zrn", "rzn", "nzr"])
    @pytest.mark.parametrize("how", HOWS)
    def test_every_order_and_cut(self, tmp_path, order, how):
        assert_equal_to_the_graph(tmp_path, loop(gru, order=order, how=how), Cell.GRU)

    def test_weights_that_the_body_sees_from_outside(self, tmp_path):
        assert_equal_to_the_graph(tmp_path, loop(gru, carried=False), Cell.GRU)


class TestPlain:
    @pytest.mark.parametrize("m", [3, N])
    @pytest.mark.parametrize(("phi", "cell"), [("Tanh", Cell.RNN_TANH), ("Relu", Cell.RNN_RELU)])
    @pytest.mark.parametrize("place", [unrolled, loop, scan])
    def test_every_place(self, tmp_path, m, phi, cell, place):
        assert_equal_to_the_graph(tmp_path, place(plain, m=m, phi=phi), cell)


def quantized_lstm(g, *, m=3):
    """Return an LSTM whose products are of integers, as ONNX Runtime's dynamic quantization leaves them."""
    g.wanted = {}

    def weight(rows, name):
        scale = g.rng.uniform(0.01, 0.02, 4 * N).astype(np.float32)
        stored = g.rng.integers(0, 255, (rows, 4 * N)).astype(np.uint8)
        zero = np.full(4 * N, 128, np.uint8)
        g.wanted[name] = (stored.astype(np.float32) - 128) * scale
        return g.const(stored, name), g.const(zero), g.const(scale)

    W, U = weight(m, "cell/kernel_quantized"), weight(N, "cell/recurrent_quantized")

    def product(g, x, stored, zero, scale):
        rounded, by, offset = g.DynamicQuantizeLinear(x, outputs=3)
        whole = g.Cast(g.MatMulInteger(rounded, stored, offset, zero), to=FLOAT)
        return g.Mul(whole, g.Mul(by, scale))

    def update(g, x, h, c):
        a = dict(zip("ifgo", g.Split(g.Add(product(g, x, *W), product(g, h, *U)), outputs=4, axis=1), strict=True))
        c = g.Add(g.Mul(g.Sigmoid(a["f"]), c), g.Mul(g.Sigmoid(a["i"]), g.Tanh(a["g"])))
        return g.Mul(g.Sigmoid(a["o"]), g.Tanh(c)), c

    return update


class TestQuantized:
    def test_products_of_integers(self, tmp_path):
        made = []

        def make(g, m):
            made.append(g)
            return quantized_lstm(g, m=m)

        (layer,), coverage = read(tmp_path, unrolled(make)[0])
        U = made[0].wanted["cell/recurrent_quantized"]
        for place, gate in enumerate("ifgo"):
            np.testing.assert_array_equal(layer.gates[gate], U[:, place * N : (place + 1) * N].T)
        assert (layer.source.dtype, layer.name, coverage.unread) == ("uint8", "cell", ())

    @pytest.mark.parametrize("by_column", [True, False])
    def test_the_quantized_node_of_onnx_runtime(self, tmp_path, by_column):
        g, m, k = Graph(), 3, 4 * N
        shapes = {"W": (1, m, k), "R": (1, N, k)}
        stored = {key: g.rng.integers(-127, 127, shape).astype(np.int8) for key, shape in shapes.items()}
        scales = {key: g.rng.uniform(0.01, 0.02, (1, k) if by_column else 1).astype(np.float32) for key in shapes}
        zero = g.const(np.zeros((1, k) if by_column else 1, np.int8))
        B = g.draw(1, 2 * k, name="B")
        inputs = [g.const(stored[key], key) for key in "WR"]
        inputs += [B, "", "", "", "", g.const(scales["W"]), zero, g.const(scales["R"]), zero]
        y = g.DynamicQuantizeLSTM("x", *inputs, domain="com.microsoft", hidden_size=N)
        (layer,), coverage = read(tmp_path, g.model(["x"], [y]))
        R = (stored["R"].astype(np.float32) * scales["R"].reshape(1, 1, -1))[0]
        for place, gate in enumerate("iofg"):
            np.testing.assert_array_equal(layer.gates[gate], R[:, place * N : (place + 1) * N].T)
        assert (layer.cell, layer.source.dtype, layer.input_size, coverage.unread) == (Cell.LSTM, "int8", m, ())


class TestWhatIsNotRead:
    def test_an_input_that_the_graph_does_not_trace_is_unknown(self, tmp_path):
        g = Graph()
        U, b = g.draw(N, 4 * N, name="cell.weight_hh"), g.draw(4 * N)

        def update(g, x, h, c):
            a = dict(zip("ifgo", cut(g, g.Add(g.Add(g.MatMul(h, U), b), x), 4, "Split"), strict=True))
            c = g.Add(g.Mul(g.Sigmoid(a["f"]), c), g.Mul(g.Sigmoid(a["i"]), g.Tanh(a["g"])))
            return g.Mul(g.Sigmoid(a["o"]), g.Tanh(c)), c

        body = Graph(g)
        h, c = update(body, "x", "h", "c")
        graph = g.body(body, ["h", "c", "x"], [h, body.Identity(c)])
        ends = g.Scan("h0", "c0", g.Sqrt("xs"), outputs=2, body=graph, num_scan_inputs=1)
        (layer,), coverage = read(tmp_path, g.model(["xs", "h0", "c0"], [ends[0]]))
        assert (layer.cell, layer.inputs, coverage.unread) == (Cell.LSTM, {}, ())
        assert layer.unknown == {"input", "bias"}

    def test_a_convolutional_lstm_and_one_with_normalized_gates(self, tmp_path):
        for op in ("Conv", "LayerNormalization"):
            g = Graph()
            U = g.draw(4 * N, N, 3)

            def update(g, x, h, c, op=op, U=U):
                pre = g.Conv(h, U, pads=[1, 1]) if op == "Conv" else g.LayerNormalization(g.Add(x, h), U)
                a = dict(zip("ifgo", g.Split(pre, outputs=4, axis=1), strict=True))
                c = g.Add(g.Mul(g.Sigmoid(a["f"]), c), g.Mul(g.Sigmoid(a["i"]), g.Tanh(a["g"])))
                return g.Mul(g.Sigmoid(a["o"]), g.Tanh(c)), c

            h, _ = update(g, "x", "h", "c")
            layers, coverage = read(tmp_path, g.model(["x", "h", "c"], [h]))
            assert not layers
            (sentence,) = coverage.unread
            assert "looks like an LSTM taken apart (its gates are no products of stored weights): not read" in sentence

    def test_a_projected_lstm_is_not_taken_for_one_of_its_input(self, tmp_path):
        """The input has as many entries as there are units, and the state fed back has fewer."""
        g = Graph()
        W, U, P = g.draw(N, 4 * N), g.draw(2, 4 * N), g.draw(N, 2)
        state = "h0"
        for x in g.Split("x", outputs=2, axis=1):
            a = dict(zip("ifgo", g.Split(g.Add(g.MatMul(x, W), g.MatMul(state, U)), outputs=4, axis=1), strict=True))
            c = g.Add(g.Mul(g.Sigmoid(a["f"]), "c0"), g.Mul(g.Sigmoid(a["i"]), g.Tanh(a["g"])))
            state = g.MatMul(g.Mul(g.Sigmoid(a["o"]), g.Tanh(c)), P)
        layers, coverage = read(tmp_path, g.model(["x", "h0", "c0"], [state]))
        assert not layers
        assert "looks like an LSTM taken apart" in coverage.unread[0]

    def test_two_variables_that_cannot_be_told_apart(self, tmp_path):
        g = Graph()
        x, h, c = "x", "h", "c"
        W, U = g.draw(N, 4 * N, name="one"), g.draw(N, 4 * N, name="two")
        a = dict(zip("ifgo", g.Split(g.Add(g.MatMul(x, W), g.MatMul(h, U)), outputs=4, axis=1), strict=True))
        c = g.Add(g.Mul(g.Sigmoid(a["f"]), c), g.Mul(g.Sigmoid(a["i"]), g.Tanh(a["g"])))
        model = g.model([x, h, "c"], [g.Mul(g.Sigmoid(a["o"]), g.Tanh(c))])
        layers, coverage = read(tmp_path, model)
        assert not layers
        assert coverage.unread[0].endswith("looks like an LSTM taken apart (one, two): not read")
        assert [entry.name for entry in coverage.undecided] == ["one", "two"]

    def test_a_loop_that_multiplies_its_state_in_a_way_of_its_own(self, tmp_path):
        g = Graph()
        U, out = g.draw(N, N, name="U"), g.draw(N, 9, name="readout")
        body = Graph(g)
        h = body.Add("h", body.Mul(body.Sigmoid(body.MatMul("h", U)), body.Erf("h")))
        graph = g.body(body, ["iteration", "go", "h"], [body.Identity("go"), h, body.MatMul(h, out)])
        ends = g.Loop(g.const(np.array(3)), g.const(np.array(True)), "h0", outputs=2, body=graph)
        layers, coverage = read(tmp_path, g.model(["h0"], ends))
        assert not layers
        (sentence,) = coverage.unread
        assert "multiplies its state by U, which looks like a recurrent cell: not read" in sentence
        assert [entry.name for entry in coverage.undecided] == ["U"]

    @pytest.mark.parametrize("kind", ["highway", "gated", "siamese", "attention in a loop", "mlp"])
    def test_what_is_not_recurrent(self, tmp_path, kind):
        g = Graph()
        A, B, one = g.draw(N, N), g.draw(N, N), g.const(np.float32(1))
        if kind == "highway":
            t = g.Sigmoid(g.MatMul("x", A))
            y = g.Add(g.Mul(g.Sub(one, t), "x"), g.Mul(t, g.Tanh(g.MatMul("x", B))))
        elif kind == "gated":
            y = g.Add(g.Mul(g.Sigmoid(g.MatMul("x", A)), g.Tanh(g.MatMul("x", B))), "x")
        elif kind == "siamese":
            left, right = (g.Tanh(g.MatMul(g.Tanh(g.MatMul(x, A)), B)) for x in ("x", "y"))
            y = g.Sub(left, right)
        elif kind == "mlp":
            y = g.Relu(g.MatMul(g.Relu(g.MatMul("x", A)), B))
        else:
            body = Graph(g)
            picked = body.Gather(g.draw(9, N), "token", axis=0)
            logits = body.MatMul(body.Relu(body.MatMul(picked, A)), B)
            graph = g.body(body, ["iteration", "go", "token"], [body.Identity("go"), body.ArgMax(logits, axis=-1)])
            y = g.Loop(g.const(np.array(3)), g.const(np.array(True)), "x", body=graph)
        layers, coverage = read(tmp_path, g.model(["x", "y"], [y]))
        assert not layers
        assert (coverage.unread, coverage.notes) == ((), ("no recurrent node found",))


def test_many_steps_take_linear_time(tmp_path):
    """1,000 steps of 30 operations; one layer of weights, found at each of them."""
    g = Graph()
    update = lstm(g)
    h, c = "h0", "c0"
    g.names = iter(f"v{k}" for k in range(1_000_000))
    for _ in range(1000):
        h, c = update(g, "x", h, c)
    layers, coverage = read(tmp_path, g.model(["x", "h0", "c0"], [h]))
    assert (len(layers), coverage.unread) == (1, ())


OPERATIONS = [
    "MatMul",
    "Gemm",
    "Add",
    "Mul",
    "Sub",
    "Slice",
    "Split",
    "Concat",
    "Identity",
    "Clip",
    "Loop",
    "Scan",
    "LSTM",
]


def disturbed(model, rng):
    """Return a model with some operations, names, shapes or numbers that are not its own."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graphs = [model.graph, *(a.g for node in model.graph.node for a in node.attribute if a.HasField("g"))]
    for _ in range(rng.integers(1, 4)):
        graph = graphs[rng.integers(len(graphs))]
        node = graph.node[rng.integers(len(graph.node))]
        names = [name for one in graph.node for name in one.output] + [one.name for one in model.graph.initializer]
        name = names[rng.integers(len(names))]
        kind = rng.integers(7)
        if kind == 0 and node.input:
            node.input[rng.integers(len(node.input))] = name
        elif kind == 1:
            node.op_type = OPERATIONS[rng.integers(len(OPERATIONS))]
        elif kind == 2 and node.output:
            node.output[rng.integers(len(node.output))] = name
        elif kind == 3:
            dims = model.graph.initializer[rng.integers(len(model.graph.initializer))].dims
            if dims:
                dims[rng.integers(len(dims))] = int(rng.choice([0, 1, -1, 1 << 20, 1 << 62, 8]))
        elif kind == 4 and node.attribute:
            node.attribute[rng.integers(len(node.attribute))].i = int(rng.choice([-1, 0, 2, 1 << 40, -(1 << 40)]))
        elif kind == 5 and graph.input:
            graph.input[rng.integers(len(graph.input))].name = name
        elif kind == 6 and node.input:
            del node.input[rng.integers(len(node.input))]
    return model


@pytest.mark.parametrize("place", [loop, scan, unrolled])
def test_disturbed_graphs_raise_nothing_but_checkpoint_error(tmp_path, place):
    models = [place(lstm, style="[x, h]")[0], place(gru, form="before")[0], place(plain)[0]]
    read_as_layers = 0
    for seed in range(200):
        with suppress(CheckpointError):
            layers, coverage = read(tmp_path, disturbed(models[seed % 3], np.random.default_rng(seed)))
            assert str(coverage)
            read_as_layers += bool(layers)
    assert read_as_layers > 20
