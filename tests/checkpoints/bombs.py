"""Small files that ask for much memory or time, one function a kind; each writes its file at a path."""

import gzip
import io
import json
import math
import pickle
import struct
import zipfile

import numpy as np

MB = 1 << 20


def zip_of(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def safetensors_of(path, entries, content):
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content)


def overlapping(path, dtype="BF16", itemsize=2, n=1448, count=500):
    """Many recurrent weights in one place of the file, each converted when it is loaded."""
    size = n * n * itemsize
    entry = {"dtype": dtype, "shape": [n, n], "data_offsets": [0, size]}
    safetensors_of(path, {f"rnn{k}.weight_hh_l0": entry for k in range(count)}, bytes(size))


def overlapping_norms(path):
    """Many weights that are each computed from one norm and one direction."""
    n = 1024
    g = {"dtype": "F32", "shape": [n, 1], "data_offsets": [0, 4 * n]}
    v = {"dtype": "F32", "shape": [n, n], "data_offsets": [0, 4 * n * n]}
    entries = {}
    for k in range(300):
        entries |= {f"rnn{k}.weight_hh_l0_g": g, f"rnn{k}.weight_hh_l0_v": v}
    safetensors_of(path, entries, np.ones(n * n, np.float32).tobytes())


def wide_projection(path):
    """Two vectors whose product is the recurrent weight of 16,000 units."""
    n = 16_000
    entries, start = {}, 0
    for name, shape in {
        "lstm.weight_hh_l0": [4 * n, 1],
        "lstm.weight_ih_l0": [4 * n, 1],
        "lstm.weight_hr_l0": [1, n],
    }.items():
        end = start + 4 * shape[0] * shape[1]
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        start = end
    safetensors_of(path, entries, bytes(start))


def low_rank(path):
    """Two vectors whose outer product is the recurrent weight of 16,000 units."""
    n = 16_000
    entries = {
        name: {"dtype": "F32", "shape": [n, 1], "data_offsets": [0, 4 * n]} for name in ("rnn.m", "rnn.n", "rnn.wi")
    }
    safetensors_of(path, entries, np.ones(n, np.float32).tobytes())


def orthogonal_map(path, n=1800):
    """A weight that is the exponential of a large matrix."""
    entries, start = {}, 0
    for leaf in ("original", "0.base"):
        end = start + 4 * n * n
        entries[f"rnn.parametrizations.weight_hh_l0.{leaf}"] = {
            "dtype": "F32",
            "shape": [n, n],
            "data_offsets": [start, end],
        }
        start = end
    rng = np.random.default_rng(0)
    safetensors_of(path, entries, rng.standard_normal(2 * n * n, np.float32).tobytes())


