"""ONNX files that ask for much memory or time, written by the onnx package; each function writes one at a path."""

import struct

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MB = 1 << 20


def model_of(path, nodes, stored=(), functions=()):
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in "XY"]
    tensors = [array if isinstance(array, TensorProto) else numpy_helper.from_array(array, name)
               for name, array in stored]  # fmt: skip
    graph = helper.make_graph(nodes, "g", *values, initializer=tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    path.write_bytes(helper.make_model(graph, functions=functions, opset_imports=opsets).SerializeToString())


def one(value):
    return np.array(value, np.float32)


def sides(*values):
    return np.array(values, np.int64)


def rnn(k=0, R="R", W="W", n=1):
    return helper.make_node("RNN", ["X", W, R], [f"Y{k}"], name=f"rnn{k}", hidden_size=n)


def shape_of_constant(path):
    """A weight of eight gigabytes of zeros."""
    node = helper.make_node("ConstantOfShape", ["s"], ["R"])
    model_of(path, [node, rnn(n=44_721)], [("s", sides(1, 44_721, 44_721)), ("W", np.ones((1, 2, 2), np.float32))])


def many_shapes_of_constants(path):
    """Two hundred weights of 16 MB of zeros."""
    n = 2000
    nodes = [helper.make_node("ConstantOfShape", ["s"], [f"R{k}"]) for k in range(200)]
    nodes += [rnn(k, f"R{k}", n=n) for k in range(200)]
    model_of(path, nodes, [("s", sides(1, n, n)), ("W", np.ones((1, n, 1), np.float32))])


def negative_side(path):
    nodes = [
        helper.make_node("ConstantOfShape", ["t"], ["T"]),
        helper.make_node("ConstantOfShape", ["s"], ["R"]),
        helper.make_node("Add", ["T", "R"], ["S"]),
        rnn(R="S"),
    ]
    stored = [("t", sides(-(1 << 40), 2)), ("s", sides(1, 20_000, 20_000)), ("W", np.ones((1, 2, 2), np.float32))]
    model_of(path, nodes, stored)


def broadcast(path):
    """A row and a column whose sum is a matrix of a gigabyte."""
    n = 16_000
    nodes = [helper.make_node("Add", ["a", "b"], ["R"]), rnn(n=n)]
    stored = [("a", np.zeros((1, n, 1), np.float32)), ("b", np.zeros((1, 1, n), np.float32))]
    model_of(path, nodes, [*stored, ("W", np.ones((1, n, 1), np.float32))])


def of_operation(op, *inputs):
    """Return a bomb whose weight an operation that repeats makes."""

    def make(path):
        stored = [("a", np.zeros((1, 1, 1), np.float32)), ("n", sides(*inputs)), ("W", np.ones((1, 2, 2), np.float32))]
        model_of(path, [helper.make_node(op, ["a", "n"], ["R"]), rnn(n=20_000)], stored)

    return make


def concatenated(path):
    """Thirty doublings of one number."""
    nodes = [helper.make_node("Concat", [f"a{k}", f"a{k}"], [f"a{k + 1}"], axis=0) for k in range(30)]
    nodes += [helper.make_node("Reshape", ["a30", "s"], ["R"]), rnn(n=1 << 15)]
    stored = [("a0", np.zeros(1, np.float32)), ("s", sides(1, 1 << 15, 1 << 15)), ("W", np.ones((1, 2, 2), np.float32))]
    model_of(path, nodes, stored)


def gathered(path):
    """Thousands of copies of one row."""
    n = 4000
    nodes = [helper.make_node("Gather", ["a", "i"], ["R"], axis=1), rnn(n=n)]
    stored = [("a", np.zeros((1, 1, n), np.float32)), ("i", np.zeros(n, np.int64))]
    model_of(path, nodes, [*stored, ("W", np.ones((1, n, 1), np.float32))])


def dequantized(path):
    """A weight of 36 MB in bytes, with one scale."""
    n = 3000
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["R"]), rnn(n=n)]
    rng = np.random.default_rng(0)
    stored = [
        ("q", rng.integers(0, 9, (1, n, n)).astype(np.int8)),
        ("s", one(0.5)),
        ("W", np.ones((1, n, 1), np.float32)),
    ]
    model_of(path, nodes, stored)


