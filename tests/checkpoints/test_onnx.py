"""ONNX files against the onnx package, which we do not use: its parser, its reference evaluator, its writer."""

import json
from contextlib import suppress

import numpy as np
import pytest
from tests.checkpoints.test_hdf5 import damaged
from tests.checkpoints.test_keras import EIGHT_DIGITS, SHARED

import unitcircle.checkpoints
from unitcircle.checkpoints import _onnx, _onnx_graph, _onnx_nodes, _room
from unitcircle.checkpoints._keras import read_hdf5
from unitcircle.checkpoints._onnx import read_onnx
from unitcircle.checkpoints._onnx_folding import Folding, Scope
from unitcircle.checkpoints._onnx_graph import Model
from unitcircle.checkpoints._onnx_wire import WireError, fields, integers
from unitcircle.checkpoints._room import room
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import Cell

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
COUNT = {"RNN": 1, "GRU": 3, "LSTM": 4}
ORDER = {"RNN": "h", "GRU": "zrn", "LSTM": "iofg"}


def rng(seed=0):
    return np.random.default_rng(seed)


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def proto(nodes, *, stored=(), inputs=("X",), outputs=("Y",), functions=(), opset=17):
    """Return a model; its inputs and outputs are floats of unknown shape."""
    values = [[helper.make_tensor_value_info(name, FLOAT, None) for name in names] for names in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *values, initializer=[tensor(*each) for each in stored])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets)


def branch(nodes, output, *, stored=()):
    value = helper.make_tensor_value_info(output, FLOAT, None)
    return helper.make_graph(nodes, "b", [], [value], initializer=[tensor(*each) for each in stored])


def read(tmp_path, model):
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with room():
        return read_onnx(path)


def weights(op, n=2, m=3, *, directions=1, seed=0):
    """Return W, R and B of a node."""
    draw, k = rng(seed), COUNT[op]
    shapes = [(directions, k * n, m), (directions, k * n, n), (directions, 2 * k * n)]
    return [draw.standard_normal(shape).astype(np.float32) for shape in shapes]


def recurrent(op, *, name="node", inputs=("X", "W", "R", "B"), n=2, **attributes):
    return helper.make_node(op, list(inputs), ["Y"], name=name, hidden_size=n, **attributes)


def assert_holds(layer, op, arrays, *, direction=0):
    W, R, B = (array[direction] for array in arrays)
    n, k = R.shape[1], COUNT[op]
    for place, gate in enumerate(ORDER[op]):
        rows = slice(place * n, (place + 1) * n)
        np.testing.assert_array_equal(layer.gates[gate], R[rows])
        np.testing.assert_array_equal(layer.inputs[gate], W[rows])
        np.testing.assert_array_equal(layer.bias_parts["input"][gate], B[rows])
        np.testing.assert_array_equal(layer.bias_parts["recurrent"][gate], B[k * n :][rows])