def reflections(path):
    """A weight that is a product of thousands of reflections."""
    rows, columns = 3000, 2999
    entries, start = {}, 0
    for leaf, shape in (("original", [rows, columns]), ("0.base", [rows, rows])):
        end = start + 4 * shape[0] * shape[1]
        entries[f"rnn.parametrizations.weight_hh_l0.{leaf}"] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [start, end],
        }
        start = end
    safetensors_of(path, entries, np.ones(start // 4, np.float32).tobytes())


def one_member_under_many_names(path):
    """A zip archive whose directory names one stored member a thousand times, of big-endian numbers."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((724, 724), ">f4"))
    zip_of(path, {"00000.npy": buffer.getvalue()})
    repeat_member(path, "rnn{:04d}.weight_hh.npy", 1000)


def repeat_member(path, form, count):
    """Name the one member of an archive many times in its directory."""
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    old = data[start:end]
    entries = b""
    for k in range(count):
        name = form.format(k).encode()
        entry = bytearray(old[:46])
        entry[28:30] = struct.pack("<H", len(name))
        entries += bytes(entry) + name
    tail = bytearray(data[end:])
    tail[8:12] = struct.pack("<HH", count, count)
    tail[12:16] = struct.pack("<I", len(entries))
    path.write_bytes(data[:start] + entries + tail)


def zip_in_many_heads(path):
    """Tens of thousands of compressed arrays, each of whose head costs an unpacking of its own."""
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (512, 512), }".ljust(117)
    zip_of(path, {"rnn00000.weight_hh.npy": header + b"\n" + bytes(4 << 18)}, zipfile.ZIP_DEFLATED)
    repeat_whole_member(path, b"00000", 40_000)


def repeat_whole_member(path, mark, count):
    """Write the one member of an archive many times, each with a head of its own, in whose name a mark counts."""
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    member, entry, tail = data[:start], data[start:end], bytearray(data[end:])
    number = f"0{len(mark)}d"
    members = b"".join(member.replace(mark, f"{k:{number}}".encode(), 1) for k in range(count))
    entries = b"".join(
        entry.replace(mark, f"{k:{number}}".encode(), 1)[:42]
        + struct.pack("<I", k * len(member))
        + entry.replace(mark, f"{k:{number}}".encode(), 1)[46:]
        for k in range(count)
    )
    tail[8:12] = struct.pack("<HH", count, count)
    tail[12:20] = struct.pack("<II", len(entries), len(members))
    path.write_bytes(members + entries + tail)


def pickle_at(path, data):
    zip_of(path, {"archive/data.pkl": data, "archive/version": b"3"})


def pickle_flood(path):
    """Millions of instructions that leave nothing behind."""
    path.write_bytes(b"\x80\x02}q\0" + b"N0" * (40 * MB) + b".")


def pickle_memo(path):
    path.write_bytes(b"\x80\x02}q\0" + b"h\x000" * (30 * MB) + b".")


def pickle_references(path):
    """A list of references to one list of references, twenty levels deep."""
    level = b"](K\x01e"
    data = b"\x80\x02}X\x09\0\0\0weight_hh" + level + b"q\0"
    for k in range(20):
        data += b"0](" + (b"h" + bytes([k])) * 200 + b"eq" + bytes([k + 1])
    path.write_bytes(data + b"s.")


def pickle_doubled_tuple(path):
    """Tuples of pairs of one tuple: two to the fortieth leaves."""
    data = b"\x80\x02}X\x01\0\0\0aK\x01\x85q\0"
    for _ in range(40):
        data += b"q\x00h\x00\x86"
    path.write_bytes(data + b"s.")


def torch_views(path):
    """Many tensors of one storage, each with another offset, so that each is converted."""
    import torch

    n, count = 1024, 600
    storage = torch.zeros(n * n + count, dtype=torch.bfloat16)
    torch.save({f"rnn{k}.weight_hh_l0": storage[k : k + n * n].view(n, n) for k in range(count)}, path)


def torchscript_of(path, data=b"\x80\x02c__torch__\nM\n)\x81}b.", **more):
    members = {"version": b"3", "code/__torch__.py": b"class M(Module):\n  pass\n", "data.pkl": data}
    members |= {"constants.pkl": b"\x80\x02)."} | more
    zip_of(path, {f"m/{name}": content for name, content in members.items()}, zipfile.ZIP_DEFLATED)


def torchscript_calls(path):
    """Millions of objects of a program, none of which is kept."""
    torchscript_of(path, b"\x80\x02c__torch__\nM\nq\0" + b"0h\0)\x81" * 2_000_000 + b".")


def torchscript_pending(path):
    """Hundreds of thousands of objects inside of each other."""
    torchscript_of(path, b"\x80\x02c__torch__\nM\nq\0" + b"h\0(" * 300_000 + b"t\x81" * 300_000 + b".")


def torchscript_code(path):
    """A program of 400 MB of spaces."""
    torchscript_of(path, **{"code/__torch__/x.py": b" " * (400 * MB)})


def torchscript_modules(path):
    torchscript_of(
        path, **{f"code/__torch__/m{k}.py": b"class A(Module):\n  weight_hh : Tensor\n" for k in range(30_000)}
    )


def pickle_states(path):
    """An object whose state is given millions of times, and is itself."""
    path.write_bytes(b"\x80\x02cx\ny\n)\x81q\0" + b"h\0b" * 3_000_000 + b".")


def safetensors_entries(path):
    """A header of 86 MB."""
    entry = b'"t%07d":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = b"{" + b",".join(entry % k for k in range(1_500_000)) + b"}"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def many_views(path):
    """20,000 tensors of one storage of 20 MB, whose checksum is computed once."""
    import torch

    storage = torch.zeros(5 * MB)
    torch.save({f"t{k}": storage[k : k + 4] for k in range(20_000)}, path)


def many_sparse(path):
    """Pickled sparse matrices without entries."""
    import scipy.sparse

    path.write_bytes(pickle.dumps({f"rnn{k}.weight_hh": scipy.sparse.csr_matrix((2000, 2000)) for k in range(200)}, 2))


def sparse_npz(path, kind="csr"):
    """One sparse matrix without entries that is dense in 200 MB."""
    import scipy.sparse

    n = 5000
    matrix = scipy.sparse.csr_matrix((n, n)).asformat(kind)
    with path.open("wb") as file:
        scipy.sparse.save_npz(file, matrix)


def sparse_matlab(path):
    """Many sparse arrays of a .mat file, each small enough to be made dense alone."""
    import scipy.io
    import scipy.sparse

    n = 2500
    with path.open("wb") as file:
        scipy.io.savemat(file, {f"rnn{k}_weight_hh": scipy.sparse.csc_matrix((n, n)) for k in range(60)})


def compressed_matlab(path):
    """A compressed array of bytes that MATLAB calls doubles."""
    n = 7900
    flags = struct.pack("<IIII", 6, 8, 6, 0)
    name = b"rnn.weight_hh"
    body = flags + struct.pack("<IIii", 5, 8, n, n) + struct.pack("<II", 1, len(name)) + name.ljust(16, b"\0")
    body += struct.pack("<II", 2, n * n) + bytes(n * n + -(n * n) % 8)
    import zlib

    packed = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(packed)) + packed)


def gguf_of(path, tensors, content, pairs=b"", count=0):
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    data = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + pairs)
    for name, (shape, kind, offset) in tensors.items():
        data += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        data += struct.pack("<IQ", kind, offset)
    path.write_bytes(data + bytes(-len(data) % 32) + content)


def gguf_overlapping(path):
    """Quantized tensors in one place, each decoded to twelve times its size."""
    n = 1024
    tensors = {f"rnn{k}.weight_hh": ((n, n), 10, 0) for k in range(300)}
    gguf_of(path, tensors, bytes(n * n // 256 * 84))


def gguf_wide(path):
    """One quantized weight of 8 MB that is decoded to a hundred."""
    n = 8192
    gguf_of(path, {"rnn.weight_hh": ((n, n), 16, 0)}, bytes(n * n // 256 * 66))


def gguf_words(path):
    """A vocabulary of ten million empty words."""
    words = 10 * MB
    pairs = struct.pack("<Q", 1) + b"t" + struct.pack("<IIQ", 9, 8, words) + bytes(8 * words)
    gguf_of(path, {"rnn.weight_hh": ((2, 2), 0, 0)}, bytes(16), pairs, 1)


def gguf_pairs(path):
    """Five million empty metadata."""
    pairs = (struct.pack("<QIB", 0, 0, 0)) * (5 * MB)
    gguf_of(path, {"rnn.weight_hh": ((2, 2), 0, 0)}, bytes(16), pairs, 5 * MB)


def gguf_counts(path):
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60) + bytes(64))


def gguf_names(path, count=90_000):
    """Names of 126 letters, no two of one form."""
    letters = str.maketrans("0123456789", "abcdefghij")
    names = ("a_" * 60 + f"{k:06d}".translate(letters) for k in range(count))
    gguf_of(path, dict.fromkeys(names, ((2, 2), 0, 0)), bytes(16))


def gguf_equal_names(path, count=90_000):
    """Names of 126 letters that differ in their numbers alone."""
    gguf_of(path, {"a_" * 60 + f"{k:06d}": ((2, 2), 0, 0) for k in range(count)}, bytes(16))


def gguf_quantized(path, count=90_000):
    """Tens of thousands of quantized vectors."""
    gguf_of(path, {f"t{k:05d}": ((32,), 8, 0) for k in range(count)}, bytes(34))


def gguf_state_spaces(path, count=400, kind=0):
    """Hundreds of selective state spaces in one place of the file, of the rates -1."""
    n, one = 500_000, {0: struct.pack("<f", -1), 24: b"\xff"}[kind]
    tensors = {}
    for k in range(count):
        tensors[f"blk.{k}.ssm_a"] = ((n // 16, 16), kind, 0)
        tensors[f"blk.{k}.ssm_dt.bias"] = ((n // 16,), kind, 0)
    gguf_of(path, tensors, one * n)


def gguf_state_spaces_of_bytes(path, count=400):
    """The same of one byte each, which is kept in many more."""
    gguf_state_spaces(path, count, kind=24)


def long_name(path):
    """One name of a hundred thousand separators."""
    safetensors_of(path, {"_" * 100_000: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16))


def siblings(path, count=3000):
    """Thousands of layers in one module, beside thousands of vectors that any of them might use."""
    vector = {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}
    stack = {"dtype": "F32", "shape": [8, 2], "data_offsets": [0, 64]}
    names = {f"weight_hh_l{k}": stack for k in range(count)} | {f"bias_x{k}": vector for k in range(600)}
    safetensors_of(path, names, bytes(64))


def linear_layers(path, count=30_000):
    """Tens of thousands of state spaces of two heads."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    names = {f"l{k}.{part}": entry for k in range(count) for part in ("A_log", "dt_bias")}
    safetensors_of(path, names, bytes(8))


def lstms(path, count=14_000):
    """Thousands of LSTMs of two units, whose gates are many arrays each."""
    shapes = {"weight_hh_l0": [8, 2], "weight_ih_l0": [8, 1], "bias_ih_l0": [8], "bias_hh_l0": [8]}
    entries = {
        f"l{k}.{part}": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * math.prod(shape)]}
        for k in range(count)
        for part, shape in shapes.items()
    }
    safetensors_of(path, entries, bytes(64))


