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
from tests.checkpoints import seeds
from tests.fuzz.worker import write

from unitcircle.checkpoints import read
from unitcircle.checkpoints._hdf5 import Hdf5Process
from unitcircle.checkpoints._hdf5_index import index

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


def tflite(arrays):
    from tests.checkpoints.tflite_builder import Model

    model = Model()
    for name, array in arrays.items():
        W, U, b = (model.tensor(f"{name}{k}", part) for k, part in enumerate((array, array, array[0])))
        model.operator(35, [model.tensor("x"), W, U, b], options={1: 4})
    return model.content()


def tfjs(arrays):
    weights = [{"name": f"{name}/recurrent_kernel", "shape": [2, 2], "dtype": "float32"} for name in arrays]
    layers_of = [{"class_name": "SimpleRNN", "config": {"name": name, "units": 2}} for name in arrays]
    topology = {"model_config": {"class_name": "Sequential", "config": {"layers": layers_of}}}
    model = {"modelTopology": topology, "weightsManifest": [{"paths": ["w.bin"], "weights": weights}]}
    return {"model.json": json.dumps(model).encode(), "w.bin": b"".join(array.tobytes() for array in arrays.values())}


def hdf5(arrays):
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file[f"{name}/recurrent_kernel:0"] = array
    return buffer.getvalue()


def keras_archive(arrays):
    import h5py

    buffer, archive = io.BytesIO(), io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for index, array in enumerate(arrays.values()):
            group = f"layers/simple_rnn{f'_{index}' if index else ''}/cell/vars"
            file[f"{group}/0"], file[f"{group}/1"], file[f"{group}/2"] = array, array, array[0]
    layers_of = [{"class_name": "SimpleRNN", "config": {"name": name, "units": 2}} for name in arrays]
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("metadata.json", b'{"keras_version": "3.0"}')
        file.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": layers_of}}))
        file.writestr("model.weights.h5", buffer.getvalue())
    return archive.getvalue()


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
    "TensorFlow Lite": tflite,
    "TensorFlow.js": tfjs,
    "HDF5": hdf5,
    "Keras": keras_archive,
    "torch.export": seeds.exported,
    "torch.distributed": seeds.distributed,
    "orbax, Zarr 3": lambda arrays: seeds.orbax(arrays=arrays),
    "orbax, Zarr 2": lambda arrays: seeds.orbax(2, arrays),
}
FILES = {"torch.distributed", "orbax, Zarr 3", "orbax, Zarr 2"}
"""Formats of several files, slow to write: a third of the tensors."""
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


@pytest.fixture
def counted(monkeypatch):
    """The index of HDF5 files is made in this process, where its calls are counted too."""
    monkeypatch.setattr(Hdf5Process, "index", lambda self, path, shown=None: json.loads(json.dumps(index(path))))


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(("kind", "names"), [*((kind, layers) for kind in FORMATS), *FURTHER])
def test_twice_as_many_tensors_take_twice_as_many_calls(tmp_path, kind, names):
    counts, part = [], 3 if kind in FILES else 1
    for count in (8, FEW // part, MANY // part):  # the first for what is imported and compiled once
        content = FORMATS[kind](names(count))
        path = write(content if isinstance(content, dict) else {"file": content}, tmp_path / str(count))
        counts.append(calls(path))
    assert counts[2] < GROWTH * counts[1], counts
    assert counts[2] > 4 * (MANY - FEW) // part