class TestNodes:
    @pytest.mark.parametrize("op", COUNT)
    def test_stored_weights(self, tmp_path, op):
        arrays = weights(op)
        stored = zip("WRB", arrays, strict=True)
        (layer,), coverage = read(tmp_path, proto([recurrent(op, name="cell")], stored=stored))
        assert_holds(layer, op, arrays)
        assert layer.cell is {"RNN": Cell.RNN_TANH, "GRU": Cell.GRU, "LSTM": Cell.LSTM}[op]
        assert (layer.name, layer.direction, layer.reset_after) == ("cell", "forward", False)
        assert (layer.source.tensors, layer.source.dtype, layer.source.layout) == (("R", "W", "B"), "float32", "onnx")
        assert layer.source.file == str(tmp_path / "a.onnx")
        assert [(entry.name, entry.shape) for entry in coverage.analysed] == [
            (name, array.shape) for name, array in zip("WRB", arrays, strict=True)
        ]
        assert (coverage.skipped, coverage.notes, coverage.other) == ((), (), 0)

    def test_directions_and_activations(self, tmp_path):
        arrays = weights("GRU", directions=2)
        node = recurrent(
            "GRU",
            direction="bidirectional",
            linear_before_reset=1,
            activations=["Sigmoid", "Relu", "HardSigmoid", "Tanh"],
        )
        layers, _ = read(tmp_path, proto([node], stored=zip("WRB", arrays, strict=True)))
        assert [layer.direction for layer in layers] == ["forward", "reverse"]
        assert [layer.activations["n"] for layer in layers] == ["relu", "tanh"]
        assert all(layer.reset_after for layer in layers)
        for direction, layer in enumerate(layers):
            assert_holds(layer, "GRU", arrays, direction=direction)

    def test_peepholes(self, tmp_path):
        P = np.arange(6, dtype=np.float32)[None]
        node = recurrent("LSTM", inputs=("X", "W", "R", "B", "", "", "", "P"))
        (layer,), _ = read(tmp_path, proto([node], stored=[*zip("WRB", weights("LSTM"), strict=True), ("P", P)]))
        assert {gate: list(p) for gate, p in layer.peepholes.items()} == {"i": [0, 1], "f": [4, 5], "o": [2, 3]}

    def test_a_node_without_a_name_or_biases(self, tmp_path):
        W, R, _ = weights("RNN")
        node = recurrent("RNN", name="", inputs=("X", "W", "R"), activations=["Relu"], direction="reverse")
        (layer,), _ = read(tmp_path, proto([node], stored=[("W", W), ("R", R)]))
        assert (layer.name, layer.cell, layer.direction, layer.biases) == ("Y", Cell.RNN_RELU, "reverse", {})

    def test_low_precision_is_stored_as_it_is(self, tmp_path):
        half = [array.astype(np.float16) for array in weights("LSTM")]
        (layer,), _ = read(tmp_path, proto([recurrent("LSTM")], stored=zip("WRB", half, strict=True)))
        assert (layer.gates["i"].dtype, layer.source.dtype) == (np.float16, "float16")

    def test_nodes_of_two_kinds(self, tmp_path):
        names = ("W", "R", "B", "W2", "R2", "B2")
        nodes = [recurrent("LSTM"), recurrent("GRU", name="two", inputs=("X", *names[3:]))]
        stored = zip(names, [*weights("LSTM"), *weights("GRU")], strict=True)
        assert [layer.cell for layer in read(tmp_path, proto(nodes, stored=stored))[0]] == [Cell.LSTM, Cell.GRU]

    @pytest.mark.parametrize(
        ("functions", "alpha", "beta", "names"),
        [
            (["HardSigmoid", "Tanh", "Tanh"], [], [], ("hard_sigmoid", "tanh", "tanh")),
            (["HardSigmoid", "Tanh", "Elu"], [1 / 6, 0.5], [0.5], ("hard_sigmoid6", "tanh", "elu(0.5)")),
            (["HardSigmoid", "Tanh", "Tanh"], [0.3, 0, 0], [0.4, 0, 0], ("hard_sigmoid(0.3, 0.4)", "tanh", "tanh")),
            (["Sigmoid", "LeakyRelu", "Affine"], [0.2, 2.0], [1.0], ("sigmoid", "leaky_relu(0.2)", "affine(2, 1)")),
            (["Sigmoid", "ScaledTanh", "Tanh"], [1.7], [0.6], ("sigmoid", "scaled_tanh(1.7, 0.6)", "tanh")),
            (["Sigmoid", "ScaledTanh", "Tanh"], [], [], ("sigmoid", "scaledtanh", "tanh")),
            (["Sigmoid", "LeakyRelu", "Elu"], [0.2], [], ("sigmoid", "LeakyRelu(?)", "Elu(?)")),
            (["Sigmoid", "Custom", "Tanh"], [], [], ("sigmoid", "custom", "tanh")),
        ],
    )
    def test_activations_keep_their_constants(self, tmp_path, functions, alpha, beta, names):
        arrays = weights("LSTM")
        given = {"activation_alpha": alpha, "activation_beta": beta}
        node = recurrent("LSTM", activations=functions, **{key: value for key, value in given.items() if value})
        (layer,), coverage = read(tmp_path, proto([node], stored=zip("WRB", arrays, strict=True)))
        assert_holds(layer, "LSTM", arrays)
        assert [layer.activations[gate] for gate in "fgc"] == [name.lower() for name in names]
        known = not any(word in name.lower() for name in names for word in ("?", "scaledtanh", "custom"))
        assert layer.unknown == (set() if known else {"activation"})
        assert not coverage.notes

    def test_what_a_layer_cannot_express_is_noted(self, tmp_path):
        W, R, _ = weights("LSTM")
        nodes = [
            helper.make_node("Relu", ["Z"], ["B"]),
            recurrent("LSTM", clip=3.0, input_forget=1),
        ]
        (layer,), coverage = read(tmp_path, proto(nodes, stored=[("W", W), ("R", R)], inputs=("X", "Z")))
        assert layer.biases == {}
        assert [note.split(",")[0] for note in coverage.notes] == [
            "the input B of node is computed when the model runs",
            "node has the attribute clip",
            "node has the attribute input_forget",
        ]

    def test_what_is_not_read_has_a_reason(self, tmp_path):
        nodes = [
            helper.make_node("Relu", ["Z"], ["late"]),
            recurrent("GRU", name="late", inputs=("X", "", "late")),
            recurrent("GRU", name="misfit", inputs=("X", "", "five")),
            helper.make_node("DynamicQuantizeLSTM", ["X"], ["Q"], name="quantized", domain="com.microsoft"),
            helper.make_node("LSTMCell", ["X"], ["V"], name="other", domain="other"),
        ]
        stored = [("five", np.zeros((1, 5, 2), np.float32)), ("square", np.eye(3)), ("vector", np.zeros(3))]
        layers, coverage = read(tmp_path, proto(nodes, stored=stored, inputs=("X", "Z")))
        assert not layers
        reasons = {entry.name: entry.reason for entry in coverage.skipped}
        assert "is computed when the model runs" in reasons["late:R"]
        assert "do not fit together: R must stack 3 gates" in reasons["misfit:R"]
        assert reasons["square"] == "square, but no recurrent node uses it"
        assert "is computed when the model runs" in reasons["quantized:R"]
        words = ["the node late (GRU) is recurrent: not read, for the recurrent weight of late is computed when"]
        words += ["the node misfit (GRU) is recurrent: not read, for the weights of misfit do not fit together: R must"]
        words += ["the node quantized (DynamicQuantizeLSTM) is recurrent: not read, for the recurrent weight of"]
        words += ["the node 'other' ('other.LSTMCell') looks recurrent: not read"]
        assert [text[: len(start)] for text, start in zip(coverage.unread, words, strict=True)] == words
        assert coverage.other == 1


