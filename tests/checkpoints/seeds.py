"""Small files of every format, made by code: what the mutations of test_fuzz.py and of ``make fuzz`` start from."""

import gzip
import io
import json
import pickle
import struct
import tempfile
import warnings
import zipfile
import zlib
from importlib import import_module
from pathlib import Path

import numpy as np
import scipy.sparse
from safetensors.numpy import save

RNG = np.random.default_rng(0)
WEIGHTS = {
    "rnn.weight_hh_l0": RNG.standard_normal((8, 2)).astype(np.float32),
    "rnn.weight_ih_l0": RNG.standard_normal((8, 1)).astype(np.float32),
    "rnn.bias_hh_l0": RNG.standard_normal(8).astype(np.float32),
}


def torch_file(*, zipped):
    torch = import_module("torch")
    content = {"model": {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}, "epoch": 1}
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def without_checksums(data):
    """A zip archive with stored members and no checksums: every flip reaches the reader."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    data = bytearray(buffer.getvalue())
    for info in zipfile.ZipFile(buffer).infolist():
        entry = data.rindex(info.filename.encode()) - 46
        data[entry + 16 : entry + 20] = bytes(4)
    return bytes(data)


def plain_pickle():
    """Arrays, a sparse matrix and a torch tensor, as pickle itself writes them."""
    torch = import_module("torch")
    content = {"rnn": WEIGHTS, "W": scipy.sparse.csr_matrix(np.eye(5)), "t": torch.ones(3), "alpha": 0.3}
    return pickle.dumps(content, 2)


def quantized():
    torch = import_module("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(torch.nn.ModuleDict({"rnn": torch.nn.LSTM(1, 2)}))
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return without_checksums(buffer.getvalue())


def nested():
    """An archive of Stable-Baselines3."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("policy.pth", without_checksums(torch_file(zipped=True)))
        archive.writestr("policy.optimizer.pth", torch_file(zipped=False))
        archive.writestr("data", b"{}")
    return without_checksums(buffer.getvalue())


def exported(arrays=WEIGHTS):
    """A program of torch.export: raw weights and a list of them."""
    buffer, config = io.BytesIO(), {}
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, (name, array) in enumerate(arrays.items()):
            sizes, strides = (
                [{"as_int": int(n)} for n in numbers] for numbers in (array.shape, np.array(array.strides) // 4)
            )
            meta = {"dtype": 7, "sizes": sizes, "strides": strides, "storage_offset": {"as_int": 0}}
            config[name] = {"path_name": f"weight_{index}", "use_pickle": False, "tensor_meta": meta}
            archive.writestr(f"m/data/weights/weight_{index}", array.tobytes())
        archive.writestr("m/data/weights/model_weights_config.json", json.dumps({"config": config}))
    return without_checksums(buffer.getvalue())


def torchscript():
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torch_file(zipped=True))) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED)
        new.writestr("archive/constants.pkl", b"\x80\x02).")
    return buffer.getvalue()


def numpy_file(save_to, *args, **arrays):
    buffer = io.BytesIO()
    save_to(buffer, *args, **arrays)
    return buffer.getvalue()


def sharded():
    return json.dumps({"weight_map": {"a.weight_hh": "part.safetensors", "b": "part.safetensors"}}).encode()


def equinox():
    buffer = io.BytesIO(b'{"hidden_size": 2}\n')
    buffer.seek(0, io.SEEK_END)
    for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_hh_l0"):
        np.save(buffer, WEIGHTS[name])
    return buffer.getvalue()


def flax():
    from flax import serialization

    cell = {"hi": {"kernel": WEIGHTS["rnn.weight_hh_l0"][:2]}, "ii": {"kernel": WEIGHTS["rnn.weight_hh_l0"][2:4]}}
    return serialization.to_bytes({"params": {"cell": cell}, "step": 3})


def nested_lists():
    return json.dumps({"state_dict": {name: array.tolist() for name, array in WEIGHTS.items()}}).encode()


def rtneural():
    weights = [WEIGHTS["rnn.weight_ih_l0"].T, WEIGHTS["rnn.weight_hh_l0"].T, WEIGHTS["rnn.bias_hh_l0"]]
    layer = {"type": "lstm", "shape": [None, 2], "weights": [array.tolist() for array in weights]}
    return json.dumps({"in_shape": [None, 1], "layers": [layer]}).encode()


def amp_model():
    weights = [0.5] * (4 * 2 * 3 + 8 + 4 + 3)
    config = {"input_size": 1, "hidden_size": 2, "num_layers": 1}
    return json.dumps({"architecture": "LSTM", "config": config, "weights": weights}).encode()


