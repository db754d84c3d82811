"""Elements of a buffer, against NumPy and torch."""

import numpy as np
import pytest

from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError


@pytest.mark.parametrize("dtype", [name for name in ITEMSIZE if not name.startswith(("float8", "bfloat"))])
@pytest.mark.parametrize("big_endian", [False, True])
def test_numpy_types_are_views(dtype, big_endian):
    values = np.arange(6).astype(dtype).reshape(2, 3)
    stored = values.astype(values.dtype.newbyteorder(">" if big_endian else "<"))
    read = elements(memoryview(stored.tobytes()), dtype, (2, 3), big_endian=big_endian)
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)
    if not big_endian:
        assert not read.flags.writeable


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_low_precision_equals_torch_for_every_code(dtype):
    torch = pytest.importorskip("torch")
    bits = 16 if dtype == "bfloat16" else 8
    codes = torch.arange(1 << bits).to(torch.uint16 if bits == 16 else torch.uint8)
    expected = codes.view(getattr(torch, dtype)).float().numpy()
    stored = codes.numpy().tobytes()
    np.testing.assert_array_equal(elements(memoryview(stored), dtype, (1 << bits,)), expected)


def test_offset_and_strides_are_in_elements():
    buffer = memoryview(np.arange(20.0).tobytes())
    read = elements(buffer, "float64", (3, 2), offset=4, strides=(1, 5))
    np.testing.assert_array_equal(read, [[4, 9], [5, 10], [6, 11]])
    assert elements(buffer, "float64", (0, 3)).shape == (0, 3)
    assert elements(buffer, "float64", (), offset=3) == 3.0


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((21,), {}, "does not lie inside its storage of 20 elements"),
        ((3,), {"offset": 18}, "does not lie inside"),
        ((3,), {"offset": -1}, "does not lie inside"),
        ((2, 2), {"strides": (20, 1)}, "does not lie inside"),
        ((2, 2), {"strides": (-1, 1), "offset": 5}, "does not lie inside"),
        ((1 << 40, 1 << 40), {"strides": (0, 0)}, "repeats its storage"),
    ],
)
def test_nothing_outside_the_buffer_is_read(shape, options, message):
    with pytest.raises(CheckpointError, match=message):
        elements(memoryview(bytes(160)), "float64", shape, **options)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn", "bool"])
def test_an_empty_tensor_is_empty(dtype):
    empty = elements(memoryview(b""), dtype, (3, 0, 5), offset=7, strides=(1 << 61, 9, 1))
    assert empty.shape == (3, 0, 5)
    assert empty.dtype == elements(memoryview(bytes(16)), dtype, (1,)).dtype


def test_an_empty_tensor_with_a_huge_side_is_refused():
    with pytest.raises(CheckpointError, match="damaged or hostile"):
        elements(memoryview(b""), "float32", (0, 1 << 61))


def test_the_stride_of_a_single_element_does_not_matter():
    assert elements(memoryview(bytes(4)), "float32", (1, 1), strides=(1 << 61, 1 << 61)).shape == (1, 1)


def test_an_unknown_type_is_said():
    with pytest.raises(CheckpointError, match="elements of type 'QInt8' cannot be read"):
        elements(memoryview(b"\0"), "QInt8", (1,))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [((2, 2), "bfloat16", True), ((2, 0), "float32", False), ((4,), "float32", False), ((2, 2), "int8", False)],
)
def test_what_counts_as_a_matrix(shape, dtype, expected):
    assert StoredTensor(shape, dtype, lambda: None).is_matrix is expected