class TestScopes:
    def test_weights_of_the_outer_graph_in_both_branches_are_one_layer(self, tmp_path):
        arrays = weights("LSTM")
        bodies = {f"{side}_branch": branch([recurrent("LSTM", name=side)], "Y") for side in ("then", "else")}
        nodes = [helper.make_node("If", ["C"], ["Y"], **bodies)]
        (layer,), coverage = read(tmp_path, proto(nodes, stored=zip("WRB", arrays, strict=True)))
        assert_holds(layer, "LSTM", arrays)
        (note,) = coverage.notes
        assert note.startswith("1 further recurrent node(s) hold weights already counted")

    @pytest.mark.parametrize(("seeds", "count"), [((0, 0), 1), ((0, 1), 2)])
    def test_branches_with_weights_of_their_own(self, tmp_path, seeds, count):
        bodies = {
            f"{side}_branch": branch(
                [recurrent("LSTM")], "Y", stored=zip("WRB", weights("LSTM", seed=seed), strict=True)
            )
            for side, seed in zip(("then", "else"), seeds, strict=True)
        }
        layers, _ = read(tmp_path, proto([helper.make_node("If", ["C"], ["Y"], **bodies)]))
        assert len(layers) == count

    def test_equal_weights_of_two_layers_that_both_run_are_two(self, tmp_path):
        names = ("W", "R", "B", "W2", "R2", "B2")
        nodes = [recurrent("LSTM"), recurrent("LSTM", name="two", inputs=("X", *names[3:]))]
        layers, coverage = read(tmp_path, proto(nodes, stored=zip(names, weights("LSTM") * 2, strict=True)))
        assert [layer.name for layer in layers] == ["node", "two"]
        assert not coverage.notes

    def test_a_loop_body_sees_outer_names_and_its_inputs_hide_them(self, tmp_path):
        value = helper.make_tensor_value_info
        body = helper.make_graph(
            [
                recurrent("RNN", name="sees", inputs=("X", "W", "R")),
                recurrent("RNN", name="hidden", inputs=("X", "", "B")),
            ],
            "body",
            [value(name, FLOAT, None) for name in ("i", "go", "B")],
            [value("go", onnx.TensorProto.BOOL, []), value("Y", FLOAT, None)],
        )
        stored = zip("WRB", weights("RNN"), strict=True)
        layers, coverage = read(
            tmp_path, proto([helper.make_node("Loop", ["", "", "B"], ["Y"], body=body)], stored=stored)
        )
        assert [layer.name for layer in layers] == ["sees"]
        assert [entry.name for entry in coverage.skipped] == ["hidden:R"]

    def test_functions_take_weights_and_attributes_from_their_calls(self, tmp_path):
        node = recurrent("GRU", inputs=("x", "w", "r"))
        linear = node.attribute.add()
        linear.name, linear.ref_attr_name, linear.type = "linear_before_reset", "linear", onnx.AttributeProto.INT
        opsets = [helper.make_opsetid("", 17)]
        function = helper.make_function("local", "cell", ["x", "w", "r"], ["Y"], [node], opsets, ["linear"])
        calls = [
            helper.make_node("cell", ["X", "W", "R"], ["Y"], domain="local", linear=1),
            helper.make_node("cell", ["X", "W", "R"], ["Z"], domain="local", linear=1),
            helper.make_node("cell", ["X", "W2", "R2"], ["V"], domain="local"),
        ]
        first, second = weights("GRU")[:2], weights("GRU", seed=1)[:2]
        stored = zip(("W", "R", "W2", "R2"), (*first, *second), strict=True)
        layers, coverage = read(tmp_path, proto(calls, stored=stored, functions=[function]))
        assert [layer.reset_after for layer in layers] == [True, False]
        assert [layer.source.tensors for layer in layers] == [("R", "W"), ("R2", "W2")]
        assert "1 further recurrent node(s)" in coverage.notes[0]

    def test_functions_that_call_themselves_or_double_end(self, tmp_path):
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]

        def function(name, callee):
            calls = [helper.make_node(callee, ["x"], [out], domain="local") for out in ("a", "b")]
            return helper.make_function("local", name, ["x"], ["a"], calls, opsets)

        call = [helper.make_node("f0", ["X"], ["Y"], domain="local")]
        with pytest.raises(CheckpointError, match="nested deeper"):
            read(tmp_path, proto(call, functions=[function("f0", "f0")]))
        chain = [function(f"f{k}", f"f{k + 1}") for k in range(25)]
        with pytest.raises(CheckpointError, match="unfolds to more than 10000 graphs"):
            read(tmp_path, proto(call, functions=chain))


def const(name, value):
    return helper.make_node("Constant", [], [name], value=tensor("", value))


def ints(name, *values):
    return const(name, np.array(values, np.int64))