def norms(path, count=30_000):
    """Tens of thousands of small weights as norms and directions."""
    v = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    g = {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}
    names = {f"l{k}.weight_hh_l0_{part}": entry for k in range(count) for part, entry in (("v", v), ("g", g))}
    safetensors_of(path, names, bytes(16))


def nested_names(path, count=20_000, levels=150):
    """A hundred modules inside of each other, each of which might be RWKV, above tens of thousands of names."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    names = ["a_" * k + "w0" for k in range(levels)] + ["a_" * levels + str(k) for k in range(count)]
    safetensors_of(path, dict.fromkeys(names, entry), bytes(8))


def tflite_of_bytes(path):
    """One weight of 36 MB in bytes with a scale."""
    from tests.checkpoints.tflite_builder import Model

    model = Model()
    n = 3000
    W = [model.tensor(f"W{k}", np.zeros((n, 1), np.float32)) for k in range(4)]
    U = [model.tensor(f"U{k}", np.zeros((n, n), np.int8), scale=np.array([0.5])) for k in range(4)]
    b = [model.tensor(f"b{k}", np.zeros(n, np.float32)) for k in range(4)]
    model.operator(44, [model.tensor("x"), *W, *U, -1, -1, -1, *b])
    path.write_bytes(model.content())


def tflite_repeats(path):
    """Hundreds of operators that use the same weights in bytes."""
    from tests.checkpoints.tflite_builder import Model

    model = Model()
    n = 1024
    W = [model.tensor(f"W{k}", np.zeros((n, 1), np.float32)) for k in range(4)]
    U = [model.tensor(f"U{k}", np.zeros((n, n), np.int8), scale=np.array([0.5])) for k in range(4)]
    b = [model.tensor(f"b{k}", np.zeros(n, np.float32)) for k in range(4)]
    for _ in range(300):
        model.operator(44, [model.tensor("x"), *W, *U, -1, -1, -1, *b])
    path.write_bytes(model.content())


def tflite_graphs(path, graphs=20_000, tensors=20_000):
    """One graph under many names, of tensors without values."""
    import flatbuffers

    builder = flatbuffers.Builder(0)

    def vector(one, count):
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(one)
        return builder.EndVector()

    def table(fields):
        builder.StartObject(max(fields, default=0) + 1)
        for field, value in fields.items():
            builder.PrependUOffsetTRelativeSlot(field, value, 0)
        return builder.EndObject()

    tensor = table({})
    empty = table({0: vector(tensor, tensors)})
    builder.Finish(table({2: vector(empty, graphs), 4: vector(tensor, 1)}), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def tfjs(path):
    """One weight of 36 MB in bytes with a scale, beside its model."""
    n = 6000
    config = {"class_name": "Sequential", "config": {"layers": []}}
    weight = {
        "name": "rnn/recurrent_kernel",
        "shape": [n, n],
        "dtype": "float32",
        "quantization": {"dtype": "uint8", "scale": 0.1, "min": 0.0},
    }
    manifest = [{"paths": ["shard.bin"], "weights": [weight]}]
    (path.parent / "shard.bin").write_bytes(bytes(n * n))
    path.write_text(json.dumps({"weightsManifest": manifest, "modelTopology": {"model_config": config}}))


def keras_config_of(path, config):
    """A .keras archive of a configuration, with weights that are none of its layers."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), np.float32)
    zip_of(
        path,
        {
            "metadata.json": b'{"keras_version": "3.0"}',
            "config.json": json.dumps(config),
            "model.weights.h5": buffer.getvalue(),
        },
    )


