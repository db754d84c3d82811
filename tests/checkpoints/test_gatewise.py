"""Cells with one matrix for each gate: a step of the layer is the step that the author's code makes."""

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored
from tests.checkpoints.test_framework_cells import sigmoid

from unitcircle.recurrence import step

EPS = float(np.finfo(float).eps)

RNG = np.random.default_rng(5)
N, M = 5, 3
X, H, C = RNG.standard_normal(M), RNG.standard_normal(N), RNG.standard_normal(N)
# Steps of a few units in double precision: 15 eps relative to the entry, 2 absolute, measured.
TIGHT = {"rtol": 64 * EPS, "atol": 8 * EPS}


def lstm(pre):
    c = sigmoid(pre["f"]) * C + sigmoid(pre["i"]) * np.tanh(pre["g"])
    return np.concatenate([sigmoid(pre["o"]) * np.tanh(c), c])


def values(tensors, name):
    return tensors[name].load().astype(float)


@pytest.mark.parametrize(
    "letters",
    [{"i": "i", "g": "c"}, {"i": "i", "g": "g"}, {"i": "i", "g": "C"}, {"i": "i", "g": "a"}, {"i": "u", "g": "c"}],
)
@pytest.mark.parametrize("form", ["W{}", "net.W_{}", "w{}", "lstm1_W{}"])
@pytest.mark.parametrize("rows", [False, True])
def test_textbook_lstm_acts_on_state_and_input(letters, form, rows):
    words = {"f": "f", "o": "o"} | letters
    names = {gate: form.format(word) for gate, word in words.items()}
    tensors = {name: stored(*((N + M, N) if rows else (N, N + M))) for name in names.values()}
    biases = {gate: name.replace("W", "b").replace("w", "b") for gate, name in names.items()}
    tensors |= {name: stored(N, 1) for name in biases.values()} | {"Wy": stored(2, N), "by": stored(2, 1)}
    (layer,), coverage = assembled(tensors)
    x_first = names["g"].endswith("wg")
    z = np.concatenate([X, H] if x_first else [H, X])
    pre = {gate: (values(tensors, name).T if rows else values(tensors, name)) @ z for gate, name in names.items()}
    pre = {gate: a + values(tensors, biases[gate]).ravel() for gate, a in pre.items()}
    np.testing.assert_allclose(step(layer, X, np.concatenate([H, C])), lstm(pre), **TIGHT)
    place = "last" if x_first else "first"
    assert any(f"the {place} {N} columns of its gates are taken as those that act on the state" in note
               for note in coverage.notes)  # fmt: skip
    assert len(coverage.analysed) == 8
    assert not coverage.unread


def test_the_size_of_the_columns_tells_which_act_on_the_state():
    n, m = 24, 12
    for state_first in (True, False):
        blocks = {}
        for gate in "fico":
            state, entering = RNG.standard_normal((n, n)), 5 * RNG.standard_normal((n, m))
            blocks[f"W{gate}"] = np.hstack([state, entering] if state_first else [entering, state])
        (layer,), coverage = assembled({name: stored(values=block) for name, block in blocks.items()})
        expected = blocks["Wf"][:, :n] if state_first else blocks["Wf"][:, m:]
        np.testing.assert_array_equal(layer.gates["f"], expected)
        assert not coverage.notes


@pytest.mark.parametrize(
    ("recurrent", "inputs", "bias"),
    [
        ("W_h{}", "W_x{}", ["b_{}"]),
        ("W_h{}", "W_i{}", ["b_i{}", "b_h{}"]),
        ("Wh{}", "Wx{}", ["b{}"]),
        ("W_{}h", "W_{}x", ["b_{}"]),
        ("W{}h", "W{}x", ["b{}"]),
        ("U{}", "W{}", ["b{}"]),
        ("cell.U_{}", "cell.W_{}", ["cell.b_{}"]),
        ("W{}", "U{}", ["b{}"]),
        ("R{}", "W{}", ["b{}"]),
        ("U_{}.weight", "W_{}.weight", ["U_{}.bias", "W_{}.bias"]),
        ("h2{}.weight", "x2{}.weight", ["x2{}.bias"]),
        ("weight_h{}", "weight_x{}", ["bias_{}"]),
    ],
)
@pytest.mark.parametrize("rows", [False, True])
def test_one_recurrent_and_one_input_matrix_for_each_gate(recurrent, inputs, bias, rows):
    if rows and recurrent.endswith(".weight"):
        pytest.skip("modules of torch act on columns")
    tensors, pre = {}, {}
    for gate, word in {"i": "i", "f": "f", "g": "c", "o": "o"}.items():
        tensors[recurrent.format(word)] = W = stored(N, N)
        tensors[inputs.format(word)] = U = stored(*((M, N) if rows else (N, M)))
        pre[gate] = (W.load().T if rows else W.load()) @ H + (U.load().T if rows else U.load()) @ X
        for form in bias:
            tensors[form.format(word)] = stored(N)
            pre[gate] = pre[gate] + values(tensors, form.format(word))
    (layer,), coverage = assembled(tensors)
    assert len(coverage.analysed) == len(tensors)
    np.testing.assert_allclose(step(layer, X, np.concatenate([H, C])), lstm(pre), **TIGHT)


def test_peepholes_are_used_and_full_ones_refused():
    tensors = {f"W_h{gate}": stored(N, N) for gate in "ifco"} | {f"W_x{gate}": stored(N, M) for gate in "ifco"}
    tensors |= {f"W_c{gate}": stored(N) for gate in "ifo"}
    (layer,), coverage = assembled(tensors)
    assert set(layer.peepholes) == {"i", "f", "o"}
    np.testing.assert_array_equal(layer.peepholes["o"], tensors["W_co"].load())
    assert len(coverage.analysed) == 11
    layers, coverage = assembled(tensors | {"W_cf": stored(N, N)})
    assert not layers
    assert "its peephole W_cf (5, 5) is no vector of 5 units: not read" in coverage.unread[0]