X = rng().standard_normal((4, 6, 3)).astype(np.float32)
FOLDS = {
    "Slice": (17, "Slice", [ints("a", 1, -4), ints("b", 3, 9), ints("c", 0, 1), ints("d", 1, 2)], {}),
    "Slice backwards": (17, "Slice", [ints("a", -1, 5), ints("b", -99, -3), ints("c", 0, 1), ints("d", -1, -2)], {}),
    "Slice to the last": (17, "Slice", [ints("a", 5), ints("b", -1), ints("c", 1), ints("d", 1)], {}),
    "Slice all axes": (17, "Slice", [ints("a", 1, 2), ints("b", 3, 4)], {}),
    "Slice, attributes": (9, "Slice", [], {"starts": [1], "ends": [3], "axes": [1]}),
    "Unsqueeze": (17, "Unsqueeze", [ints("a", 0, -1)], {}),
    "Unsqueeze, attribute": (11, "Unsqueeze", [], {"axes": [1]}),
    "Transpose": (17, "Transpose", [], {"perm": [2, 0, 1]}),
    "Transpose all": (17, "Transpose", [], {}),
    "Reshape": (17, "Reshape", [ints("a", 0, -1)], {}),
    "Flatten": (17, "Flatten", [], {"axis": 2}),
    "Gather": (17, "Gather", [ints("a", 2, 0, -1)], {"axis": 1}),
    "Split": (17, "Split", [], {"axis": 1}),
    "Split, sizes": (17, "Split", [ints("a", 1, 5)], {"axis": 1}),
    "Split, attribute": (11, "Split", [], {"axis": 1, "split": [2, 4]}),
    "Split, uneven": (18, "Split", [], {"axis": 0, "num_outputs": 2}),
    "Concat": (17, "Concat", [const("a", X[:, :1])], {"axis": 1}),
    "Cast": (17, "Cast", [], {"to": onnx.TensorProto.DOUBLE}),
    "Identity": (17, "Identity", [], {}),
    "Shape": (17, "Shape", [], {}),
    "Add": (17, "Add", [const("a", X[0])], {}),
    "Sub": (17, "Sub", [const("a", X[0])], {}),
    "Mul": (17, "Mul", [const("a", np.float32(2))], {}),
}


