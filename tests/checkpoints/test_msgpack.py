"""Flax files: a tree of maps whose leaves are arrays, read without building what the file says."""

import struct

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

RNG = np.random.default_rng(0)


def packed(value):
    if isinstance(value, dict):
        head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
        return head + b"".join(packed(key) + packed(entry) for key, entry in value.items())
    if isinstance(value, str):
        return (bytes([0xA0 | len(value)]) if len(value) < 32 else b"\xd9" + bytes([len(value)])) + value.encode()
    if isinstance(value, bool | int):
        return bytes([0xC2 | value]) if isinstance(value, bool) else b"\xce" + struct.pack(">I", value)
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(packed, value))
    content = packed(list(value.shape)) + packed(value.dtype.name)
    content = b"\x93" + content + b"\xc6" + struct.pack(">I", value.nbytes) + value.tobytes()
    return b"\xc9" + struct.pack(">I", len(content)) + b"\x01" + content


def cell(gates, units=6, inputs=4):
    recurrent = {f"h{gate}": {"kernel": random(units, units), "bias": random(units)} for gate in gates}
    return recurrent | {f"i{gate}": {"kernel": random(inputs, units)} for gate in gates}


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def saved(path, tree):
    path.write_bytes(packed(tree))
    return path


def test_cells_are_read_by_the_names_of_flax(tmp_path):
    tree = {
        "params": {"OptimizedLSTMCell_0": cell("ifgo"), "GRUCell_0": cell("rzn"), "Dense_0": {"kernel": random(6, 2)}}
    }
    layers = read(saved(tmp_path / "m.msgpack", tree))
    assert layers.format == "flax msgpack"
    assert [(layer.name, layer.cell) for layer in layers] == [
        ("OptimizedLSTMCell_0", "lstm"),
        ("GRUCell_0", "gru"),
    ]
    kernel = tree["params"]["OptimizedLSTMCell_0"]["hf"]["kernel"]
    np.testing.assert_array_equal(layers[0].gates["f"], kernel.T)


def test_a_cell_of_one_gate(tmp_path):
    tree = {"params": {"cell": {"hi": {"kernel": random(8, 8)}, "ii": {"kernel": random(3, 8)}}}}
    (layer,) = read(saved(tmp_path / "m.msgpack", tree))
    assert (layer.name, layer.cell, layer.input_size) == ("cell", "rnn_tanh", 3)


def test_the_state_of_the_optimizer_is_no_layer(tmp_path):
    cells = {"LSTMCell_0": cell("ifgo")}
    tree = {"step": 3, "params": cells, "opt_state": {"0": {"count": 3, "mu": cells, "nu": cells}, "1": {}}}
    layers = read(saved(tmp_path / "m.msgpack", tree))
    assert [layer.name for layer in layers] == ["LSTMCell_0"]


def test_an_array_in_chunks(tmp_path):
    W = random(6, 6)
    chunks = {"0": W.ravel()[:20], "1": W.ravel()[20:]}
    kernel = {"__msgpack_chunked_array__": True, "shape": {"0": 6, "1": 6}, "chunks": chunks}
    (layer,) = read(saved(tmp_path / "m.msgpack", {"cell": {"h": {"kernel": kernel}, "i": {"kernel": random(2, 6)}}}))
    np.testing.assert_array_equal(layer.gates["h"], W.T)
    chunks.pop("1")
    with pytest.raises(CheckpointError, match=r"the chunks of array 'cell/h/kernel' do not fill its shape \(6, 6\)"):
        read(saved(tmp_path / "m.msgpack", {"cell": {"h": {"kernel": kernel}}}))


def test_the_file_of_a_train_state(tmp_path):
    jax, nn, optax = (pytest.importorskip(name) for name in ("jax", "flax.linen", "optax"))
    serialization = pytest.importorskip("flax.serialization")
    model = nn.RNN(nn.OptimizedLSTMCell(6))
    params = model.init(jax.random.key(0), np.ones((1, 4, 3)))["params"]
    state = pytest.importorskip("flax.training.train_state").TrainState.create(
        apply_fn=model.apply, params=params, tx=optax.adam(1e-3)
    )
    (tmp_path / "m").write_bytes(serialization.to_bytes(state))
    (layer,) = read(tmp_path / "m")
    assert (layer.cell, layer.hidden_size, layer.input_size) == ("lstm", 6, 3)
    half = jax.tree.map(lambda array: array.astype("bfloat16"), params)
    (tmp_path / "m").write_bytes(serialization.to_bytes(half))
    assert read(tmp_path / "m")[0].source.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x81\xa1a", "ends in the middle: truncated"),
        (b"\x81\xa1a\xcd\x00", "ends in the middle: truncated"),
        (b"\x81\xa1a\xc0rest", "4 bytes follow the end of its tree"),
        (b"\x81\xa1a\xc1", "byte 0xc1 starts no object"),
        (b"\x82\xa1a\xc0\x90\xc0", "a key of its tree is no text"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "a list of 4294967295 does not fit"),
        (b"\x81\xa1a" + b"\x91" * 100 + b"\xc0", "deeper than 64"),
        (b"\x81\xa1a" + packed(np.eye(2))[:-1], "does not fit into the file"),
        (b"\x81\xa1a" + packed(np.eye(2)).replace(b"\xa7float64", b"\xa7float32"), "claims shape"),
        (b"\x81\xa1a" + packed(np.eye(2)).replace(b"\xa7float64", b"\xcefloat64"), "lacks its shape"),
        (b"\x81\xa1a\xc7\x85\x01" + b"\x93\xdc\x00\x80" + b"\x01" * 128 + b"\xc0", "claims 128 axes"),
    ],
)
def test_damaged_trees(tmp_path, content, message):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "m")