def keras_bidirectional(path):
    """Thirty wrappers inside each other, each of which runs its layer in two directions."""
    layer = {"class_name": "LSTM", "config": {"name": "lstm"}}
    for _ in range(30):
        layer = {"class_name": "Bidirectional", "config": {"name": "b", "layer": layer}}
    keras_config_of(path, {"class_name": "Sequential", "config": {"layers": [layer]}})


def keras_names(path):
    """Names of a thousand letters on thirty levels of a hundred thousand layers."""
    layer = {"class_name": "LSTM", "config": {"name": "x"}}
    layers = [layer] * 40_000
    for k in range(25):
        layers = [{"class_name": "Functional", "config": {"name": f"{k}" * 10_000, "layers": layers}}]
    keras_config_of(path, {"class_name": "Sequential", "config": {"layers": layers}})


def hdf5_of(path, write):
    import h5py

    with h5py.File(path, "w") as file:
        write(file)


def hdf5_chunk(path):
    """An array of 20,000 numbers in chunks of eight megabytes of zeros each."""
    import h5py

    with h5py.File(path, "w", libver="latest") as file:
        rows = 4000
        array = file.create_dataset(
            "rnn/weight_hh", (rows, 1), "<f4", maxshape=(None, None), chunks=(1, 2 * MB), compression="gzip"
        )
        packed = zlib_of(bytes(8 * MB))
        for row in range(rows):
            array.id.write_direct_chunk((row, 0), packed)