class TestFolding:
    @pytest.mark.parametrize("case", FOLDS)
    def test_every_operation_equals_the_reference_evaluator(self, case):
        from onnx.reference import ReferenceEvaluator

        opset, op, nodes, attributes = FOLDS[case]
        outputs = ["Y", "Z"] if op == "Split" else ["Y"]
        names = ["x", *(node.output[0] for node in nodes)]
        model = proto(
            [*nodes, helper.make_node(op, names, outputs, **attributes)],
            stored=[("x", X)],
            inputs=(),
            outputs=outputs,
            opset=opset,
        )
        self.assert_equal(model, outputs, ReferenceEvaluator(model).run(None, {}))

    def assert_equal(self, model, outputs, expected):
        scope, folding = Scope(Model.parse(model.SerializeToString()).graph), Folding()
        for name, array in zip(outputs, expected, strict=True):
            constant = folding.constant(scope, name)
            np.testing.assert_array_equal(constant.value, array)
            assert constant.value.dtype == array.dtype
            assert folding.constant(scope, name) is constant
            assert [leaf for leaf, _ in constant.leaves][:1] in (["x"], [])

    @pytest.mark.parametrize("axis", [None, 1])
    def test_dequantized_weights(self, axis):
        from onnx.reference import ReferenceEvaluator

        scale = np.float32(0.25) if axis is None else np.array([0.5, 0.25, 2], np.float32)
        zero = np.full(scale.shape, 3, np.int8)
        quantized = rng().integers(-100, 100, (2, 3)).astype(np.int8)
        node = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["Y"], **({} if axis is None else {"axis": axis}))
        model = proto([node], stored=[("q", quantized), ("s", scale), ("z", zero)], inputs=(), opset=19)
        folded = Folding().constant(Scope(Model.parse(model.SerializeToString()).graph), "Y")
        np.testing.assert_array_equal(folded.value, ReferenceEvaluator(model).run(None, {})[0])
        node.input.pop()
        model = proto([node], stored=[("q", quantized), ("s", scale)], inputs=(), opset=19)
        folded = Folding().constant(Scope(Model.parse(model.SerializeToString()).graph), "Y")
        np.testing.assert_array_equal(folded.value, ReferenceEvaluator(model).run(None, {})[0])

    def test_constants_of_every_kind_and_squeeze(self):
        from onnx.reference import ReferenceEvaluator

        nodes = [
            helper.make_node("Constant", [], ["f"], value_float=1.5),
            helper.make_node("Constant", [], ["fs"], value_floats=[1.5, 2.0]),
            helper.make_node("Constant", [], ["i"], value_int=3),
            helper.make_node("Constant", [], ["is"], value_ints=[2, 3]),
            helper.make_node("ConstantOfShape", ["is"], ["zeros"]),
            helper.make_node("ConstantOfShape", ["is"], ["sevens"], value=tensor("", np.array([7], np.int64))),
            helper.make_node("Unsqueeze", ["fs", "i0"], ["tall"]),
            helper.make_node("Squeeze", ["tall"], ["flat"]),
            helper.make_node("Squeeze", ["tall", "i0"], ["again"]),
        ]
        outputs = ["f", "fs", "i", "is", "zeros", "sevens", "flat", "again"]
        model = proto(nodes, stored=[("i0", np.array([0]))], inputs=(), outputs=outputs)
        self.assert_equal(model, outputs, ReferenceEvaluator(model).run(None, {}))

    @pytest.mark.parametrize(
        "nodes",
        [
            [helper.make_node("Relu", ["x"], ["Y"])],
            [helper.make_node("Identity", ["x"], ["Y"], domain="other")],
            [helper.make_node("Identity", ["X"], ["Y"])],
            [helper.make_node("Identity", ["Y"], ["Y"])],
            [helper.make_node("Identity", [], ["Y"])],
            [helper.make_node("Identity", [""], ["Y"])],
            [helper.make_node("Transpose", ["x"], ["Y"], perm=[0, 0])],
            [helper.make_node("Gather", ["x", "far"], ["Y"])],
            [helper.make_node("Cast", ["x"], ["Y"], to=99)],
            [helper.make_node("Slice", ["x", "far", "far", "far"], ["Y"])],
            [helper.make_node("Constant", [], ["Y"], value_string="text")],
            [
                helper.make_node(
                    "Constant", [], ["Y"], value=helper.make_tensor("", onnx.TensorProto.STRING, [1], ["a"])
                )
            ],
        ],
    )
    def test_what_is_no_constant(self, nodes):
        model = proto(nodes, stored=[("x", X), ("far", np.array([77]))])
        assert Folding().constant(Scope(Model.parse(model.SerializeToString()).graph), "Y") is None

    def test_a_chain_too_long_to_follow(self):
        nodes = [helper.make_node("Identity", [f"x{k}"], [f"x{k + 1}"]) for k in range(1000)]
        model = Model.parse(proto(nodes, stored=[("x0", X)]).SerializeToString())
        assert Folding().constant(Scope(model.graph), "x1000") is None
        assert Folding().constant(Scope(model.graph), "x100") is not None

    @pytest.mark.parametrize("op", ["ConstantOfShape", "Gather", "Concat", "Add"])
    def test_constants_that_unfold_to_far_more_than_the_file(self, tmp_path, op):
        side = np.array([1 << 20, 1 << 20])
        nodes = {
            "ConstantOfShape": [helper.make_node("ConstantOfShape", ["side"], ["R"])],
            "Gather": [helper.make_node("Gather", ["row", "many"], ["R"])],
            "Concat": [helper.make_node("Concat", ["row"] * 400, ["R"], axis=0)],
            "Add": [helper.make_node("Add", ["row", "column"], ["R"])],
        }[op]
        row = np.zeros((1, 100_000), np.float32)
        stored = [("side", side), ("row", row), ("many", np.zeros(1000, np.int64)), ("column", row.T)]
        with pytest.raises(CheckpointError, match="what its constants unfold to would take"):
            read(tmp_path, proto([*nodes, recurrent("RNN", inputs=("X", "", "R"))], stored=stored))

    def test_a_negative_side_frees_no_room_for_a_large_one(self, tmp_path):
        """276 bytes of this kind took 1.5 GB: a negative size was paid back to the budget."""
        nodes = [
            helper.make_node("ConstantOfShape", ["negative"], ["none"]),
            helper.make_node("ConstantOfShape", ["large"], ["R"]),
        ]
        stored = [("negative", np.array([-(1 << 40)])), ("large", np.array([1, 1 << 15, 1 << 15]))]
        users = [recurrent("RNN", name=name, inputs=("X", "", name), n=1 << 15) for name in ("none", "R")]
        with pytest.raises(CheckpointError, match="its constants unfold to would take"):
            read(tmp_path, proto([*nodes, *users], stored=stored))

    def test_dequantization_that_broadcasts(self, tmp_path):
        """36 KB of this kind took 3.7 GB: a column less a row is a matrix."""
        x, zero = np.zeros((1 << 14, 1), np.int8), np.zeros((1, 1 << 14), np.int8)
        nodes = [helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["R"])]
        stored = [("x", x), ("zero", zero), ("scale", np.float32(1))]
        with pytest.raises(CheckpointError, match="its constants unfold to would take"):
            read(tmp_path, proto([*nodes, recurrent("RNN", inputs=("X", "", "R"))], stored=stored))

    def test_a_tensor_without_entries_and_with_huge_sides(self, tmp_path):
        model = proto([recurrent("RNN", inputs=("X", "", "R"))], stored=[("R", np.zeros((0, 1, 1), np.float32))])
        model.graph.initializer[0].dims[1:] = [1 << 62, 1 << 62]
        with pytest.raises(CheckpointError, match="the tensor 'R' has shape"):
            read(tmp_path, model)

    def test_a_function_that_calls_itself_very_often(self, tmp_path):
        """660 KB of this kind took 1 GB: every call was put on the list before one was visited."""
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        call = helper.make_node("f", ["x"], ["a"], domain="local")
        function = helper.make_function("local", "f", ["x"], ["a"], [call] * 6_000, opsets)
        with pytest.raises(CheckpointError, match="unfolds to more than 10000 graphs"):
            read(tmp_path, proto([helper.make_node("f", ["X"], ["Y"], domain="local")], functions=[function]))

    def test_many_nodes_and_long_chains_take_linear_time(self, tmp_path, monkeypatch):
        """2,000 nodes took 17 s, for each was compared with all; each link of a chain listed all before it."""
        count, calls = 3_000, []
        monkeypatch.setattr(_onnx_nodes, "_digest", lambda array: calls.append(1) or array.tobytes())
        R = rng().standard_normal((count, 1, 1, 1)).astype(np.float32)
        nodes = [recurrent("RNN", name=f"n{k}", inputs=("X", "", f"R{k}"), n=1) for k in range(count)]
        model = proto(nodes, stored=[(f"R{k}", R[k]) for k in range(count)])
        layers, _ = read(tmp_path, model)
        assert len(layers) == count
        assert len(calls) == count
        one = tensor("one", np.ones((1, 1), np.float32))
        chain = [const(f"c{k}", R[k, 0]) for k in range(count)]
        chain += [helper.make_node("Concat", [f"s{k}", f"c{k}"], [f"s{k + 1}"], axis=0) for k in range(count)]
        users = [recurrent("RNN", name=f"u{k}", inputs=("X", "", f"s{k}")) for k in range(1, count, 100)]
        model = proto([*chain, *users])
        model.graph.initializer.append(one)
        model.graph.initializer[0].name = "s0"
        with pytest.raises(CheckpointError, match="a weight is made of more than 1000 constants"):
            read(tmp_path, model)

    def test_a_stack_reordered_inside_a_branch(self, tmp_path):
        """The way PyTorch exports an LSTMCell: slices of the outer weight, in another order, made three-dimensional."""
        i, f, g, o = stack = rng().standard_normal((4, 2, 2)).astype(np.float32)
        nodes = [ints("zero", 0)]
        for place, (start, stop) in enumerate([(0, 2), (6, 8), (2, 6)]):
            nodes += [ints(f"s{place}", start), ints(f"e{place}", stop)]
            nodes.append(helper.make_node("Slice", ["stack", f"s{place}", f"e{place}", "zero"], [f"p{place}"]))
        nodes += [
            helper.make_node("Concat", ["p0", "p1", "p2"], ["whole"], axis=0),
            helper.make_node("Unsqueeze", ["whole", "zero"], ["R"]),
            recurrent("LSTM", inputs=("X", "", "R")),
        ]
        outer = helper.make_node("Constant", [], ["stack"], value=tensor("", stack.reshape(8, 2)))
        either = helper.make_node(
            "If", ["C"], ["Y"], then_branch=branch(nodes, "Y"), else_branch=branch([const("Y", 0.0)], "Y")
        )
        (layer,), coverage = read(tmp_path, proto([outer, either]))
        for gate, block in {"i": i, "f": f, "g": g, "o": o}.items():
            np.testing.assert_array_equal(layer.gates[gate], block)
        assert layer.source.tensors == ("stack",)
        assert [entry.name for entry in coverage.analysed] == ["stack"]


