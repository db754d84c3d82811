"""MATLAB files: numbers in structures and cells, compressed or not, sparse, and version 7.3."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_structures_and_cells(tmp_path, compressed):
    W, stack = RNG.standard_normal((5, 5)), RNG.standard_normal((12, 4)).astype(np.float32)
    content = {"Whh": W, "Wxh": RNG.standard_normal((5, 2)), "title": "a text"}
    content["net"] = {"gru": {"weight_hh": stack, "steps": 3}, "layers": np.array([np.eye(2), "x"], object)}
    scipy.io.savemat(tmp_path / "m.mat", content, do_compression=compressed)
    layers = read(tmp_path / "m.mat")
    assert layers.format == "MATLAB"
    plain, gru = layers
    assert (plain.cell, plain.input_size, gru.name, gru.cell) == ("rnn_tanh", 2, "net.gru", "gru")
    np.testing.assert_array_equal(plain.gates["h"], W)
    np.testing.assert_array_equal(gru.gates["z"], stack[4:8])
    assert gru.source.dtype == "float32"


def test_whole_numbers_sparse_and_complex_arrays(tmp_path):
    sparse = scipy.sparse.random(30, 30, 0.2, format="csc", random_state=1)
    whole = RNG.integers(-3, 3, (6, 6)).astype(float)
    scipy.io.savemat(tmp_path / "m.mat", {"a": {"weight_hh": whole}, "b": {"weight_hh": sparse}, "z": np.eye(3) * 1j})
    first, second = read(tmp_path / "m.mat")
    np.testing.assert_array_equal(first.gates["h"], whole)
    np.testing.assert_array_equal(second.gates["h"], sparse.toarray())


def test_an_array_of_structures(tmp_path):
    layers = np.array([({"weight_hh": RNG.standard_normal((4, 4))},) for _ in range(2)], [("cell", object)])
    scipy.io.savemat(tmp_path / "m.mat", {"layers": layers})
    assert [layer.name for layer in read(tmp_path / "m.mat")] == ["layers.0.cell", "layers.1.cell"]


def test_version_73_is_hdf5_with_the_sides_in_reverse(tmp_path):
    h5py = pytest.importorskip("h5py")
    stack = RNG.standard_normal((12, 4))
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        file["gru/weight_hh"] = stack.T
    data = bytearray((tmp_path / "m.mat").read_bytes())
    data[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    (tmp_path / "m.mat").write_bytes(data)
    layers = read(tmp_path / "m.mat")
    assert layers.format == "MATLAB 7.3"
    np.testing.assert_array_equal(layers[0].gates["z"], stack[4:8])


def element(kind, content, order="<"):
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(cls, shape, name, *parts, order="<"):
    head = element(6, struct.pack(f"{order}II", cls, 0), order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order) + element(1, name, order)
    return element(14, head + b"".join(parts), order)


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"


def test_the_other_order_of_bytes(tmp_path):
    values = np.arange(9.0).reshape(3, 3)
    data = element(9, values.T.astype(">f8").tobytes(), ">")
    header = HEADER[:124] + b"\1\0MI"
    (tmp_path / "m").write_bytes(header + matrix(6, (3, 3), b"weight_hh", data, order=">"))
    np.testing.assert_array_equal(read(tmp_path / "m")[0].gates["h"], values)


def test_objects_are_said_to_be_unread(tmp_path):
    opaque = element(14, element(6, struct.pack("<II", 17, 0)) + element(1, b"net") + element(1, b"MCOS"))
    (tmp_path / "m").write_bytes(HEADER + opaque)
    assert "1 objects of classes of MATLAB, such as dlnetwork" in read(tmp_path / "m").coverage.unread[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<II", 14, 1 << 30), "does not fit into it: truncated or hostile"),
        (element(14, element(6, bytes(8))), "lacks its class, shape or name"),
        (matrix(6, (4, 4), b"W", element(9, bytes(8))), r"'W' does not fill its shape \(4, 4\)"),
        (matrix(6, (1 << 30, 1 << 30), b"W", element(9, bytes(8))), "does not fill its shape"),
        (matrix(6, (1, 1), b"W", element(77, bytes(8))), "numbers of type 77"),
        (matrix(6, (-1, 1), b"W", element(9, bytes(8))), "without a shape"),
        (matrix(5, (1, 1), b"W", element(5, bytes(4)), element(5, bytes(8)), element(9, bytes(8))), "sparse array 'W'"),
        # Places of a float type, a negative place, and column starts that fall.
        (
            matrix(5, (1, 1), b"W", element(7, bytes(4)), element(5, struct.pack("<2i", 0, 1)), element(9, bytes(8))),
            "sparse array 'W'",
        ),
        (
            matrix(
                5,
                (1, 1),
                b"W",
                element(5, struct.pack("<i", -1)),
                element(5, struct.pack("<2i", 0, 1)),
                element(9, bytes(8)),
            ),
            "sparse array 'W'",
        ),
        (
            matrix(
                5, (1, 2), b"W", element(6, bytes(4)), element(6, struct.pack("<3I", 0, 2, 1)), element(9, bytes(8))
            ),
            "sparse array 'W'",
        ),
        (matrix(2, (1, 1), b"S", element(5, bytes(4)), element(1, b"a")), "'S' has no names of fields"),
        (element(15, b"nonsense"), "damaged compressed variable"),
        (element(15, zlib.compress(bytes(100))[:-6]), "it is a MATLAB file with a variable that is truncated"),
        (element(15, zlib.compress(bytes(1 << 28))), "what its variables unpack to would take"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "m").write_bytes(HEADER + content)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "m")
