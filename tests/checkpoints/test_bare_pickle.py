"""Plain pickles of arrays, of every protocol and of both Pythons, read without executing anything."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from unitcircle.checkpoints import _objects, _room, _sparse, read
from unitcircle.checkpoints._bare_pickle import read_pickle
from unitcircle.checkpoints._pickle import unpickle
from unitcircle.errors import CheckpointError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
RNG = np.random.default_rng(0)


def arrays_of(value, protocol=4):
    contents = read_pickle(memoryview(pickle.dumps(value, protocol)))
    return {name: tensor.load() for name, tensor in contents.tensors.items()}


class Cell:
    """An object with weights, as people pickle them."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


ARRAYS = [
    RNG.standard_normal((3, 4)).astype(dtype)
    for dtype in ("<f4", ">f4", "f2", "f8", "c8", "c16", "i1", "u2", ">i8", "?")
] + [
    np.asfortranarray(RNG.standard_normal((3, 4))),
    RNG.standard_normal((4, 6)).T[::2],
    np.zeros((0, 3)),
    np.float32(1.5),
    np.array(2.5),
    np.matrix(np.eye(2)),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back_from_every_protocol(array, protocol):
    arrays = arrays_of({"w": array}, protocol)
    np.testing.assert_array_equal(arrays["w"], array)
    assert arrays["w"].shape == array.shape
    assert arrays["w"].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dictionary_in_a_file_is_recognised_and_read(tmp_path, protocol):
    weights = {"Wrec": RNG.standard_normal((4, 4)), "Win": RNG.standard_normal((4, 2))}
    for content in (weights, OrderedDict(weights), [weights], Cell(**weights), (weights, 1)):
        (tmp_path / "rnn.pkl").write_bytes(pickle.dumps(content, protocol))
        layers = read(tmp_path / "rnn.pkl")
        assert layers.format == "pickle"
        (layer,) = layers
        np.testing.assert_array_equal(layer.gates["h"], weights["Wrec"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_alone_has_the_name_of_the_file(tmp_path, protocol):
    (tmp_path / "W_rec.pkl").write_bytes(pickle.dumps(np.eye(3), protocol))
    assert [layer.name for layer in read(tmp_path / "W_rec.pkl")] == ["W_rec"]


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("of", ["matrix", "array"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sparse_matrices_become_dense(kind, of, protocol):
    dense = RNG.standard_normal((5, 7)) * (RNG.random((5, 7)) < 0.3)
    np.testing.assert_array_equal(arrays_of(Cell(W=getattr(sparse, f"{kind}_{of}")(dense)), protocol)["W"], dense)


def test_repeated_coordinates_are_added():
    matrix = sparse.coo_matrix(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    np.testing.assert_array_equal(arrays_of([matrix])["0"], matrix.toarray())


@pytest.mark.parametrize("part", ["indices", "indptr"])
@pytest.mark.parametrize("value", [-1, 7, 1 << 30])
def test_a_sparse_matrix_with_wrong_indices_is_refused(part, value):
    matrix = sparse.csr_matrix(np.eye(5))
    getattr(matrix, part)[1] = value
    with pytest.raises(CheckpointError, match="sparse matrix"):
        arrays_of({"W": matrix})


def test_sparse_matrices_that_would_be_too_large_are_named(monkeypatch):
    monkeypatch.setattr(_objects, "MAX_ENTRIES", 40)
    small, large = sparse.csr_matrix(np.eye(5)), sparse.csr_matrix(np.eye(6))
    contents = read_pickle(memoryview(pickle.dumps({"a": small, "W": large})))
    assert list(contents.tensors) == ["a"]
    assert contents.unread == ("W: a sparse matrix of shape (6, 6), too large: not read",)
    assert _sparse.MAX_ENTRIES == 1 << 23


def test_one_array_under_two_names_is_read_once():
    weight = np.eye(4)
    tensors = read_pickle(memoryview(pickle.dumps({"a": weight, "b": weight}))).tensors
    assert tensors["a"].identity == tensors["b"].identity is not None


def test_arrays_of_objects_are_looked_into_and_records_are_not():
    ragged = np.empty(2, object)
    ragged[:] = [np.eye(2), np.ones((3, 3))]
    record = np.zeros(3, [("a", "f4"), ("b", "i4")])
    tensors = read_pickle(memoryview(pickle.dumps({"W": ragged, "r": record, "s": np.array(["text"])}))).tensors
    np.testing.assert_array_equal(tensors["W.1"].load(), np.ones((3, 3)))
    assert tensors["r"].dtype == tensors["s"].dtype == "record"
    with pytest.raises(CheckpointError, match="elements of type 'record' cannot be read"):
        tensors["r"].load()


@pytest.mark.parametrize(
    "text",
    [
        (
            b"(dp0\nS'W'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
            b"(I1\n(I1\nI2\ntp8\ncnumpy\ndtype\np9\n(S'f4'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\n"
            b"tp14\nbI00\nS'\\x00\\x00\\x80\\xbf\\x00\\x00\\xc0?'\np15\ntp16\nbs."
        ),
        (
            b"\x80\x02}q\x00U\x01Wq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87R"
            b"q\x04(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x05U\x02f4K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ\xff\xff\xff\xffJ"
            b"\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x80\xbf\x00\x00\xc0?tbs."
        ),
    ],
)
def test_pickles_of_python_2(text, tmp_path):
    (tmp_path / "old").write_bytes(text)
    assert read(tmp_path / "old").format == "pickle"
    np.testing.assert_array_equal(read_pickle(memoryview(text)).tensors["W"].load(), np.array([[-1, 1.5]], np.float32))


def test_pickles_that_follow_each_other():
    stream = io.BytesIO()
    for array in (np.eye(2), np.ones(3)):
        pickle.dump(array, stream)
    tensors = read_pickle(memoryview(stream.getvalue())).tensors
    assert [tensor.shape for tensor in tensors.values()] == [(2, 2), (3,)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_torch_tensors_in_a_plain_pickle(protocol, tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(2, 3)
    state = {name: tensor.detach()[:] for name, tensor in module.named_parameters()}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"epoch": 3, "rnn": state}, protocol))
    (layer,) = read(tmp_path / "model.pkl")
    np.testing.assert_array_equal(layer.gates["o"], state["weight_hh_l0"][9:])
    np.testing.assert_array_equal(layer.inputs["i"], state["weight_ih_l0"][:3])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_jax_arrays(dtype):
    jnp = pytest.importorskip("jax.numpy")
    weight = jnp.arange(6.0, dtype=dtype).reshape(2, 3)
    np.testing.assert_array_equal(arrays_of({"w": weight})["w"], np.asarray(weight, np.float32))


def test_numbers_of_a_cell_are_passed_on():
    content = {
        "cell": Cell(W=np.eye(2), alpha=0.25, tau=10, other=3.0, dt=True),
        "optimizer": {"param_groups": [{"alpha": 1.0}]},
    }
    arrays = arrays_of(content)
    assert {name: array for name, array in arrays.items() if name != "cell.W"} == {"cell.alpha": 0.25, "cell.tau": 10}


def test_the_leaking_rate_of_a_reservoirpy_node():
    class Reservoir(Cell):
        pass

    Reservoir.__module__, Reservoir.__qualname__ = "reservoirpy.nodes", "Reservoir"
    data = io.BytesIO()
    pickler = pickle._Pickler(data, 2)  # the one in Python does not look the class up
    pickler.save_global = lambda cls, name=None: pickler.write(f"c{cls.__module__}\n{cls.__qualname__}\n".encode())
    pickler.dispatch = pickler.dispatch | {type: lambda _, cls: pickler.save_global(cls)}
    pickler.dump(Reservoir(_params={"W": sparse.csr_matrix(np.eye(3))}, _hypers={"lr": 0.3, "sr": 0.9}))
    tensors = read_pickle(memoryview(data.getvalue())).tensors
    assert {name: float(tensor.load().max()) for name, tensor in tensors.items()} == {"W": 1.0, "leak": 0.3}


class Cruel:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_executed(protocol, tmp_path):
    victim = tmp_path / "executed"
    data = pickle.dumps({"W_rec": np.eye(2), "x": Cruel(victim), "y": np.array([Cruel(victim)])}, protocol)
    (tmp_path / "file").write_bytes(data)
    assert len(read(tmp_path / "file")) == 1
    assert not victim.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-20], "its pickle is damaged or truncated"),
        (lambda data: data + b"garbage", "its pickle is damaged or truncated"),
        (lambda data: data.replace(b"K\x05K\x02", b"K\x06K\x02"), "shape (6, 2) and type float64 has 80 bytes"),
        (lambda data: data.replace(b"K\x05K\x02", b"K\x05N"), "claims the shape (5, None)"),
    ],
)
def test_damage_is_said(change, message):
    data = pickle.dumps({"W": np.zeros((5, 2))}, 2)
    with pytest.raises(CheckpointError) as caught:
        read_pickle(memoryview(change(data)))
    assert message in str(caught.value)


def test_what_is_no_array_is_named(tmp_path):
    (tmp_path / "file").write_bytes(pickle.dumps(Cell(a=1)))
    with pytest.raises(CheckpointError, match=r"it is a pickle, a .*Cell, and holds no array of numbers"):
        read(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"\x80\x03cjoblib.numpy_pickle\nNumpyArrayWrapper\nq\x00)\x81q\x01.")
    with pytest.raises(CheckpointError, match="it is a joblib file"):
        read(tmp_path / "file")


def test_the_names_of_a_wide_list_take_no_memory():
    # A name of 970 letters, and a million children that are no tensors, are nothing to name.
    content = {"k" * 970: [None] * 300_000 + [{}] * 300_000}
    contents = _objects.named_tensors(_plain(content))
    assert contents.tensors == {}


def _plain(value):
    return unpickle(io.BytesIO(pickle.dumps(value)), persistent=lambda pid: pid, build=lambda call: call)


def test_the_names_of_many_tensors_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"k" * 900: [np.eye(2)] * 1000}, 2))
    assert read(path).coverage.skipped
    monkeypatch.setattr(_room, "ALLOWANCE", 900_000)
    with pytest.raises(CheckpointError, match="the names of its tensors would take"):
        read(path)


def test_half_a_surrogate_pair_in_a_name_is_replaced():
    (name,) = read_pickle(memoryview(pickle.dumps({"a\ud800": np.eye(2)}))).tensors
    assert name == "a?"


@pytest.mark.parametrize("order", [b"]", b"}", b"N", b"K\x00"])
def test_an_order_that_is_none(tmp_path, order):
    state = b"(K\x01K\x02K\x02\x86cnumpy\ndtype\nX\x02\0\0\0f4K\0K\x01\x87R" + order + b"B\x10\0\0\0" + bytes(16) + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R" + state + b"b"
    (tmp_path / "m.pkl").write_bytes(b"\x80\x02}X\x09\0\0\0weight_hh" + array + b"s.")
    assert read(tmp_path / "m.pkl")[0].hidden_size == 2