def unrolled_cell(k, *, swap=False):
    """Return the nodes of one step of an LSTM (k = 4) or GRU (k = 3) as products and splits."""
    names = [f"g{place}" for place in range(k)]
    nodes = [
        helper.make_node("MatMul", ["h", "U"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["sum"]),
        helper.make_node("Split", ["sum"], names, axis=1, name="gates"),
        helper.make_node("Tanh", [names[-1]], ["t"]),
    ]
    for name in names[:-1]:
        nodes += [
            helper.make_node("Add", [name, "x"], [f"{name}x"]),
            helper.make_node("Relu" if swap else "Sigmoid", [f"{name}x"], [f"{name}s"]),
        ]
    return nodes


class TestUnrolled:
    @pytest.mark.parametrize(("k", "cell"), [(4, "LSTM"), (3, "GRU")])
    def test_a_cell_taken_apart_is_reported_and_not_read(self, tmp_path, k, cell):
        stored = [("U", np.ones((5, 5 * k), np.float32)), ("b", np.zeros(5 * k, np.float32)), ("E", np.eye(7))]
        layers, coverage = read(tmp_path, proto(unrolled_cell(k), stored=stored, inputs=("h", "x")))
        assert not layers
        sentence = f"gates looks like an unrolled {cell} exported as MatMul + Split (U), whose state is not in the "
        assert coverage.unread == (f"{sentence}graph: not read",)
        assert {entry.name: entry.undecided for entry in coverage.skipped} == {"U": True, "E": False}
        assert coverage.other == 1

    def test_a_person_decides(self, tmp_path):
        U = rng().standard_normal((5, 20)).astype(np.float32)
        model = proto(unrolled_cell(4), stored=[("U", U), ("b", np.zeros(20))], inputs=("h", "x"))
        path = tmp_path / "a.onnx"
        path.write_bytes(model.SerializeToString())
        (layer,) = unitcircle.checkpoints.read(path, tensors="U", layout="keras")
        assert layer.cell is Cell.LSTM
        np.testing.assert_array_equal(layer.gates["f"], U[:, 5:10].T)

    def test_a_chosen_tensor_that_is_damaged(self, tmp_path):
        model = proto(unrolled_cell(4), stored=[("U", np.ones((5, 20))), ("b", np.zeros(20))], inputs=("h", "x"))
        model.graph.initializer[0].raw_data = b"short"
        path = tmp_path / "a.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(CheckpointError, match="has 5 bytes"):
            unitcircle.checkpoints.read(path, tensors="U", layout="keras")

    def test_beside_a_recurrent_node(self, tmp_path):
        stored = [*zip("WRB", weights("LSTM"), strict=True), ("U", np.ones((5, 20))), ("b", np.zeros(20))]
        model = proto([recurrent("LSTM"), *unrolled_cell(4)], stored=stored, inputs=("X", "h", "x"))
        layers, coverage = read(tmp_path, model)
        assert len(layers) == 1
        assert coverage.unread[0].startswith("gates looks like an unrolled LSTM")

    def test_a_split_of_something_else(self, tmp_path):
        stored = [("U", np.ones((5, 20))), ("b", np.zeros(20))]
        _, coverage = read(tmp_path, proto(unrolled_cell(4, swap=True), stored=stored, inputs=("h", "x")))
        assert coverage.notes == ("no recurrent node found",)
        _, coverage = read(tmp_path, proto(unrolled_cell(4)[1:], stored=stored, inputs=("product", "x")))
        assert coverage.notes == ("no recurrent node found",)


TENSORS = {
    "raw": tensor("t", rng().standard_normal((2, 3))),
    "float_data": helper.make_tensor("t", FLOAT, [3], [1.5, 2.5, -1]),
    "double_data": helper.make_tensor("t", onnx.TensorProto.DOUBLE, [2], [1.5, 2.5]),
    "int64_data": helper.make_tensor("t", INT64, [2], [-7, 1 << 60]),
    "int32_data": helper.make_tensor("t", onnx.TensorProto.INT32, [2], [-7, 7]),
    "int8": helper.make_tensor("t", onnx.TensorProto.INT8, [2], [-7, 7]),
    "uint64_data": helper.make_tensor("t", onnx.TensorProto.UINT64, [1], [(1 << 64) - 1]),
    "float16": helper.make_tensor("t", onnx.TensorProto.FLOAT16, [2], [1.5, -0.25]),
    "bool": helper.make_tensor("t", onnx.TensorProto.BOOL, [2], [True, False]),
    "scalar": helper.make_tensor("t", FLOAT, [], [4.0]),
    "empty": helper.make_tensor("t", FLOAT, [0, 3], []),
}


def parsed(message):
    return _onnx_graph.Tensor.parse(memoryview(message))


class TestBytes:
    @pytest.mark.parametrize("case", TENSORS)
    def test_tensors_equal_those_of_the_onnx_package(self, case):
        expected = numpy_helper.to_array(TENSORS[case])
        found = parsed(TENSORS[case].SerializeToString())
        np.testing.assert_array_equal(found.array, expected)
        assert (found.name, found.array.dtype, found.floating) == ("t", expected.dtype, expected.dtype.kind == "f")

    @pytest.mark.parametrize("raw", [True, False])
    def test_bfloat16_becomes_float32(self, raw):
        values = np.array([1.0, -2.5, 3e38], np.float32)
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        made = helper.make_tensor("t", onnx.TensorProto.BFLOAT16, [3], bits.tobytes(), raw=True)
        if not raw:
            made.ClearField("raw_data")
            made.int32_data.extend(bits.tolist())
        found = parsed(made.SerializeToString())
        np.testing.assert_allclose(found.array, values, rtol=2.0**-7)
        assert found.dtype == "bfloat16"

    def test_numbers_that_are_not_packed(self):
        assert list(integers(5)) == [5]
        assert parsed(b"\x08\x02\x10\x07\x38\x05\x38\x06").array.tolist() == [5, 6]

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (b"\x08", "does not end"),
            (b"\xff" * 11, "does not end"),
            (b"\x0a\x05ab", "5 bytes where 2 are left"),
            (b"\x09abc", "8 bytes where 3 are left"),
            (b"\x0b", "wire type 3"),
            (b"\x08" + b"\xff" * 9 + b"\x01\x10\x01", "shape .-1,."),
            (b"\x08\x01" * 17, "shape"),
            (b"\x08\x02\x10\x01\x4a\x04abcd", "shape .2,. and type float32 has 4 bytes"),
        ],
    )
    def test_malformed_messages(self, message, words):
        with pytest.raises(WireError, match=words):
            _ = parsed(message).array

    def test_more_pieces_or_numbers_than_a_file_of_this_size_can_need(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_room, "ALLOWANCE", 50 * 300)
        path = tmp_path / "a.onnx"
        path.write_bytes(b"\x3a\x7e" + b"\x0a\x00" * 63)  # a graph of 63 empty nodes
        with room(), pytest.raises(CheckpointError, match="the fields of its messages would take"):
            read_onnx(path)
        with room(), pytest.raises(CheckpointError, match="its lists of integers would take"):
            integers(memoryview(bytes(2000)))

    @pytest.mark.parametrize("module", [_onnx, _onnx_graph])
    def test_deeply_nested_graphs(self, tmp_path, monkeypatch, module):
        monkeypatch.setattr(module, "MAX_DEPTH", 3)
        graph = branch([const("Y", 0.0)], "Y")
        for _ in range(4):
            graph = branch([helper.make_node("If", ["C"], ["Y"], then_branch=graph)], "Y")
        with pytest.raises(CheckpointError, match="nested deeper than"):
            read(tmp_path, helper.make_model(graph))

    @pytest.mark.parametrize("location", [True, False])
    def test_tensors_in_other_files_are_refused(self, tmp_path, location):
        model = proto([recurrent("RNN")], stored=zip("WRB", weights("RNN"), strict=True))
        entry = model.graph.initializer[1].external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
        if location:
            model.graph.initializer[1].data_location = onnx.TensorProto.EXTERNAL
            model.graph.initializer[1].ClearField("external_data")
        with pytest.raises(
            CheckpointError, match=r"is refused: its tensors are in other files.*save_as_external_data=False"
        ):
            read(tmp_path, model)

    @pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x07", b"\x3a\x7f"])
    def test_no_model(self, tmp_path, data):
        (tmp_path / "a.onnx").write_bytes(data)
        with pytest.raises(CheckpointError, match=r"a\.onnx cannot be read: not a sound ONNX model"):
            read_onnx(tmp_path / "a.onnx")

    def test_a_file_larger_than_any_protocol_buffer(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_onnx, "MAX_BYTES", 3)
        (tmp_path / "a.onnx").write_bytes(b"four")
        with pytest.raises(CheckpointError, match="is refused: 4 bytes"):
            read_onnx(tmp_path / "a.onnx")

    def test_fields_of_unexpected_kinds_are_passed_over(self):
        # Every field number as a varint, as a short string and as four bytes: nothing that parses them may raise.
        odd = b"".join(bytes([number << 3 & 127, 1]) for number in range(1, 16))
        assert len(list(fields(memoryview(odd)))) == 15
        for make in (_onnx_graph.Graph.parse, lambda m: _onnx_graph.Node.parse(m, 0), _onnx_graph.Function.parse):
            make(memoryview(odd))
        _onnx_graph.Attribute.parse(memoryview(odd), 0)


