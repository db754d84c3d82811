"""safetensors: as the package writes it, and with headers that lie."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from unitcircle.checkpoints import _room, read
from unitcircle.checkpoints._safetensors import read_safetensors
from unitcircle.errors import CheckpointError


def written(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_every_type_of_the_package(tmp_path):
    kinds = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    save_file(arrays, tmp_path / "a.safetensors", metadata={"format": "pt"})
    read_back = read_safetensors(tmp_path / "a.safetensors")
    assert set(read_back) == set(kinds)
    for kind, array in arrays.items():
        assert (read_back[kind].shape, read_back[kind].dtype) == ((2, 3), kind)
        np.testing.assert_array_equal(read_back[kind].load(), array)


def test_bfloat16_and_8_bit_floats(tmp_path):
    header = {
        "w.weight_hh": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
        "v.weight_hh": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [8, 12]},
    }
    path = written(
        tmp_path / "low", header, np.array([1, -2, 0.5, 3], np.float32).view("<u2")[1::2].tobytes() + b"\x38" * 4
    )
    low, eight = read(path)
    np.testing.assert_array_equal(low.gates["h"], [[1, -2], [0.5, 3]])
    np.testing.assert_array_equal(eight.gates["h"], np.ones((2, 2)))
    assert (low.source.dtype, eight.source.dtype) == ("bfloat16", "float8_e4m3fn")


def test_an_unknown_type_is_refused_only_where_it_is_needed(tmp_path):
    header = {"x": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}
    tensor = read_safetensors(written(tmp_path / "new", header, b"ab"))["x"]
    with pytest.raises(CheckpointError, match="elements of type 'F4'"):
        tensor.load()


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{ not json", "its header is no valid JSON"),
        (b"{" + b"[" * 100_000, "its header is no valid JSON"),
        (b'{"a":1', "its header is no valid JSON"),
        ({"x": 1}, "lacks dtype, shape or data_offsets"),
        ({"x": ENTRY | {"shape": 3}}, "lacks dtype, shape or data_offsets"),
        ({"x": ENTRY | {"shape": [True, 2]}}, "has the shape"),
        ({"x": ENTRY | {"shape": [-2, -1]}}, "has the shape"),
        ({"x": ENTRY | {"shape": [1 << 70]}}, "has the shape"),
        ({"x": ENTRY | {"shape": [1] * 65 + [2]}}, "has the shape"),
        ({"x": ENTRY | {"shape": [3]}}, "does not lie inside the file"),
        ({"x": ENTRY | {"shape": [1 << 30], "data_offsets": [0, 1 << 32]}}, "does not lie inside the file"),
        ({"x": ENTRY | {"data_offsets": [8, 0]}}, "does not lie inside the file"),
        ({"x": ENTRY | {"data_offsets": [-8, 0]}}, "does not lie inside the file"),
    ],
)
def test_a_header_that_lies(tmp_path, header, message):
    with pytest.raises(CheckpointError, match=message):
        read(written(tmp_path / "bad", header, bytes(8)))


def test_a_header_that_is_no_object(tmp_path):
    path = written(tmp_path / "list", b"[1]")
    with pytest.raises(CheckpointError, match="no JSON object"):
        read_safetensors(path)


def test_a_header_larger_than_the_file_is_never_allocated(tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(struct.pack("<Q", (1 << 40) - 1) + b"{}")
    with pytest.raises(CheckpointError, match="claims 1099511627775 bytes of a file of 10"):
        read(path)


def test_a_header_above_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(_room, "ALLOWANCE", 0)
    with pytest.raises(CheckpointError, match=r"its header is JSON of [0-9]+ KB that would take"):
        read(written(tmp_path / "large", {str(place): {} for place in range(20_000)}))