def test_two_square_matrices_for_each_gate_are_left_to_a_person():
    tensors = {f"{side}{gate}": stored(N, N) for side in "UW" for gate in "ifco"}
    layers, coverage = assembled(tensors)
    assert not layers
    (sentence,) = coverage.unread
    assert sentence == (
        "lstm looks like an LSTM (Uf, Ui, Uo, Uc), but which of Uf and Wf acts on the state the file does not tell, "
        "both are square: not read"
    )
    assert len(coverage.skipped) == 8
    assert not coverage.undecided, "no layout that a person could name reads one gate for itself"


@pytest.mark.parametrize(
    ("recurrent", "inputs"),
    [
        *[("U{}", "W{}"), ("W_h{}", "W_x{}"), ("Wh{}", "Wx{}"), ("U_{}.weight", "W_{}.weight")],
        *[
            ("lin_h{}.weight", "lin_x{}.weight"),
            ("fc_h{}.weight", "fc_i{}.weight"),
            ("cell.h{}.weight", "cell.x{}.weight"),
        ],
        *[("h2h.{}.weight", "x2h.{}.weight"), ("h.{}.weight", "x.{}.weight"), ("hidden.{}.weight", "input.{}.weight")],
    ],
)
def test_a_hand_written_gru_has_an_update_gate_of_unknown_sense(recurrent, inputs):
    tensors = {recurrent.format(gate): stored(N, N) for gate in "zrh"}
    tensors |= {inputs.format(gate): stored(N, M) for gate in "zrh"}
    (layer,), coverage = assembled(tensors)
    assert (layer.cell, layer.unknown, layer.layer) == ("gru", {"gating"}, 0)
    np.testing.assert_array_equal(layer.gates["n"], tensors[recurrent.format("h")].load())
    assert any("whether its update gate keeps the state or replaces it" in note for note in coverage.notes)


def test_modules_that_act_on_state_and_input_are_read_where_the_columns_tell():
    words = {"f": "forget_gate", "i": "input_gate", "g": "candidate", "o": "output_gate"}
    tensors = {f"lstm.{word}.{leaf}": stored(*((N, N + M) if leaf == "weight" else (N,))) for word in words.values()
               for leaf in ("weight", "bias")}  # fmt: skip
    layers, coverage = assembled(tensors)
    assert not layers
    (sentence,) = coverage.unread
    assert sentence.startswith("lstm looks like an LSTM (forget_gate.weight, ")
    assert "which 5 of the 8 columns act on the state the file does not tell: not read" in sentence
    n, m = 24, 12
    blocks = {
        word: np.hstack([5 * RNG.standard_normal((n, m)), RNG.standard_normal((n, n))]) for word in words.values()
    }
    tensors = {f"lstm.{word}.weight": stored(values=block) for word, block in blocks.items()}
    (layer,), _ = assembled(tensors)
    assert layer.name == "lstm"
    np.testing.assert_array_equal(layer.gates["g"], blocks["candidate"][:, m:])


def test_gates_beside_square_matrices_of_other_names_are_not_taken_as_joint():
    tensors = {f"W{gate}": stored(N, N + M) for gate in "fico"} | {f"Q{gate}": stored(N, N) for gate in "fico"}
    layers, coverage = assembled(tensors)
    assert not layers
    assert "belongs to which gate its names do not tell: not read" in coverage.unread[0]


def test_a_stack_of_textbook_cells_has_places():
    tensors = {f"W{gate}{layer}": stored(N, N + M) for layer in (1, 2) for gate in "fico"}
    layers, _ = assembled(tensors)
    assert [layer.label for layer in layers] == ["lstm l1", "lstm l2"]


def test_a_few_square_matrices_with_letters_are_no_gates():
    layers, coverage = assembled({"Wf": stored(4, 9), "Wi": stored(4, 9), "Wo": stored(4, 9)})
    assert not layers
    assert not coverage.unread


@pytest.mark.parametrize("m", [M, N])
def test_the_lstm_of_madmom_acts_on_rows_and_has_peepholes(m):
    words = {"i": "input_gate", "f": "forget_gate", "g": "cell", "o": "output_gate"}
    shapes = {"weights": (m, N), "recurrent_weights": (N, N), "bias": (N,), "peephole_weights": (N,)}
    tensors = {f"layers.0.{word}.{leaf}": stored(*shape) for gate, word in words.items()
               for leaf, shape in shapes.items() if gate != "g" or leaf != "peephole_weights"}  # fmt: skip
    (layer,), coverage = assembled(tensors)
    x = RNG.standard_normal(m)

    def pre(gate, state):
        parts = {
            leaf: values(tensors, f"layers.0.{words[gate]}.{leaf}") for leaf in shapes if gate != "g" or leaf[0] != "p"
        }
        return (
            x @ parts["weights"]
            + H @ parts["recurrent_weights"]
            + state * parts.get("peephole_weights", 0)
            + parts["bias"]
        )

    c = np.tanh(pre("g", C)) * sigmoid(pre("i", C)) + C * sigmoid(pre("f", C))
    np.testing.assert_allclose(
        step(layer, x, np.concatenate([H, C])), np.concatenate([np.tanh(c) * sigmoid(pre("o", c)), c]), **TIGHT
    )
    assert layer.name == "layers.0"
    assert len(coverage.analysed) == len(tensors)
    assert not coverage.unread