def zlib_of(data):
    import zlib

    return zlib.compress(data, 9)


def hdf5_zeros(path):
    """Compressed zeros, named as recurrent weights."""

    def write(file):
        for k in range(30):
            file.create_dataset(
                f"rnn{k}/weight_hh", data=np.zeros((1024, 1024), np.float32), compression="gzip", chunks=(1024, 1024)
            )

    hdf5_of(path, write)


def hdf5_wide(path):
    """Compressed arrays of terabytes, of which no chunk is there."""
    chunks = {"chunks": (64, 64), "compression": "gzip"}

    def write(file):
        for k in range(100):
            file.create_dataset(f"rnn{k}/weight_hh", shape=(1 << 20, 1 << 20), dtype="f4", **chunks)

    hdf5_of(path, write)


def hdf5_objects(path):
    hdf5_of(path, lambda file: [file.create_dataset(f"rnn{k}/weight_hh", data=np.zeros((2, 2))) for k in range(8_000)])


def orbax_of(path, arrays):
    path.mkdir()
    (path / "_METADATA").write_text("{}")
    for name, (description, files) in arrays.items():
        (path / name).mkdir()
        (path / name / "zarr.json").write_text(json.dumps(description))
        for key, content in files.items():
            file = path / name / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def zarr_description(shape, chunk, *codecs):
    return {
        "node_type": "array",
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {"configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": list(codecs) or [{"name": "bytes"}],
    }


def zarr_empty(path):
    """Arrays whose chunks are not there, and count as zeros."""
    n = 2000
    orbax_of(path, {f"rnn{k}.weight_hh": (zarr_description([n, n], [n, n]), {}) for k in range(200)})


def zarr_shards(path):
    """A shard whose thousands of chunks are one compressed megabyte."""
    rows = 50_000
    shard = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, 150_000],
            "codecs": [{"name": "bytes"}, {"name": "gzip"}],
            "index_codecs": [{"name": "bytes"}],
        },
    }
    inner = gzip.compress(bytes(4 * 150_000), mtime=0)
    data = inner + struct.pack("<QQ", 0, len(inner)) * rows
    orbax_of(path, {"rnn.weight_hh": (zarr_description([rows, 1], [rows, 1], shard), {"c/0/0": data})})


