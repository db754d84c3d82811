"""What ``diagnose`` takes: whatever people hold gives the layers of its file, and nothing else raises a bare error."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from flax import linen, nnx
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unitcircle.checkpoints import read
from unitcircle.diagnosis import diagnose
from unitcircle.dynamics import as_recurrence
from unitcircle.errors import ArgumentError, DtypeError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 8, batch_first=True)
        self.readout = nn.Linear(8, 2)

    def forward(self, x):
        return self.readout(self.rnn(x)[0][:, -1])


NET = Net()
VARIABLES = linen.RNN(linen.LSTMCell(5)).init(jax.random.key(0), jnp.zeros((2, 4, 3)))
STACKED = {"params": {"cell": jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), VARIABLES["params"]["cell"])}}


def train_state():
    """Return parameters beside the moments of their optimizer, as training loops keep them."""
    return {"params": VARIABLES["params"], "opt_state": {"mu": VARIABLES["params"], "nu": VARIABLES["params"]}}


CASES = {
    "state dict": (NET.state_dict, ["rnn"]),
    "scripted": (lambda: torch.jit.script(NET), ["rnn"]),
    "module": (lambda: NET, ["rnn"]),
    "array": (lambda: np.eye(4), ["W"]),
    "tensor": (lambda: torch.eye(4), ["W"]),
    "JAX array": (lambda: jnp.eye(4), ["W"]),
    "sparse": (lambda: sp.eye_array(4, format="csr"), ["W"]),
    "layers": (lambda: read(NET.state_dict()), ["rnn"]),
    "list": (lambda: list(read(NET.state_dict())), ["rnn"]),
    "generator": (lambda: iter(read(NET.state_dict())), ["rnn"]),
    "layer": (lambda: read(NET.state_dict())[0], ["rnn"]),
    "Keras": (lambda: keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4, name="gru")]), ["gru"]),
    "nnx": (lambda: nnx.GRUCell(3, 8, rngs=nnx.Rngs(0)), ["cell"]),
    "nnx state": (lambda: nnx.state(nnx.GRUCell(3, 8, rngs=nnx.Rngs(0))), ["cell"]),
    "flax": (lambda: VARIABLES, ["params.cell"]),
    "flax in NumPy": (lambda: jax.tree.map(np.asarray, VARIABLES), ["cell"]),
    "flax stacked": (lambda: STACKED, ["params.cell[0]", "params.cell[1]"]),
    "train state": (train_state, ["params.cell"]),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is")
@pytest.mark.parametrize("case", CASES)
def test_what_people_have_is_diagnosed(case):
    make, labels = CASES[case]
    diagnosis = diagnose(make(), steps=8)
    assert [layer.layer.label for layer in diagnosis.layers] == labels
    if diagnosis.coverage is not None:
        assert len(diagnosis.coverage.analysed) > 0
        assert diagnosis.coverage.other >= 0
        assert not diagnosis.coverage.unread


def test_the_findings_do_not_depend_on_the_door():
    texts = [
        [(f.code, str(f.place), f.message) for f in diagnose(model, steps=50).findings]
        for model in (NET, NET.state_dict(), {name: t.numpy() for name, t in NET.state_dict().items()})
    ]
    assert texts[0] == texts[1] == texts[2]
    assert texts[0]


class Custom(keras.layers.Layer):
    state_size = 4

    def build(self, _):
        self.mixing = self.add_weight(shape=(4, 4), name="mixing")

    def call(self, inputs, states):
        h = keras.ops.tanh(inputs[..., :1] + states[0] @ self.mixing)
        return h, [h]


def test_a_custom_cell_beside_known_ones_is_not_read_in_silence():
    layers = [keras.layers.LSTM(4, return_sequences=True), keras.layers.RNN(Custom(), name="core")]
    diagnosis = diagnose(keras.Sequential([keras.Input((5, 3)), *layers]))
    assert len(diagnosis.layers) == 1
    assert diagnosis.coverage.unread == ("core applies a cell of a kind that is not known (Custom): not read",)


def test_a_cell_that_cannot_be_described_is_not_passed_over_in_silence():
    variables = linen.MGUCell(4).init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    (sentence,) = diagnose(variables).coverage.unread
    assert "an MGUCell" in sentence


REFUSED = {
    "get_weights": (lambda: [np.eye(3)], "got a list of ndarray. Pass a mapping of names to arrays"),
    "recurrence": (lambda: as_recurrence(nn.LSTM(3, 4)), "got StackRecurrence. Pass the module it was made from"),
    "linen": (lambda: linen.LSTMCell(4), "got LSTMCell. A linen module holds no weights: pass its variables"),
    "None": (lambda: None, "got NoneType"),
    "bytes": (lambda: b"model.pt", "got bytes"),
    "optimizer": (lambda: torch.optim.Adam(NET.parameters()), "got Adam"),
    "stack": (lambda: np.zeros((12, 3)), "layout must say the order of the gates"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_in_a_sentence(case):
    make, message = REFUSED[case]
    with pytest.raises(ArgumentError, match=message):
        diagnose(make())


X = np.random.default_rng(0).standard_normal((6, 20, 3))
Y = np.zeros((6, 2))


def loader(*arrays, **options):
    return DataLoader(TensorDataset(*(torch.tensor(array, dtype=torch.float32) for array in arrays)), 3, **options)


BATCHES = {
    "NumPy": X,
    "single precision": X.astype(np.float32),
    "pair": (X, Y),
    "arguments": {"x": X},
    "loader": loader(X, Y, shuffle=True),
    "loader of inputs": loader(X),
}


@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_may_be_of_numpy_or_a_loader(case):
    before = torch.get_rng_state()
    diagnosis = diagnose(NET, BATCHES[case])
    assert diagnosis.layers[0].live is not None
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_without_numbers_is_refused():
    with pytest.raises(DtypeError, match="batch must hold real or complex numbers; got dtype object"):
        diagnose(NET, np.array([None]))
    with pytest.raises(ArgumentError, match="batch must hold at least one batch; got an empty DataLoader"):
        diagnose(NET, loader(X[:0]))


def test_a_complex_weight_is_not_judged_by_its_real_part():
    diagnosis = diagnose(1j * np.eye(3))
    assert not diagnosis.findings
    assert diagnosis.coverage.unread == ("W is complex: not judged; spectrum measures its weight",)
    assert not diagnosis.coverage.analysed
    assert diagnose(np.eye(3)).coverage.analysed


class Gatewise(nn.Module):
    """A GRU with one Linear module for each gate, beside a layer of torch."""

    def __init__(self, before=None):
        super().__init__()
        self.before = before or nn.Identity()
        for gate in "rzh":
            setattr(self, f"W{gate}", nn.Linear(3, 8))
            setattr(self, f"U{gate}", nn.Linear(8, 8, bias=False))


class Textbook(nn.Module):
    """Plain weights on [h, x] of an LSTM, as parameters."""

    def __init__(self):
        super().__init__()
        for gate in "fico":
            setattr(self, f"W{gate}", nn.Parameter(torch.randn(6, 10)))
            setattr(self, f"b{gate}", nn.Parameter(torch.zeros(6)))


class Undecided(nn.Module):
    """Gates on [x, h] or [h, x]: not even the state dict tells."""

    def __init__(self):
        super().__init__()
        self.reset_gate, self.update_gate, self.candidate = (nn.Linear(11, 8) for _ in range(3))


@pytest.mark.parametrize(
    "model",
    [
        Gatewise(),
        Gatewise(nn.LSTM(2, 3)),
        Gatewise(nn.utils.parametrizations.weight_norm(nn.GRUCell(2, 3), "weight_hh")),
        Textbook(),
        Undecided(),
        nn.ModuleDict({"cell": Gatewise(), "tied": nn.ModuleDict({"again": Gatewise()})}),
    ],
    ids=["gates", "beside torch", "beside a parametrization", "parameters", "undecided", "nested"],
)
def test_a_module_gives_what_its_state_dict_gives(model):
    module, state = diagnose(model), diagnose(model.state_dict())

    def seen(diagnosis):
        return {
            layer.layer.label: {gate: W.tobytes() for gate, W in layer.layer.gates.items()}
            for layer in diagnosis.layers
        }

    if "before.parametrizations.weight_hh.original0" not in model.state_dict():
        assert seen(module) == seen(state)  # the weight of a parametrization has the rounding of its own formula
    assert sorted(seen(module)) == sorted(seen(state))
    assert {entry.name for entry in module.coverage.analysed} == {entry.name for entry in state.coverage.analysed}
    assert module.coverage.unread == state.coverage.unread
    assert {entry.name for entry in module.coverage.skipped} == {entry.name for entry in state.coverage.skipped}
    assert {*state.coverage.notes} <= {*module.coverage.notes}
    assert bool(module.layers) or module.coverage.unread
