"""``scipy.sparse.save_npz``: several arrays that are one matrix."""

from contextlib import suppress

import numpy as np
import pytest
import scipy.sparse as sp

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

FORMATS = ["csr", "csc", "bsr", "coo", "dia"]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("make", [sp.random, sp.random_array])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_sparse_matrix_is_read_as_one_weight(tmp_path, kind, make, compressed):
    size = (30, 30)
    matrix = make(size, density=0.1, format=kind) if make is sp.random_array else make(*size, density=0.1, format=kind)
    sp.save_npz(tmp_path / "reservoir.npz", matrix, compressed=compressed)
    (layer,) = layers = read(tmp_path / "reservoir.npz")
    assert layer.name == "reservoir"
    np.testing.assert_array_equal(layer.gates["h"], matrix.toarray())
    assert "without a leak, that acts on columns" in layers.coverage.notes[0]
    (transposed,) = read(tmp_path / "reservoir.npz", layout="keras:linear", leak=0.3)
    np.testing.assert_array_equal(transposed.gates["h"], matrix.toarray().T)


def parts(**changes):
    matrix = sp.random_array((6, 6), density=0.5, format="csr", rng=1)
    arrays = {name: getattr(matrix, name) for name in ("data", "indices", "indptr", "shape")}
    return arrays | {"format": b"csr"} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": np.full(18, 99)}, "its sparse matrix of shape .* is damaged"),
        ({"indptr": np.arange(7)[::-1]}, "its sparse matrix of shape .* is damaged"),
        ({"indptr": np.array([0, 2**40])}, "its sparse matrix of shape .* is damaged"),
        ({"shape": np.array([True, True])}, r"claims shape \[True, True\]: damaged or hostile"),
        ({"shape": np.array([6, -6])}, r"claims shape \[6, -6\]: damaged or hostile"),
        ({"shape": np.array([2**40, 2**40])}, "is too large to be examined as a dense one"),
    ],
)
def test_a_damaged_matrix_is_refused(tmp_path, changes, message):
    np.savez(tmp_path / "x.npz", **parts(**changes))
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize("values", [np.zeros(3, "V2"), np.zeros(3, [("a", float)]), np.array(["x"] * 3)])
def test_values_that_are_no_numbers(tmp_path, values):
    """Found by ``make fuzz``: NumPy's TypeError for the name of such an element type escaped."""
    np.savez(tmp_path / "m.npz", **parts(data=values))
    with suppress(CheckpointError):
        assert not read(tmp_path / "m.npz")


@pytest.mark.parametrize("changes", [{"format": b"lil"}, {"shape": np.array([6])}, {"format": np.eye(2)}])
def test_other_archives_with_these_names_are_archives(tmp_path, changes):
    np.savez(tmp_path / "x.npz", **parts(**changes))
    assert len(read(tmp_path / "x.npz")) == 0
