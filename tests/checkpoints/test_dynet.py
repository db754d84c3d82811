"""DyNet's text files: builders known by the shapes of their parameters in order."""

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import step

EPS32 = float(np.finfo(np.float32).eps)

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def saved(path, arrays, builder="vanilla-lstm-builder", kind="Parameter"):
    lines = []
    for place, array in enumerate(arrays):
        values = " ".join(f"{value:.9e}" for value in array.ravel(order="F"))
        sides = ",".join(map(str, array.shape))
        lines += [f"#{kind}# {builder and '/'}{builder}/_{place} {{{sides}}} {len(values) + 1} ZERO_GRAD", values]
    path.write_text("\n".join(lines) + "\n")
    return path


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("builder", ["vanilla-lstm-builder", "compact-vanilla-lstm-builder", ""])
def test_a_vanilla_lstm_has_the_gates_i_f_o_g_and_adds_one_to_the_forget_gate(tmp_path, builder):
    W, U, b = arrays = random(20, 3), random(20, 5), random(20)
    layers = read(saved(tmp_path / "m", [*arrays, random(20, 5), random(20, 5), random(20)], builder))
    assert layers.format == "DyNet"
    assert [(layer.cell, layer.input_size) for layer in layers] == [("lstm", 3), ("lstm", 5)]
    x, h, c = random(3), random(5), random(5)
    i, f, o, g = np.split(W @ x + U @ h + b, 4)
    c_next = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    expected = np.concatenate([sigmoid(o) * np.tanh(c_next), c_next])
    # Both ways from entries in single precision: 1.3 eps measured.
    np.testing.assert_allclose(step(layers[0], x, np.concatenate([h, c])), expected, rtol=8 * EPS32, atol=8 * EPS32)
    assert "includes the 1 that its code adds" in layers.coverage.notes[0]


def test_a_gru_whose_update_gate_lets_the_new_state_in(tmp_path):
    arrays = [array for _ in range(3) for array in (random(5, 3), random(5, 5), random(5))]
    (layer,) = read(saved(tmp_path / "m", arrays, "gru-builder"))
    x, h = random(3), random(5)
    (Wz, Uz, bz), (Wr, Ur, br), (Wh, Uh, bh) = arrays[:3], arrays[3:6], arrays[6:]
    z, r = sigmoid(Wz @ x + Uz @ h + bz), sigmoid(Wr @ x + Ur @ h + br)
    expected = (1 - z) * h + z * np.tanh(Wh @ x + Uh @ (r * h) + bh)
    np.testing.assert_allclose(step(layer, x, h), expected, rtol=8 * EPS32, atol=8 * EPS32)


def test_a_plain_cell(tmp_path):
    arrays = [random(5, 3), random(5, 5), random(5)]
    (layer,) = read(saved(tmp_path / "m", arrays, "simple-rnn-builder"))
    np.testing.assert_array_equal(layer.gates["h"], arrays[1])


def test_other_builders_are_said_to_be_unread(tmp_path):
    arrays = [random(5, 3), random(5, 5), random(5, 5), random(5)]
    layers = read(saved(tmp_path / "m", arrays, "lstm-builder"))
    assert not layers
    assert layers.coverage.unread[0].startswith("/lstm-builder is a builder of DyNet")


def test_feed_forward_parameters_are_no_cell(tmp_path):
    for arrays in ([random(20, 5), random(20)], [random(20, 3), random(20, 5), random(20), random(2, 20)]):
        assert not read(saved(tmp_path / "m", arrays, ""))
    assert not read(saved(tmp_path / "m", [random(5, 5)], "", "LookupParameter"))


def test_damage_is_called_by_its_name(tmp_path):
    path = tmp_path / "m"
    path.write_text("#Parameter# /_0 {32,8} 300 ZERO_GRAD\n0.1 0.1 0.1 0.1\n")
    with pytest.raises(
        CheckpointError, match=r"a DyNet text file whose parameter '/_0' of shape \{32,8\} has 16 bytes"
    ):
        read(path)
    saved(path, [random(20, 3), random(20, 5), random(20)])
    path.write_text(path.read_text().replace("e-01", "x", 1))
    with pytest.raises(CheckpointError, match="a DyNet text file whose parameter"):
        read(path)
    path.write_text("#Parameter# \n")
    with pytest.raises(CheckpointError, match="parameter at byte 0 has no name or shape"):
        read(path)