def gguf():
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    arrays = {"blk.0.ssm_a": -np.ones((2, 3), np.float32), "blk.0.ssm_dt.bias": np.zeros(2, np.float32)}
    arrays |= {"rnn.weight_hh": WEIGHTS["rnn.weight_hh_l0"]}
    data = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), 2)
    data += text("general.architecture") + struct.pack("<I", 8) + text("mamba")
    data += text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    content = b""
    for name, array in arrays.items():
        data += text(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        data += struct.pack("<IQ", 0, len(content))
        content += array.tobytes() + bytes(-array.nbytes % 32)
    return data + bytes(-len(data) % 32) + content


def dynet():
    arrays = {"_0": WEIGHTS["rnn.weight_ih_l0"], "_1": WEIGHTS["rnn.weight_hh_l0"], "_2": WEIGHTS["rnn.bias_hh_l0"]}
    text = ""
    for name, array in arrays.items():
        values = " ".join(f"{value:+.8e}" for value in array.ravel(order="F"))
        sides = ",".join(map(str, array.shape))
        text += f"#Parameter# /vanilla-lstm-builder/{name} {{{sides}}} {len(values) + 1} ZERO_GRAD\n{values}\n"
    return text.encode()


def tflite():
    from tests.checkpoints.tflite_builder import Model

    model = Model()
    names = ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_hh_l0")
    W, U, b = (
        [model.tensor(f"{name}{k}", part) for k, part in enumerate(np.split(WEIGHTS[name], 4))] for name in names
    )
    model.operator(44, [model.tensor("x"), *W, *U, -1, -1, -1, *b])
    codes = model.tensor("coded", np.ones((2, 2), np.int8), scale=np.array([0.5, 0.25]))
    model.operator(35, [model.tensor("y"), W[0], codes, b[0]], options={1: 4})
    return model.content()


def matlab(*, compressed):
    import scipy.io

    buffer = io.BytesIO()
    cell = {"weight_hh": WEIGHTS["rnn.weight_hh_l0"], "weight_ih": WEIGHTS["rnn.weight_ih_l0"].astype(int)}
    scipy.io.savemat(buffer, {"net": cell, "list": np.array([1.5, "x"], object)}, do_compression=compressed)
    return buffer.getvalue()


def onnx():
    """An LSTM node whose weights a chain of operations makes, one in a branch, and a cell taken apart."""
    from onnx import TensorProto, helper, numpy_helper

    R, W = WEIGHTS["rnn.weight_hh_l0"][None], WEIGHTS["rnn.weight_ih_l0"][None]
    stored = {"R": R.transpose(0, 2, 1), "W": W, "q": np.ones((2, 2), np.int8), "s": np.float32(0.5)}
    stored |= {"side": np.array([1, 2, 2]), "h0": np.zeros((1, 2), np.float32)}
    branch = helper.make_graph(
        [helper.make_node("RNN", ["X", "", "Z"], ["B"], hidden_size=2)],
        "branch",
        [],
        [helper.make_tensor_value_info("B", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Transpose", ["R"], ["T"], perm=[0, 2, 1]),
        helper.make_node("LSTM", ["X", "W", "T"], ["Y"], hidden_size=2),
        helper.make_node("ConstantOfShape", ["side"], ["Z"]),
        helper.make_node("If", ["C"], ["B"], then_branch=branch, else_branch=branch),
        helper.make_node("DequantizeLinear", ["q", "s"], ["U"]),
    ]
    for k in range(3):
        nodes += [
            helper.make_node("MatMul", [f"h{k}", "U"], [f"p{k}"]),
            helper.make_node("Add", [f"p{k}", "X"], [f"a{k}"]),
            helper.make_node("Tanh", [f"a{k}"], [f"h{k + 1}"]),
        ]
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in "XY"]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    return helper.make_model(helper.make_graph(nodes, "g", *values, initializer=tensors)).SerializeToString()


def hdf5():
    """Weights of Keras 2, one array of them compressed."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = np.array([b"lstm"])
        file.attrs["model_config"] = '{"class_name": "LSTM", "config": {"name": "lstm"}}'
        group = file.create_group("lstm/lstm")
        group["kernel:0"] = WEIGHTS["rnn.weight_ih_l0"].T
        group["recurrent_kernel:0"] = WEIGHTS["rnn.weight_hh_l0"].T
        group.create_dataset("bias:0", data=np.zeros(8, "f4"), chunks=(4,), compression="gzip", shuffle=True)
    return buffer.getvalue()


def keras():
    """An archive of Keras 3 without checksums, so that every flip reaches its configuration."""
    layer = {"class_name": "LSTM", "config": {"name": "lstm", "activation": "tanh"}}
    wrapped = {"class_name": "Bidirectional", "config": {"name": "both", "layer": layer}}
    config = {"class_name": "Sequential", "config": {"layers": [layer, wrapped]}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", b'{"keras_version": "3.0"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", hdf5())
    return without_checksums(buffer.getvalue())


def distributed(arrays=WEIGHTS):
    """A checkpoint of torch.distributed, of one rank."""
    torch = import_module("torch")
    state = {"model": {name: torch.from_numpy(array) for name, array in arrays.items()}, "step": 3}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("torch.distributed.checkpoint").save(state, checkpoint_id=folder, no_dist=True)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def orbax(version=3, arrays=WEIGHTS):
    """Arrays of Zarr as orbax lays them, one of them in compressed chunks."""
    files = {"_METADATA": b"{}"}
    for name, array in arrays.items():
        chunk = [-(-side // 2) for side in array.shape] if array.ndim > 1 else list(array.shape)
        parts = [array[tuple(slice(i * c, i * c + c) for i, c in zip(corner, chunk, strict=True))]
                 for corner in np.ndindex(*(-(-n // c) for n, c in zip(array.shape, chunk, strict=True)))]  # fmt: skip
        corners = list(np.ndindex(*(-(-n // c) for n, c in zip(array.shape, chunk, strict=True))))
        if version == 3:
            description = {
                "zarr_format": 3, "node_type": "array", "shape": array.shape, "data_type": "float32", "fill_value": 0.0,
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}],
            }  # fmt: skip
            form, pack = "c/{}", lambda part: gzip.compress(part.tobytes(), mtime=0)
        else:
            description = {
                "zarr_format": 2, "shape": array.shape, "chunks": chunk, "dtype": "<f4", "fill_value": 0.0,
                "order": "C", "compressor": {"id": "zlib", "level": 1}, "filters": None,
            }  # fmt: skip
            form, pack = "{}", lambda part: zlib.compress(part.tobytes())
        files[f"{name}/{'zarr.json' if version == 3 else '.zarray'}"] = json.dumps(description).encode()
        for corner, part in zip(corners, parts, strict=True):
            key = ("/" if version == 3 else ".").join(map(str, corner))
            files[f"{name}/{form.format(key)}"] = pack(np.ascontiguousarray(part))
    return files


def tfjs():
    """A Keras model for the browser, one of its weights quantized."""
    kernel, recurrent, bias = (WEIGHTS[f"rnn.{name}_l0"].T for name in ("weight_ih", "weight_hh", "bias_hh"))
    codes = np.arange(recurrent.size, dtype=np.uint8).reshape(recurrent.shape)
    arrays = {"lstm/kernel": kernel, "lstm/recurrent_kernel": codes, "lstm/bias": bias}
    weights = [{"name": name, "shape": array.shape, "dtype": "float32"} for name, array in arrays.items()]
    weights[1]["quantization"] = {"dtype": "uint8", "min": -1.0, "scale": 0.1}
    layer = {"class_name": "LSTM", "config": {"name": "lstm", "units": 2}}
    topology = {"model_config": {"class_name": "Sequential", "config": {"layers": [layer]}}}
    manifest = [{"paths": ["1.bin", "2.bin"], "weights": weights}]
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    model = json.dumps({"modelTopology": topology, "weightsManifest": manifest}).encode()
    return {"model.json": model, "1.bin": data[:40], "2.bin": data[40:]}


FORMATS = {
    "safetensors": lambda: save(WEIGHTS),
    "PyTorch zip": lambda: torch_file(zipped=True),
    "PyTorch pickle": lambda: without_checksums(torch_file(zipped=True)),
    "PyTorch quantized": quantized,
    "pickle": plain_pickle,
    "torch.export": exported,
    "archive of checkpoints": nested,
    "PyTorch legacy": lambda: torch_file(zipped=False),
    "TorchScript": torchscript,
    "npz": lambda: numpy_file(np.savez, **WEIGHTS),
    "npz, compressed": lambda: numpy_file(np.savez_compressed, **WEIGHTS),
    "npz, sparse": lambda: without_checksums(numpy_file(scipy.sparse.save_npz, scipy.sparse.eye(6, format="csr"))),
    "npy": lambda: numpy_file(np.save, WEIGHTS["rnn.weight_hh_l0"]),
    "index": sharded,
    "Equinox": equinox,
    "MATLAB": lambda: matlab(compressed=False),
    "MATLAB, compressed": lambda: matlab(compressed=True),
    "TensorFlow Lite": tflite,
    "DyNet": dynet,
    "GGUF": gguf,
    "JSON": nested_lists,
    "RTNeural": rtneural,
    "Neural Amp Modeler": amp_model,
    "flax msgpack": flax,
    "ONNX": onnx,
    "HDF5": hdf5,
    "Keras": keras,
}
"""Format → what makes a file of it."""
FOLDERS = {
    "torch.distributed": distributed,
    "orbax, Zarr 3": orbax,
    "orbax, Zarr 2": lambda: orbax(version=2),
    "TensorFlow.js": tfjs,
}
"""Format of several files → what makes them, by name."""
SLOW = {"HDF5", "Keras"}
"""Formats of which each file starts a process, so that a gate reads no thousands of them."""
