"""Plain cells, leaky ones and reservoirs: the leak is that of the file, or unknown."""

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored

from unitcircle.recurrence import step

EPS = float(np.finfo(float).eps)

RNG = np.random.default_rng(2)
N, M = 6, 3


@pytest.mark.parametrize("name", ["leak", "leaking_rate", "alpha", "a", "lr"])
@pytest.mark.parametrize(
    "matrices", [("W", "Win"), ("W_res", "W_in"), ("res.W", "res.Win"), ("A", "Win"), ("w_res", "w_in")]
)
def test_a_reservoir_has_the_leak_that_is_stored(name, matrices):
    W, Win = (stored(N, N), stored(N, M))
    place = matrices[0][: matrices[0].rfind(".") + 1]
    tensors = dict(zip(matrices, (W, Win), strict=True))
    leak = stored(values=np.array(0.3))
    (layer,), coverage = assembled(tensors | {place + name: leak, place + "Wout": stored(1, N)})
    h, x = RNG.standard_normal(N), RNG.standard_normal(M)
    expected = 0.7 * h + 0.3 * np.tanh(W.load().astype(float) @ h + Win.load().astype(float) @ x)
    np.testing.assert_allclose(step(layer, x, h), expected, rtol=8 * N * EPS, atol=N * EPS)
    assert (layer.cell, layer.unknown) == ("leaky_rnn", frozenset())
    assert layer.source.tensors == (*matrices, place + name)
    assert len(coverage.analysed) == 3


def test_a_reservoir_without_a_stored_leak_has_an_unknown_one():
    (layer,), _ = assembled({"W": stored(N, N), "Win": stored(N, M)})
    assert (layer.cell, layer.unknown) == ("leaky_rnn", {"leak"})


@pytest.mark.parametrize("name", ["W_in", "w_in"])
def test_a_hidden_layer_between_two_others_is_no_reservoir(name):
    tensors = {name: stored(N, M), name[0]: stored(N, N), name[0] + "_out": stored(2, N)}
    layers, _ = assembled(tensors)
    assert not layers
    layers, _ = assembled({f"esn_cell.{leaf}": tensor for leaf, tensor in tensors.items()})
    assert len(layers) == 1
    layers, _ = assembled(tensors | {"spectral_radius": stored(values=np.array(0.9))})
    assert len(layers) == 1


def test_a_matrix_alone_is_no_reservoir():
    layers, coverage = assembled({"W": stored(N, N), "Wout": stored(2, N)})
    assert not layers
    assert [entry.name for entry in coverage.undecided] == ["W"]


@pytest.mark.parametrize(
    ("leaf", "value", "leak"),
    [
        ("alpha", np.array(0.2), 0.2),
        ("leak", np.linspace(0.1, 1, N), None),
        ("alpha", np.array([0.5]), 0.5),
    ],
)
def test_the_share_that_stands_beside_a_cell_is_its_leak(leaf, value, leak):
    tensors = {"rnn.W_hh": stored(N, N), "rnn.W_xh": stored(N, M), f"rnn.{leaf}": stored(values=value)}
    (layer,), _ = assembled(tensors)
    assert (layer.cell, layer.unknown) == ("leaky_rnn", frozenset())
    np.testing.assert_array_equal(layer.leak, value if leak is None else leak)


def test_a_step_and_a_time_constant_give_the_leak():
    tensors = {"W_rec": stored(N, N), "dt": stored(values=np.array(10.0)), "tau": stored(values=np.array(100))}
    (layer,), _ = assembled(tensors)
    assert (layer.leak, layer.unknown) == (0.1, frozenset())


@pytest.mark.parametrize(
    ("leaf", "shape"),
    [("W_tau.weight", (N, N)), ("tau", (N,)), ("log_tau", (N,)), ("time_constant", ()), ("dt", ()), ("alpha", ()),
     ("raw_alpha", (N,)), ("leak_logit", (N,)), ("tau_m", (N,)), ("tau.weight", (N, M))],
)  # fmt: skip
def test_a_time_constant_of_uncertain_meaning_leaves_the_leak_unknown(leaf, shape):
    tensors = {"ltc.W_hh.weight": stored(N, N), "ltc.W_xh.weight": stored(N, M)}
    value = np.full(shape, 3.0)
    (layer,), coverage = assembled(tensors | {f"ltc.{leaf}": stored(values=value)})
    assert (layer.name, layer.cell, layer.leak, layer.unknown) == ("ltc", "leaky_rnn", 1.0, {"leak"})
    assert any(note.startswith(f"layer ltc: {leaf} ") for note in coverage.notes)
    assert not coverage.undecided


