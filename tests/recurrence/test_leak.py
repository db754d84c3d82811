"""The leak of a plain cell is used, or refused."""

import numpy as np
import pytest

from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence import Cell, from_torch, jacobian, step

EPS = float(np.finfo(float).eps)

N = 6


@pytest.mark.parametrize("leak", [0.1, np.linspace(0.1, 1.0, N)])
@pytest.mark.parametrize(("cell", "phi"), [("rnn_tanh", np.tanh), ("rnn_relu", lambda a: np.maximum(a, 0))])
def test_a_plain_cell_with_a_leak_is_a_leaky_one(cell, phi, leak):
    """0.1 ignored it: radius 1.346 of the Jacobian instead of 1.025."""
    rng = np.random.default_rng(0)
    W, U, x, h = (rng.standard_normal(shape) for shape in ((N, N), (N, 2), (3, 2), (3, N)))
    layer = from_torch(W, cell=cell, weight_ih=U, leak=leak)
    assert layer.cell is Cell.LEAKY_RNN
    pre = h @ W.T + x @ U.T
    np.testing.assert_allclose(step(layer, x, h), (1 - leak) * h + leak * phi(pre), rtol=4 * N * EPS)
    slope = 1 - np.tanh(pre) ** 2 if phi is np.tanh else (pre > 0).astype(float)
    alpha = np.broadcast_to(leak, N)[:, None]
    expected = np.diag(1 - np.broadcast_to(leak, N)) + alpha * slope[..., None] * W
    # 3 eps measured.
    np.testing.assert_allclose(jacobian(layer, x, h), expected, rtol=8 * N * EPS, atol=N * EPS)


def test_a_leak_of_one_is_the_plain_cell():
    assert from_torch(np.eye(N), cell="rnn_tanh", leak=np.ones(N)).cell is Cell.RNN_TANH


@pytest.mark.parametrize(
    ("cell", "leak", "error", "words"),
    [
        ("lstm", 0.5, ArgumentError, "leak must be 1 for a cell lstm"),
        ("gru", 0.5, ArgumentError, "leak must be 1 for a cell gru"),
        ("rnn_tanh", 0.0, ArgumentError, "above 0 and at most 1"),
        ("rnn_tanh", 1.5, ArgumentError, "above 0 and at most 1"),
        ("rnn_tanh", float("nan"), ArgumentError, "above 0 and at most 1"),
        ("leaky_rnn", np.full(N + 1, 0.5), ShapeError, "one for each unit"),
    ],
)
def test_another_leak_is_refused(cell, leak, error, words):
    blocks = {"lstm": 4, "gru": 3}.get(cell, 1)
    with pytest.raises(error, match=words):
        from_torch(np.vstack([np.eye(N)] * blocks), cell=cell, leak=leak)