def zarr_counts(path):
    orbax_of(path, {"rnn.weight_hh": (zarr_description([1 << 20, 1 << 20], [1, 1]), {})})


def equinox_counters(path):
    """Tens of thousands of counters, each of which might start an optimizer's state."""
    buffer = io.BytesIO()
    for k in range(60_000):
        np.save(buffer, np.int32(k))
    path.write_bytes(buffer.getvalue())


def json_levels(path):
    """Nested lists that are arrays only to the first look."""
    node = [0.0] * 20_000 + ["x"]
    for _ in range(60):
        node = [node, 1]
    path.write_text(json.dumps({"weight_hh": node, "b": [1.0, 2.0]}))


def json_wide(path):
    """Fifty levels of a list whose first entry is a number eight lists deep."""
    node = 1.0
    inner = [[[[[[[1.0]]]]]]]
    node = [inner] * 10_000 + [["x"]]
    for _ in range(50):
        node = [inner, node]
    path.write_text(json.dumps({"weight_hh": node}))


def amp_layers(path):
    """A million layers of one unit."""
    config = {"input_size": 1, "hidden_size": 1, "num_layers": 1_000_000}
    path.write_text(json.dumps({"architecture": "LSTM", "config": config, "weights": [0.5] * 3_000_000}))


def dynet_layers(path, count=33_000):
    """Tens of thousands of LSTMs of two units."""
    one = "".join(
        f"#Parameter# /lstm/_{{}} {{{{{sides}}}}} {2 * size} ZERO_GRAD\n{'0 ' * size}\n"
        for sides, size in (("8,1", 8), ("8,2", 16), ("8", 8))
    )
    path.write_text("".join(one.format(*range(3 * k, 3 * k + 3)) for k in range(count)))


def dynet_lines(path):
    path.write_bytes(b"#Parameter# /rnn/_0 {4,4} 1 ZERO_GRAD\n" + b"\n#" * (10 * MB))


def dynet_numbers(path):
    """A weight of fifty million digits."""
    n = 7000
    text = b"0 " * (n * n)
    head = f"#Parameter# /vanilla-lstm-builder/_0 {{{n},{n}}} {len(text)} ZERO_GRAD\n".encode()
    path.write_bytes(head + text + b"\n")


def msgpack_list(path):
    path.write_bytes(b"\x81\xa1a\xdd" + struct.pack(">I", 8 * MB) + b"\xc0" * (8 * MB))