def test_two_thousand_damaged_files_raise_nothing_but_checkpoint_error(tmp_path):
    bodies = {f"{side}_branch": branch([recurrent("LSTM", name=side)], "Y") for side in ("then", "else")}
    nodes = [
        helper.make_node("Unsqueeze", ["flat", "zero"], ["R"]),
        helper.make_node("If", ["C"], ["Y"], **bodies),
        *unrolled_cell(4),
    ]
    W, R, B = weights("LSTM")
    stored = [("W", W), ("flat", R[0]), ("B", B), ("zero", np.array([0])), ("U", np.ones((2, 8))), ("b", np.zeros(8))]
    data, path, found = proto(nodes, stored=stored, inputs=("X", "h", "x")).SerializeToString(), tmp_path / "a.onnx", 0
    for seed in range(2000):
        path.write_bytes(damaged(data, seed))
        with suppress(CheckpointError):
            layers, coverage = read_onnx(path)
            assert str(coverage)
            found += len(layers)
    assert found > 500


REAL = ["dtln_1", "dtln_2", "gtcrn", "silero_vad", "silero_vad_ifless"]
real = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real checkpoints of ../shared")


@real
@pytest.mark.parametrize("file", REAL)
def test_real_graphs_parse_as_the_onnx_package_parses_them(file):
    data = (SHARED / f"checkpoints/{file}.onnx").read_bytes()

    def compare(ours, theirs):
        assert list(ours.inputs) == [value.name for value in theirs.input]
        assert ours.outputs == tuple(value.name for value in theirs.output)
        for stored in theirs.initializer:
            np.testing.assert_array_equal(ours.tensors[stored.name].array, numpy_helper.to_array(stored))
        for node, other in zip(ours.nodes, theirs.node, strict=True):
            assert (node.op, node.name, node.domain) == (other.op_type, other.name, other.domain)
            assert (node.inputs, node.outputs) == (tuple(other.input), tuple(other.output))
            for attribute in other.attribute:
                found, value = node.attributes[attribute.name], helper.get_attribute_value(attribute)
                if isinstance(value, onnx.GraphProto):
                    compare(found.graphs[0], value)
                elif isinstance(value, onnx.TensorProto):
                    np.testing.assert_array_equal(found.tensor.array, numpy_helper.to_array(value))
                elif isinstance(value, list):
                    assert value in ([*found.numbers], [*found.floats], [text.encode() for text in found.texts])
                else:
                    assert value in (found.number, found.text.encode())

    compare(Model.parse(data).graph, onnx.load_from_string(data).graph)


