"""Cells by the names of frameworks: every spelling of the same weights gives the same layer."""

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored

from unitcircle.recurrence import step

EPS = float(np.finfo(float).eps)

RNG = np.random.default_rng(14)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(gates, n=4, m=3):
    return {"hh": stored(gates * n, n), "ih": stored(gates * n, m), "b": stored(gates * n)}


def same(one, other):
    for kind in ("gates", "inputs", "biases", "recurrent_biases"):
        first, second = getattr(one, kind), getattr(other, kind)
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[gate], second[gate]) for gate in first)
    assert (one.cell, one.reset_after, one.unknown) == (other.cell, other.reset_after, other.unknown)


@pytest.mark.parametrize(
    ("recurrent", "inputs", "bias"),
    [
        ("weight_hh", "weight_ih", "bias"),
        ("weight_hh", "weight_ih", "b"),
        ("weight_hh", "weight_ih", "bias_i"),
        ("w_hh", "w_ih", "b"),
        ("W_hh", "W_ih", "bias"),
        ("W_hh", "W_xh", "b_h"),
        ("weight_hh_l0", "weight_ih_l0", "bias_ih_l0"),
    ],
)
@pytest.mark.parametrize("gates", [3, 4])
def test_one_bias_beside_the_stacks_is_used(recurrent, inputs, bias, gates):
    parts = weights(gates)
    names = {"cell.weight_hh": "hh", "cell.weight_ih": "ih", "cell.bias_ih": "b"}
    (expected,), _ = assembled({name: parts[part] for name, part in names.items()})
    spelled = {f"cell.{recurrent}": "hh", f"cell.{inputs}": "ih", f"cell.{bias}": "b"}
    (layer,), coverage = assembled({name: parts[part] for name, part in spelled.items()})
    same(layer, expected)
    assert len(coverage.analysed) == 3
    assert not coverage.unread


def test_the_gru_of_equinox_has_a_bias_inside_the_reset_product():
    n, x, h = 4, RNG.standard_normal(3), RNG.standard_normal(4)
    hh, ih, b, bn = stored(12, n), stored(12, 3), stored(12), stored(n)
    (layer,), _ = assembled({"c.weight_hh": hh, "c.weight_ih": ih, "c.bias": b, "c.bias_n": bn})
    gates_x = np.split(ih.load().astype(float) @ x + b.load(), 3)
    gates_h = np.split(hh.load().astype(float) @ h, 3)
    reset, keep = sigmoid(gates_x[0] + gates_h[0]), sigmoid(gates_x[1] + gates_h[1])
    new = np.tanh(gates_x[2] + reset * (gates_h[2] + bn.load()))
    np.testing.assert_allclose(step(layer, x, h), new + keep * (h - new), rtol=64 * EPS, atol=0)
    assert layer.source.tensors == ("c.weight_hh", "c.weight_ih", "c.bias", "c.bias_n")


def test_a_bias_of_another_size_is_named_and_not_used():
    (layer,), coverage = assembled({"c.weight_hh": stored(16, 4), "c.weight_ih": stored(16, 3), "c.bias": stored(4)})
    assert not layer.biases
    assert layer.unknown == {"bias"}
    assert "layer c: bias (4) was not used" in coverage.notes


def test_a_group_with_further_leaves_is_no_cell_of_keras():
    tensors = {"rnn/cell/recurrent_kernel": stored(4, 16), "rnn/cell/input_kernel": stored(3, 16)}
    layers, coverage = assembled(tensors | {"rnn/cell/bias": stored(16)})
    assert not layers
    assert len(coverage.unread) == 1
    assert "a group that also holds input_kernel" in coverage.unread[0]


def test_a_stack_named_by_its_author_is_said_to_be_taken_in_the_order_of_torch():
    _, coverage = assembled({"W_hh": stored(16, 4), "W_ih": stored(16, 3)})
    assert "stacks of gates that their authors named W_hh or w_hh are taken in torch's order" in coverage.notes
    _, coverage = assembled({"w_hh": stored(12, 4), "w_ih": stored(12, 3), "b_ih": stored(12), "b_hh": stored(12)})
    assert not coverage.notes


def test_the_names_of_mxnet():
    parts = {"h2h_weight": (16, 4), "i2h_weight": (16, 3), "i2h_bias": (16,), "h2h_bias": (16,)}
    (layer,), coverage = assembled({f"lstm0_l0_{name}": stored(*shape) for name, shape in parts.items()})
    assert (layer.name, layer.cell, set(layer.bias_parts)) == ("lstm0_l0", "lstm", {"input", "recurrent"})
    assert not coverage.notes