def dequantized_by_columns(path):
    """A column of bytes and a row of their zeros."""
    n = 12_000
    nodes = [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["R"]), rnn(n=n)]
    stored = [("q", np.zeros((1, n, 1), np.int8)), ("z", np.zeros((1, 1, n), np.int8)), ("s", one(0.5))]
    model_of(path, nodes, [*stored, ("W", np.ones((1, n, 1), np.float32))])


def casts(path):
    """Five hundred casts of one weight."""
    n = 512
    nodes = [helper.make_node("Cast", ["R"], [f"R{k}"], to=TensorProto.DOUBLE) for k in range(500)]
    nodes += [rnn(k, f"R{k}", n=n) for k in range(500)]
    model_of(path, nodes, [("R", np.zeros((1, n, n), np.float16)), ("W", np.ones((1, n, 1), np.float64))])


def bfloats(path):
    """One stored weight of bfloat16 in five hundred nodes, each of another slice."""
    n = 1024
    R = helper.make_tensor("R", TensorProto.BFLOAT16, (1, n + 500, n), bytes(2 * n * (n + 500)), raw=True)
    nodes, stored = [], [("R", R), ("W", np.ones((1, n, 1), np.float32)), ("axis", sides(1))]
    for k in range(500):
        stored += [(f"s{k}", sides(k)), (f"e{k}", sides(k + n))]
        nodes += [helper.make_node("Slice", ["R", f"s{k}", f"e{k}", "axis"], [f"R{k}"]), rnn(k, f"R{k}", n=n)]
    model_of(path, nodes, stored)


def repeats(path, count=8000):
    """Thousands of nodes of one unit."""
    stored = [("W", one([[[1.0]]]))] + [(f"R{k}", one([[[k]]])) for k in range(count)]
    model_of(path, [rnn(k, f"R{k}") for k in range(count)], stored)


def equal_weights(path):
    """Thousands of nodes whose weights are as large as each other and differ in the last entry."""
    n, count = 16, 6000
    stored = [("W", np.ones((1, n, 1), np.float32))]
    for k in range(count):
        R = np.zeros((1, n, n), np.float32)
        R[0, -1, -1] = k + 1
        stored.append((f"R{k}", R))
    model_of(path, [rnn(k, f"R{k}", n=n) for k in range(count)], stored)


def unrolled(path, count=20_000):
    """A long chain of what each might be a step of a cell."""
    nodes = []
    for k in range(count):
        nodes += [
            helper.make_node("MatMul", [f"h{k}", "R"], [f"p{k}"]),
            helper.make_node("Add", [f"p{k}", "X"], [f"s{k}"]),
            helper.make_node("Tanh", [f"s{k}"], [f"h{k + 1}"]),
        ]
    model_of(path, nodes, [("R", np.ones((2, 2), np.float32)), ("h0", np.ones((1, 2), np.float32))])


def gates(path, count=4000):
    """Thousands of products with sigmoids and tangents of each other."""
    nodes = [helper.make_node("Sigmoid", ["X"], ["m0"])]
    for k in range(count):
        nodes += [
            helper.make_node("Sigmoid", [f"m{k}"], [f"a{k}"]),
            helper.make_node("Tanh", [f"m{k}"], [f"b{k}"]),
            helper.make_node("Mul", [f"a{k}", f"b{k}"], [f"c{k}"]),
            helper.make_node("Mul", [f"a{k}", f"m{k}"], [f"d{k}"]),
            helper.make_node("Add", [f"c{k}", f"d{k}"], [f"m{k + 1}"]),
        ]
    model_of(path, nodes, [("R", np.ones((2, 2), np.float32))])


def leaves(path, count=16_000):
    """A weight that is a sum of thousands, one after the other."""
    nodes = [helper.make_node("Add", [f"a{k}", "b"], [f"a{k + 1}"]) for k in range(count)]
    nodes += [rnn(k, f"a{k}") for k in range(0, count, 10)]
    model_of(path, nodes, [("a0", one([[[1.0]]])), ("b", one([[[1.0]]])), ("W", one([[[1.0]]]))])


