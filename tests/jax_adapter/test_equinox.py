"""Cells of equinox: their parameters and equations, in trees that the tests make themselves."""

import functools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.jax import initialize, to_layers

EPS = float(np.finfo(float).eps)
T, B, M, N = 20, 5, 3, 6
ROUNDING = 100 * T * N * EPS
"""Products of T matrices of size N; 100 for the constants of the cells."""
XS, CLASSES = np.random.default_rng(0).standard_normal((B, T, M)).astype(np.float32), np.arange(B) % 2


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["weight_ih", "weight_hh", "bias", "bias_n"], meta_fields=[]
)
@dataclass
class GRUCell:
    """``equinox.nn.GRUCell``: a bias inside the reset product."""

    weight_ih: jax.Array
    weight_hh: jax.Array
    bias: jax.Array
    bias_n: jax.Array

    @property
    def start(self):
        return jnp.zeros(N)

    def __call__(self, x, h):
        of_x, of_h = jnp.split(self.weight_ih @ x + self.bias, 3), jnp.split(self.weight_hh @ h, 3)
        reset, update = jax.nn.sigmoid(of_x[0] + of_h[0]), jax.nn.sigmoid(of_x[1] + of_h[1])
        new = jnp.tanh(of_x[2] + reset * (of_h[2] + self.bias_n))
        return new + update * (h - new)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weight_ih", "weight_hh", "bias"], meta_fields=[])
@dataclass
class LSTMCell:
    """``equinox.nn.LSTMCell``: it carries (h, c)."""

    weight_ih: jax.Array
    weight_hh: jax.Array
    bias: jax.Array

    @property
    def start(self):
        return jnp.zeros(N), jnp.zeros(N)

    def __call__(self, x, state):
        h, c = state
        i, f, g, o = jnp.split(self.weight_ih @ x + self.weight_hh @ h + self.bias, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c


@functools.partial(jax.tree_util.register_dataclass, data_fields=["cell", "readout", "activation"], meta_fields=[])
@dataclass
class Reader:
    """A model as people write it: one sequence, mapped over the batch; a leaf of it is a function."""

    cell: GRUCell | LSTMCell
    readout: jax.Array
    activation: object = jnp.tanh

    def __call__(self, xs):
        return jax.vmap(self.of_one)(xs)

    def of_one(self, xs):
        state, _ = jax.lax.scan(lambda state, x: (self.cell(x, state), None), self.cell.start, xs)
        return self.readout @ jax.tree.leaves(state)[0]


class TorchReader(nn.Module):
    def __init__(self, layer, readout):
        super().__init__()
        self.rnn, self.readout = layer, readout

    def forward(self, x):
        return self.readout(self.rnn(x)[0][:, -1])


def twins(make, cell):
    """Return a model of torch without the recurrent biases that equinox has not, and the same in JAX."""
    torch.manual_seed(0)
    model = TorchReader(make(M, N, batch_first=True), nn.Linear(N, 2, bias=False))
    inner = model.rnn.bias_hh_l0.data
    inner[: (2 if cell is GRUCell else 4) * N] = 0
    values = [model.rnn.weight_ih_l0, model.rnn.weight_hh_l0, model.rnn.bias_ih_l0]
    values += [inner[2 * N :]] if cell is GRUCell else []
    arrays = [jnp.asarray(value.detach().numpy()) for value in (*values, model.readout.weight)]
    return model, Reader(cell(*arrays[:-1]), arrays[-1])


@pytest.mark.parametrize(("make", "cell"), [(nn.GRU, GRUCell), (nn.LSTM, LSTMCell)])
def test_a_cell_is_measured_as_its_twin_of_torch(make, cell):
    twin, model = twins(make, cell)
    ours, theirs = (uc.diagnose(one, (XS, CLASSES)) for one in (model, twin))
    assert [finding.code for finding in ours.findings] == [finding.code for finding in theirs.findings] != []
    assert "model, done = unitcircle.jax.initialize(model, " in str(ours).replace("\n", " ")
    (ours,), (theirs,) = ours.layers, theirs.layers
    assert ours.layer.cell == theirs.layer.cell
    np.testing.assert_allclose(ours.live.log_gradient, theirs.live.log_gradient, rtol=0, atol=ROUNDING)
    assert ours.live.typical == pytest.approx(theirs.live.typical, abs=ROUNDING)
    for gate, activity in ours.live.gates.items():
        assert activity.log_openness == pytest.approx(theirs.live.gates[gate].log_openness, rel=ROUNDING)


def test_another_order_of_gates_is_measured_and_not_taken_for_the_cell():
    """What ran decides, and not a name: the cell that is rebuilt from the parameters makes other states."""

    class Reordered(LSTMCell):
        def __call__(self, x, state):
            return LSTMCell.__call__(replace(self, weight_hh=jnp.roll(self.weight_hh, N, 0)), x, state)

    jax.tree_util.register_dataclass(Reordered, ["weight_ih", "weight_hh", "bias"], [])
    _, model = twins(nn.LSTM, LSTMCell)
    model = replace(model, cell=Reordered(**vars(model.cell)))
    (layer,) = uc.diagnose(model, (XS, CLASSES)).layers
    assert layer.layer.cell == "hand-written"
    assert np.isfinite(layer.live.log_gradient).all()


def test_remedies_are_tried_and_applied_gate_by_gate():
    _, model = twins(nn.GRU, GRUCell)
    tried = uc.diagnose(model, (XS, CLASSES), try_initializers=["orthogonal + chrono(max_steps=20)"])
    (best, as_it_is) = tried.examination.trials.ranking
    assert best.name == "orthogonal + chrono(max_steps=20)"
    assert all(np.isfinite(values).all() for values in (*best.values.values(), *as_it_is.values.values()))
    filled, done = initialize(model, recurrent="orthogonal", bias="chrono(max_steps=20)", key=0)
    assert best.call == (
        "model, done = unitcircle.jax.initialize(model, recurrent='orthogonal', bias='chrono(max_steps=20)', key=0)"
    )
    assert [block.gate for block in done.filled] == ["r", "z", "n", "z"]
    assert type(filled) is Reader
    assert filled.activation is jnp.tanh
    assert not np.asarray(filled.cell.bias_n).any()
    (layer,) = to_layers(filled)
    for block in layer.gates.values():
        assert np.abs(block @ block.T - np.eye(N)).max() <= 10 * N * np.finfo(np.float32).eps
