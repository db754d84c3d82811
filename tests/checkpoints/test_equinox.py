"""Equinox files: arrays without names, whose order and shapes say which are a cell."""

import io
import json

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import from_torch, step

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def gru(n=6, m=4):
    return [random(3 * n, m), random(3 * n, n), random(3 * n), random(n)]


def lstm(n=6, m=4):
    return [random(4 * n, m), random(4 * n, n), random(4 * n)]


def linear(n=2, m=6):
    return [random(n, m), random(n)]


def saved(path, leaves, header=None):
    buffer = io.BytesIO()
    if header is not None:
        buffer.write(json.dumps(header).encode() + b"\n")
    for leaf in leaves:
        np.save(buffer, leaf)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("header", [None, {"hidden_size": 6, "depth": 2}])
def test_a_gru_and_an_lstm_are_known_by_the_shapes_of_their_leaves(tmp_path, header):
    leaves = [*linear(4, 3), *gru(), *lstm(5, 6), *linear(2, 5)]
    layers = read(saved(tmp_path / "m.eqx", leaves, header))
    assert layers.format == "Equinox"
    assert [(layer.name, layer.cell, layer.input_size) for layer in layers] == [
        ("leaf3", "gru", 4),
        ("leaf7", "lstm", 6),
    ]
    assert len(layers.coverage.analysed) == 7
    assert layers.coverage.other == 4


def test_the_gru_is_the_one_of_equinox(tmp_path):
    weight_ih, weight_hh, bias, bias_n = leaves = gru()
    (layer,) = read(saved(tmp_path / "m.eqx", leaves))
    x, h = random(4), random(6)
    i, r = weight_ih @ x + bias, weight_hh @ h

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    reset, keep = sigmoid(i[:6] + r[:6]), sigmoid(i[6:12] + r[6:12])
    new = np.tanh(i[12:] + reset * (r[12:] + bias_n))
    # Inner products of 6 terms in single precision.
    expected = new + keep * (h - new)
    np.testing.assert_allclose(step(layer, x, h), expected, rtol=0, atol=8 * 6 * np.finfo(np.float32).eps)


def test_a_cell_without_biases(tmp_path):
    leaves = [random(18, 4), random(18, 6), random(2, 6)]
    (layer,) = read(saved(tmp_path / "m.eqx", leaves))
    assert (layer.name, layer.cell) == ("leaf1", "gru")
    np.testing.assert_array_equal(layer.gates["z"], from_torch(leaves[1], cell="gru").gates["z"])


@pytest.mark.parametrize(
    "leaves",
    [
        [*linear(12, 4), *linear(48, 12), *linear(4, 48)],
        [random(18, 6), random(18, 6), random(18, 6), random(6, 18)],  # attention: query, key, value, output
        [random(18, 4), random(18, 6), random(18, 9)],
        [random(12, 4), random(12)],
        [random(64, 16), random(16, 64)],
        [random(48, 16), random(16, 16)],
        [random(16, 16), random(16), np.int32(3)],
    ],
    ids=["perceptron", "attention", "three inputs", "one layer", "up and down", "fused attention", "square"],
)
def test_feed_forward_leaves_are_no_cell(tmp_path, leaves):
    assert not read(saved(tmp_path / "m.eqx", leaves))


def test_one_stack_alone_is_taken_by_its_shape_and_the_report_says_so(tmp_path):
    layers = read(saved(tmp_path / "two.eqx", [random(16, 4), random(48, 16)]))
    (layer,) = layers
    assert (layer.name, layer.cell, layer.unknown) == ("leaf1", "gru", {"bias", "input"})
    assert "because of its shape (48, 16) alone" in str(layers.coverage)
    assert layers.coverage.other == 1


def test_the_moments_of_an_optimizer_are_no_cells(tmp_path):
    model = [*lstm(), *linear()]
    moments = [0.1 * leaf for leaf in model] + [leaf**2 for leaf in model]
    layers = read(saved(tmp_path / "m.eqx", [*model, np.int32(7), *moments]))
    assert [layer.name for layer in layers] == ["leaf1"]
    first = read(saved(tmp_path / "first.eqx", [np.int32(7), *moments, *model]))
    assert [layer.name for layer in first] == ["leaf12"]


def test_a_person_may_choose_a_leaf(tmp_path):
    path = saved(tmp_path / "m.eqx", [*linear(12, 4), *linear(48, 12)])
    (layer,) = read(path, tensors="leaf2", layout="torch")
    assert layer.cell == "lstm"


def test_bfloat16_is_two_bytes_of_no_type(tmp_path):
    leaves = [(leaf.view(np.uint32) >> 16).astype(np.uint16).view("V2") for leaf in lstm()]
    (layer,) = read(saved(tmp_path / "m.eqx", leaves))
    assert layer.source.dtype == "bfloat16"
    assert layer.gates["i"].dtype == np.float32


def test_what_is_refused(tmp_path):
    path = saved(tmp_path / "m.eqx", lstm())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="truncated or hostile"):
        read(path)
    path.write_bytes(saved(tmp_path / "n.eqx", lstm()).read_bytes() + b"more")
    with pytest.raises(CheckpointError, match="header of array 'leaf3' is damaged"):
        read(path)
    saved(path, [*lstm(), np.array([{}], dtype=object)])
    with pytest.raises(CheckpointError, match="never executed"):
        read(path)
