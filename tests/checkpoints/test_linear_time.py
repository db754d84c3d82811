"""Many tensors: twice as many of them take twice as many calls, counted and not timed, in every format."""

import io
import json
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from unitcircle.checkpoints import read

FEW, MANY = 150, 300
GROWTH = 2.2
"""Calls for twice as many tensors: two, and a logarithm of sorting."""
W = np.eye(2, dtype=np.float32)


def layers(count):
    """The weights of plain cells of torch."""
    return {f"l{k}.weight_hh_l0": W for k in range(count)}


def nameless(count):
    """Square arrays whose names say nothing."""
    return {f"t{k}": W for k in range(count)}


def gates(count):
    """GRUs with one array for each gate."""
    return {f"c{k}.W_h{gate}": W for k in range(count // 3) for gate in "rzn"}


def keras(count):
    """Kernels of Keras."""
    return {f"l{k}/recurrent_kernel": W for k in range(count)}


def norms(count):
    """Weights as norms and directions."""
    return {f"l{k}.weight_hh_l0_{part}": W[:, :end] for k in range(count // 2) for part, end in (("v", 2), ("g", 1))}


NAMES = (layers, nameless, gates, keras, norms)


def npz(arrays, compressed=True):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def torch_zip(arrays, zipped=True):
    import torch

    buffer = io.BytesIO()
    # One storage, of which all are views.
    whole = torch.from_numpy(np.concatenate([array.ravel() for array in arrays.values()]))
    ends = np.cumsum([array.size for array in arrays.values()])
    parts = zip(arrays.items(), ends, strict=True)
    views = {name: whole[end - array.size : end].view(array.shape) for (name, array), end in parts}
    torch.save(views, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def gguf(arrays):
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    head, content = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), 0), b""
    for name, array in arrays.items():
        head += text(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        head += struct.pack("<IQ", 0, len(content))
        content += array.tobytes().ljust(32, b"\0")
    return head + bytes(-len(head) % 32) + content


def dynet(arrays):
    return "".join(
        f"#Parameter# /{name} {{{','.join(map(str, array.shape))}}} 1 ZERO_GRAD\n{' '.join(map(str, array.ravel()))}\n"
        for name, array in arrays.items()
    ).encode()


def equinox(arrays):
    buffer = io.BytesIO()
    for array in arrays.values():
        np.save(buffer, array)
    return buffer.getvalue()


def flax(arrays):
    from flax import serialization

    return serialization.to_bytes(arrays)


def matlab(arrays):
    import scipy.io

    buffer = io.BytesIO()
    with_names = {name.replace(".", "_").replace("/", "_")[:60]: array for name, array in arrays.items()}
    scipy.io.savemat(buffer, with_names, do_compression=True)
    return buffer.getvalue()


def onnx(arrays):
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("RNN", ["X", f"{name}T", f"{name}T"], [f"y{name}"], name=name, hidden_size=2)
        for name in arrays
    ]
    nodes += [helper.make_node("Unsqueeze", [name, "axis"], [f"{name}T"]) for name in arrays]
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in "XY"]
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array([0]), "axis"))
    return helper.make_model(helper.make_graph(nodes, "g", *values, initializer=tensors)).SerializeToString()


def onnx_steps(arrays):
    """A cell taken apart, of as many steps as there are arrays."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for k in range(len(arrays)):
        nodes += [
            helper.make_node("MatMul", [f"h{k}", "R"], [f"p{k}"]),
            helper.make_node("Add", [f"p{k}", "X"], [f"a{k}"]),
            helper.make_node("Tanh", [f"a{k}"], [f"h{k + 1}"]),
        ]
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in "XY"]
    tensors = [numpy_helper.from_array(W, "R"), numpy_helper.from_array(W[:1], "h0")]
    return helper.make_model(helper.make_graph(nodes, "g", *values, initializer=tensors)).SerializeToString()


def nested(arrays):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.safetensors", save(arrays))
    return buffer.getvalue()


FORMATS = {
    "safetensors": save,
    "npz": lambda arrays: npz(arrays, compressed=False),
    "npz, compressed": npz,
    "PyTorch": torch_zip,
    "PyTorch, legacy": lambda arrays: torch_zip(arrays, zipped=False),
    "pickle": lambda arrays: pickle.dumps(arrays, 2),
    "GGUF": gguf,
    "DyNet": dynet,
    "Equinox": equinox,
    "flax": flax,
    "MATLAB": matlab,
    "JSON": lambda arrays: json.dumps({name: array.tolist() for name, array in arrays.items()}).encode(),
    "ONNX": onnx,
    "ONNX, steps": onnx_steps,
    "archive": nested,
}
FURTHER = [("npz", names) for names in NAMES[1:]]
"""The other names need be tried in one format: what comes after reading is the same for all."""


def calls(path):
    """Return how many functions are called, Python's and C's, while a file is read."""
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(see)
    try:
        read(path)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(("kind", "names"), [*((kind, layers) for kind in FORMATS), *FURTHER])
def test_twice_as_many_tensors_take_twice_as_many_calls(tmp_path, kind, names):
    path = tmp_path / "file"
    path.write_bytes(FORMATS[kind](names(8)))
    read(path)  # what is imported and compiled once
    counts = []
    for count in (FEW, MANY):
        path.write_bytes(FORMATS[kind](names(count)))
        counts.append(calls(path))
    assert counts[1] < GROWTH * counts[0], counts
    assert counts[1] > 4 * (MANY - FEW)