def test_the_low_rank_network_has_a_leak_in_its_code():
    (layer,), _ = assembled({"m": stored(10, 2), "n": stored(10, 2)})
    assert layer.unknown == {"leak"}


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("Wh", "Wx", "bh"), True),
        (("Wh", "Wx", "b"), False),
        (("W_h", "W_x", "b_h"), True),
        (("Whh", "Wxh", "bh"), True),
        (("W_hh", "W_xh", "b_h"), False),
        (("w_h", "w_x", "b_h"), True),
        (("hidden_weight", "input_weight", "bias"), True),
        (("Whh.weight", "Wxh.weight", "Wxh.bias"), True),
        (("rnn.Wh.weight", "rnn.Wx.weight", "rnn.Wh.bias"), True),
        (("hidden_to_hidden.weight", "input_to_hidden.weight", "hidden_to_hidden.bias"), True),
    ],
)
def test_the_textbook_cell(names, columns):
    W, U, b = stored(N, N), stored(*((N, M) if columns else (M, N))), stored(N, 1)
    (layer,), coverage = assembled(dict(zip(names, (W, U, b), strict=True)) | {"Wy": stored(2, N), "by": stored(2, 1)})
    h, x = RNG.standard_normal(N), RNG.standard_normal(M)
    V, Q = (W.load(), U.load()) if columns else (W.load().T, U.load().T)
    expected = np.tanh(V.astype(float) @ h + Q.astype(float) @ x + b.load().ravel())
    np.testing.assert_allclose(step(layer, x, h), expected, rtol=8 * N * EPS, atol=N * EPS)
    assert (layer.cell, layer.unknown) == ("rnn_tanh", frozenset())
    assert len(coverage.analysed) == 3


def test_matrices_of_input_state_and_output():
    (layer,), coverage = assembled({"E.U": stored(N, 9), "E.V": stored(9, N), "E.W": stored(N, N)})
    assert (layer.name, layer.cell, layer.input_size) == ("E", "rnn_tanh", 9)
    assert layer.source.tensors == ("E.W", "E.U")
    layers, _ = assembled({"a.U": stored(N, N), "a.V": stored(N), "a.W": stored(N, N)})
    assert not layers, "additive attention has matrices of these names"
    assert not coverage.unread


def test_a_normalization_inside_a_cell_makes_its_activation_unknown():
    tensors = {"cell.weight_hh": stored(16, 4), "cell.weight_ih": stored(16, 3)}
    (layer,), coverage = assembled(tensors | {"cell.layernorm_h.weight": stored(16)})
    assert layer.unknown == {"activation"}
    assert "layer cell: layernorm_h.weight (16) was not used" in coverage.notes
    (layer,), coverage = assembled(tensors | {"norm.weight": stored(4), "cell.h0": stored(4)})
    assert not layer.unknown
    assert not coverage.notes


def test_the_full_rank_network_of_neuroscience_acts_on_columns_though_its_inputs_come_in_rows():
    W, wi = stored(N, N), stored(M, N)
    (layer,), _ = assembled({"net.wrec": W, "net.wi": wi, "net.brec": stored(N), "net.wo": stored(N, 1)})
    np.testing.assert_array_equal(layer.gates["h"], W.load())
    np.testing.assert_array_equal(layer.inputs["h"], wi.load().T)
    assert layer.unknown == {"leak"}


def test_a_readout_and_what_is_as_long_as_the_state_are_not_named():
    tensors = {"Wh": stored(N, N), "Wx": stored(N, M), "Why": stored(1, N), "by": stored(N), "Wout": stored(1, N)}
    _, coverage = assembled(tensors | {"losses": stored(N), "b_extra": stored(N)})
    assert [note for note in coverage.notes if "not used" in note] == ["layer Wh: b_extra (6) was not used"]