def msgpack_chunks(path):
    """An array in a thousand pieces of nothing."""
    from flax import serialization

    tree = {"__msgpack_chunked_array__": True, "shape": {"0": 0, "1": 1 << 40}, "chunks": {}}
    path.write_bytes(serialization.msgpack_serialize({"weight_hh": tree}))


def msgpack_extensions(path):
    path.write_bytes(b"\x81\xa1a\xdd" + struct.pack(">I", 3 * MB) + b"\xd4\x01\0" * (3 * MB))


def export_views(path):
    """Many weights of torch.export in one member, each with another offset."""
    n = 1024
    config = {}
    for k in range(600):
        meta = {
            "dtype": 13,
            "sizes": [{"as_int": n}] * 2,
            "strides": [{"as_int": n}, {"as_int": 1}],
            "storage_offset": {"as_int": k},
        }
        config[f"rnn{k}.weight_hh_l0"] = {"path_name": "w", "use_pickle": False, "tensor_meta": meta}
    members = {
        "m/data/weights/w": bytes(2 * (n * n + 600)),
        "m/data/weights/model_weights_config.json": json.dumps({"config": config}),
    }
    zip_of(path, members)


def torch_expanded(path):
    """Weights of 12,000 units that are views of one number."""
    import torch

    one = torch.ones(1, dtype=torch.float16)
    torch.save({f"rnn{k}.weight_hh_l0": one.expand(12_000, 12_000) for k in range(8)}, path)


def export_expanded(path):
    """The same in a program of torch.export, by strides of zero."""
    sides, strides = [{"as_int": 12_000}] * 2, [{"as_int": 0}] * 2
    meta = {"dtype": 13, "sizes": sides, "strides": strides, "storage_offset": {"as_int": 0}}
    config = {f"rnn{k}.weight_hh_l0": {"path_name": "w", "use_pickle": False, "tensor_meta": meta} for k in range(8)}
    content = {"w": bytes(2), "model_weights_config.json": json.dumps({"config": config})}
    zip_of(path, {f"m/data/weights/{name}": data for name, data in content.items()})


def distributed_flood(path):
    """Millions of instructions in the description of a checkpoint of torch.distributed."""
    path.mkdir()
    (path / ".metadata").write_bytes(b"\x80\x02}q\0" + b"N0" * (30 * MB) + b".")
    (path / "__0_0.distcp").write_bytes(b"")


def npz_swapped(path):
    """Compressed zeros of two bytes in the other order, converted to four."""
    with path.open("wb") as file:
        np.savez_compressed(file, **{f"rnn{k}.weight_hh": np.zeros((3000, 3000), ">f2") for k in range(4)})


BOMBS = {
    make.__name__: make
    for make in (
        overlapping, overlapping_norms, wide_projection, low_rank, orthogonal_map, reflections,
        one_member_under_many_names, zip_in_many_heads, pickle_flood, pickle_memo, pickle_references,
        pickle_doubled_tuple, torch_views, torchscript_calls,
        torchscript_pending, torchscript_code, torchscript_modules, pickle_states,
        safetensors_entries, many_views, many_sparse, sparse_npz, sparse_matlab, compressed_matlab,
        gguf_overlapping, gguf_wide, gguf_names, gguf_equal_names, long_name, nested_names, siblings,
        linear_layers, lstms, norms, gguf_quantized,
        gguf_state_spaces, gguf_state_spaces_of_bytes, gguf_words, gguf_pairs, gguf_counts, tflite_of_bytes,
        tflite_repeats,
        tflite_graphs, tfjs, keras_bidirectional, keras_names, hdf5_chunk, hdf5_zeros, hdf5_wide, hdf5_objects,
        zarr_empty,
        zarr_shards, zarr_counts, equinox_counters, json_levels, json_wide, amp_layers, dynet_layers, dynet_lines,
        dynet_numbers,
        msgpack_list, msgpack_chunks, msgpack_extensions, export_views,
        torch_expanded, export_expanded, distributed_flood, npz_swapped,
    )
}  # fmt: skip
