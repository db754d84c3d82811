"""Arrays in memory: what people hold is read as its file would be, and anything else is refused in a sentence."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from unitcircle.checkpoints import read
from unitcircle.errors import ArgumentError, DtypeError, ShapeError

EPS32 = float(np.finfo(np.float32).eps)

RNG = np.random.default_rng(4)
W = RNG.standard_normal((4, 4))
SPARSE = torch.tensor(W).to_sparse_coo()


def test_a_state_dict_is_read_as_its_file(tmp_path):
    model = nn.GRU(3, 5, num_layers=2)
    torch.save(model.state_dict(), tmp_path / "gru.pt")
    from_memory, from_file = read(model.state_dict()), read(tmp_path / "gru.pt")
    assert [layer.label for layer in from_memory] == [layer.label for layer in from_file]
    assert from_memory.coverage == from_file.coverage
    assert (from_memory.path, from_memory.format) == (None, "arrays")
    assert "memory (arrays)" in repr(from_memory)
    for one, other in zip(from_memory, from_file, strict=True):
        np.testing.assert_array_equal(one.gates["z"], other.gates["z"])


def test_a_checkpoint_with_an_optimizer_and_texts():
    model = nn.RNN(3, 5)
    model(torch.zeros(1, 1, 3))[0].sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    layers = read({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "path": None})
    assert [layer.label for layer in layers] == ["model"]
    assert not layers.coverage.undecided


def test_two_names_of_one_memory_are_one_weight():
    weight = torch.zeros(16, 4)
    layers = read({"a.weight_hh": weight, "b.weight_hh": weight})
    assert len(layers) == 1
    assert "the same memory as a.weight_hh" in str(layers.coverage)


@pytest.mark.parametrize(
    "array",
    [W, torch.tensor(W), nn.Parameter(torch.tensor(W)), SPARSE, sp.csr_array(W), jnp.asarray(W)],
    ids=["NumPy", "torch", "Parameter", "torch sparse", "SciPy", "JAX"],
)
def test_one_array_is_a_recurrent_weight(array):
    (layer,) = layers = read(array)
    # JAX holds single precision.
    np.testing.assert_allclose(layer.gates["h"], W, rtol=EPS32)
    assert layer.unknown == {"input", "bias"}
    assert layers.format == "array"


def test_one_array_with_a_layout_and_a_leak():
    assert read(np.zeros((12, 3)), layout="ifgo")[0].cell == "lstm"
    assert read(np.array([[0, 1], [1, 0]]), leak=0.5)[0].leak == 0.5


REFUSED = [
    (np.zeros((3, 4)), ShapeError, "must be square, or a stack of square blocks"),
    (np.zeros((12, 3)), ArgumentError, "layout must say the order of the gates of a cell lstm"),
    (np.zeros((2, 3, 3)), ShapeError, r"source must be a matrix; got shape \(2, 3, 3\)"),
    (np.array([[None]]), ArgumentError, "must hold floating-point numbers"),
    ([np.eye(3)], ArgumentError, "got a list of 1. Pass a mapping of names to arrays"),
    ({"epoch": 3}, ArgumentError, "source must hold arrays; got a dict of epoch"),
    (None, ArgumentError, "source must be a path, a state dict or other mapping of arrays, or one array; got NoneType"),
    (nn.LSTM(2, 3), ArgumentError, "got LSTM"),
    (torch.empty(3, 3, device="meta"), DtypeError, "a tensor on the meta device, which has no values"),
]


@pytest.mark.parametrize(("source", "error", "message"), REFUSED)
def test_what_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        read(source)


def test_a_tree_that_holds_itself_is_refused():
    tree = {"W": W}
    tree["self"] = tree
    with pytest.raises(ArgumentError, match="must be nested at most 64 deep"):
        read(tree)


def test_the_leak_of_a_layer_whose_file_leaves_it_unknown(tmp_path):
    np.savez(tmp_path / "a.npz", core=W, alpha=0.25)
    (layer,) = read(tmp_path / "a.npz", tensors="core", leak="alpha")
    assert layer.leak == 0.25
    assert layer.unknown == {"input", "bias", "activation"}
    np.save(tmp_path / "W.npy", W)
    assert read(tmp_path / "W.npy", leak=0.5)[0].leak == 0.5
    np.savez(tmp_path / "lstm.npz", weight_hh=np.zeros((16, 4)))
    with pytest.raises(ArgumentError, match="leak must be for a plain cell whose leak the file leaves unknown"):
        read(tmp_path / "lstm.npz", leak=0.5)


def test_a_hint_about_arrays_in_memory_is_in_the_words_of_python():
    said = str(read({"W": np.eye(4)}).coverage)
    assert 'tensors={"recurrent": "W", "input": NAME, "bias": NAME}, layout="torch:CELL|keras:CELL"' in said
    assert "--" not in said
    rows = {"Wh": np.zeros((4, 16)), "Wx": np.zeros((3, 16)), "b": np.zeros(16)}
    (sentence,) = read(rows).coverage.unread
    assert 'tensors={"recurrent": "Wh", "input": "Wx", "bias": "b"}, layout="ifgo", with its gates' in sentence