def calls(path, count=30_000):
    """A function of thousands of calls of itself."""
    body = [helper.make_node("f", ["x"], [f"y{k}"], domain="local") for k in range(count)]
    function = helper.make_function("local", "f", ["x"], ["y0"], body, [helper.make_opsetid("local", 1)])
    model_of(path, [helper.make_node("f", ["X"], ["Y"], domain="local")], functions=[function])


def wide_calls(path):
    """Nine thousand calls of a function of two thousand nodes."""
    body = [helper.make_node("MatMul", ["x", "R"], [f"y{k}"]) for k in range(2000)]
    function = helper.make_function("local", "f", ["x"], ["y0"], body, [helper.make_opsetid("local", 1)])
    nodes = [helper.make_node("f", ["X"], [f"Y{k}"], domain="local") for k in range(9000)]
    model_of(path, nodes, functions=[function])


def varint(value):
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def packed_dims(path):
    """A tensor of eighty million sides."""
    tensor = b"".join(field(1, bytes(4 * MB)) for _ in range(20))
    path.write_bytes(b"\x08\x08" + field(7, field(5, tensor)))


def packed_integers(path):
    """Weights as lists of integers, each of a byte."""
    n = 2000
    tensors = b""
    for k in range(10):
        tensor = b"\x08\x01" + b"\x08" + varint(n) + b"\x08" + varint(n) + b"\x10\x07" + field(8, f"a{k}".encode())
        tensors += field(5, tensor + field(7, bytes(n * n)))
    nodes = b""
    for k in range(10):
        node = helper.make_node("Cast", [f"a{k}"], [f"R{k}"], to=TensorProto.FLOAT)
        nodes += field(1, node.SerializeToString())
        nodes += field(1, rnn(k, f"R{k}", n=n).SerializeToString())
    W = numpy_helper.from_array(np.ones((1, n, 1), np.float32), "W")
    path.write_bytes(b"\x08\x08" + field(7, nodes + tensors + field(5, W.SerializeToString())))


def pieces(path):
    """A file of thirty megabytes of empty nodes."""
    path.write_bytes(b"\x08\x08" + field(7, field(1, b"") * (15 * MB)))


def nodes_of_names(path):
    """Two hundred thousand nodes of one operation each."""
    node = helper.make_node("Add", ["a", "b"], ["c"]).SerializeToString()
    path.write_bytes(b"\x08\x08" + field(7, field(1, node) * 250_000) + bytes(0))


def wide_outputs(path):
    """A thousand nodes, each with a thousand outputs that are each a part of one weight."""
    count = 1000
    nodes = [helper.make_node("Split", ["a"], [f"o{k}_{j}" for j in range(count)], axis=0) for k in range(100)]
    nodes += [rnn(j, f"o{k}_{j}") for k in range(100) for j in range(0, count, 20)]
    model_of(path, nodes, [("a", np.ones((count, 1, 1), np.float32)), ("W", one([[[1.0]]]))])


def floats(path):
    """Attributes of twenty million floats."""
    attribute = field(1, b"value_floats") + field(7, struct.pack("<f", 1.0) * (5 * MB))
    path.write_bytes(b"\x08\x08" + field(7, field(1, field(4, b"Constant") + field(2, b"a") + field(5, attribute))))


BOMBS = {
    f"onnx {make.__name__}": make
    for make in (
        shape_of_constant, many_shapes_of_constants, negative_side, broadcast, concatenated, gathered, dequantized,
        dequantized_by_columns, casts, bfloats, repeats, equal_weights, unrolled, gates, leaves, calls, wide_calls,
        packed_dims, packed_integers, pieces, nodes_of_names, wide_outputs, floats,
    )
}  # fmt: skip
BOMBS |= {
    "onnx expand": of_operation("Expand", 1, 20_000, 20_000),
    "onnx tile": of_operation("Tile", 1, 20_000, 20_000),
}