@real
@pytest.mark.parametrize("file", REAL)
def test_real_files(file):
    layers, coverage = read_onnx(SHARED / f"checkpoints/{file}.onnx")
    records = json.loads((SHARED / "oracles/checkpoints.json").read_text())["records"]
    theirs = {"g": "c", "n": "h"}
    expected = [
        (theirs.get(r["gate"], r["gate"]), r["rho"], r["sigma_max"]) for r in records if r["file"] == f"{file}.onnx"
    ]
    measured = []
    for layer in layers:
        for gate, stored in layer.gates.items():
            block = stored.astype(np.float64)
            measured.append((theirs.get(gate, gate), np.abs(np.linalg.eigvals(block)).max(), np.linalg.norm(block, 2)))
    # The reference counts the two nodes of silero-vad that share a matrix apart, and its names are of its own.
    distinct = {(gate, round(rho, 6)): (rho, sigma) for gate, rho, sigma in expected}
    found = {(gate, round(float(f"{rho:.8g}"), 6)): (rho, sigma) for gate, rho, sigma in measured}
    assert len(found) == len(measured)
    assert sorted(found) == sorted(distinct)
    for key, values in found.items():
        np.testing.assert_allclose(values, distinct[key], rtol=EIGHT_DIGITS)
    assert bool(coverage.notes) == (file == "silero_vad")


@real
@pytest.mark.parametrize(
    ("file", "same", "which"), [("dtln_2.onnx", "dtln.h5", (2, 3)), ("silero_vad_ifless.onnx", "silero_vad.jit", (0,))]
)
def test_real_files_without_a_recurrent_node_hold_the_weights_of_their_twins(file, same, which):
    pytest.importorskip("h5py")
    layers, coverage = read_onnx(SHARED / "checkpoints" / file)
    twins = unitcircle.checkpoints.read(SHARED / "checkpoints" / same)
    for one, place in zip(layers, which, strict=False):
        assert_equal_layers(one, twins[place])
    assert (len(layers), coverage.notes, coverage.unread, coverage.undecided) == (2, (), (), ())


@real
def test_the_same_weights_in_two_formats_give_identical_layers():
    pytest.importorskip("h5py")
    keras, _ = read_hdf5(SHARED / "checkpoints/dtln.h5")
    exported, _ = read_onnx(SHARED / "checkpoints/dtln_1.onnx")
    assert len(exported) == 2
    for one, other in zip(keras, exported, strict=False):
        assert_equal_layers(one, other)


def assert_equal_layers(one, other):
    for kind in ("gates", "inputs", "biases"):
        blocks, others = getattr(one, kind), getattr(other, kind)
        assert blocks.keys() == others.keys()
        for gate, block in blocks.items():
            np.testing.assert_array_equal(block, others[gate])
    assert one.activations == other.activations
