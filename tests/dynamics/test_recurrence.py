"""One step over the full state: torch's own numbers, two ways to its Jacobian, and nothing left changed."""

import copy

import numpy as np
import pytest
import torch
from tests.oracles.dynamics_products import autograd_jacobians, torch_step
from torch import nn

from unitcircle.dynamics import as_recurrence
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError, UnknownNameError

EPS = torch.finfo(torch.float64).eps
M, N, T, B = 3, 4, 6, 2

LAYERS = {
    "rnn": lambda: nn.RNN(M, N),
    "rnn relu stack": lambda: nn.RNN(M, N, 2, nonlinearity="relu"),
    "rnn no bias": lambda: nn.RNN(M, N, bias=False),
    "gru": lambda: nn.GRU(M, N),
    "gru stack, no bias": lambda: nn.GRU(M, N, 2, bias=False),
    "gru batch first, dropout": lambda: nn.GRU(M, N, 2, batch_first=True, dropout=0.5),
    "lstm": lambda: nn.LSTM(M, N),
    "lstm stack": lambda: nn.LSTM(M, N, 2),
    "lstm stack, projected": lambda: nn.LSTM(M, N, 2, proj_size=2),
    "lstm no bias": lambda: nn.LSTM(M, N, bias=False),
}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return make()


def sequence(steps=T, batch=B, size=M):
    return torch.randn(steps, batch, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def own_layout(module, xs):
    return xs.transpose(0, 1) if getattr(module, "batch_first", False) else xs


class WithOutput(nn.Module):
    """A continuous-time RNN as computational neuroscience writes it."""

    def __init__(self):
        super().__init__()
        self.input2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)
        self.readout, self.dropout = nn.Linear(N, 2), nn.Dropout(0.5)

    def forward(self, x, h):
        h = 0.8 * h + 0.2 * torch.tanh(self.input2h(x) + self.h2h(self.dropout(h)))
        return self.readout(h), h


@pytest.mark.parametrize("name", LAYERS)
def test_plain_operations_agree_with_the_fused_layer(name):
    module = seeded(LAYERS[name])
    recurrence = as_recurrence(module)
    _, states = recurrence.trajectory(own_layout(module, sequence()))
    reference = copy.deepcopy(module).double().eval()
    for t in range(T):
        _, final = reference(own_layout(module, sequence()[: t + 1]))
        final = final if isinstance(final, tuple) else (final,)
        ours = recurrence.unravel(states[t + 1])
        for value, expected in zip(ours if isinstance(ours, tuple) else (ours,), final, strict=True):
            assert (value - expected).abs().max() <= 8 * N * T * EPS


@pytest.mark.parametrize("name", CELLS)
def test_plain_operations_agree_with_the_cell(name):
    cell = seeded(lambda: CELLS[name](M, N))
    recurrence = as_recurrence(cell)
    state = torch.randn(B, recurrence.state_size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = sequence()[0]
    expected = copy.deepcopy(cell).double()(x, recurrence.unravel(state))
    assert (recurrence.step(x, state) - recurrence.ravel(expected)).abs().max() <= 8 * N * EPS


@pytest.mark.parametrize("name", LAYERS)
def test_closed_form_jacobians_agree_with_automatic_differentiation(name):
    module = seeded(LAYERS[name])
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(own_layout(module, sequence()))
    closed = recurrence.linearize(xs, states[:-1])
    n = recurrence.state_size
    # The same step as a function, of which nothing is known.
    function = as_recurrence(recurrence.step, state=torch.zeros(B, n, dtype=torch.float64), batched=True)
    automatic = function.linearize(xs, states[:-1])
    assert type(automatic) is not type(closed)
    J = automatic.dense(0, T)
    assert (closed.dense(0, T) - J).abs().max() <= 8 * n * EPS
    Q = torch.randn(B, n, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for linearization in (closed, automatic):
        assert (linearization.push(2, Q) - J[2] @ Q).abs().max() <= 16 * n * EPS * Q.abs().max()
    assert (recurrence.jacobian(xs[1], states[1]) - J[1]).abs().max() <= 8 * n * EPS


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm stack", "lstm stack, projected"])
def test_jacobians_agree_with_autograd_through_torchs_own_layer(name):
    module = seeded(LAYERS[name])
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(sequence())
    step = torch_step(copy.deepcopy(module).double())
    reference = autograd_jacobians(step, xs[:, 1], states[0, 1])
    ours = recurrence.linearize(xs, states[:-1]).dense(0, T)[:, 1].numpy()
    assert np.abs(ours - reference).max() <= 8 * recurrence.state_size * EPS


@pytest.mark.parametrize("name", [n for n in LAYERS if "relu" not in n and "projected" not in n])
def test_log_determinant_has_the_value_of_an_lu_factorization(name):
    module = seeded(LAYERS[name])
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(own_layout(module, sequence()))
    closed = recurrence.linearize(xs, states[:-1])
    J = closed.dense(0, T)
    condition = torch.linalg.cond(J).max()
    error = (closed.log_determinant() - torch.linalg.slogdet(J).logabsdet).abs().max()
    assert error <= recurrence.state_size * EPS * condition


def test_saturated_tanh_keeps_its_slope():
    cell = nn.RNNCell(1, 2, bias=False).double()
    with torch.no_grad():
        cell.weight_ih.fill_(30.0)
        cell.weight_hh.copy_(torch.eye(2))
    J = as_recurrence(cell).jacobian(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64))
    assert J[0, 0, 0].item() == pytest.approx(4 * np.exp(-60.0), rel=64 * EPS, abs=0)


def test_one_layer_of_a_bidirectional_stack_is_driven_by_the_layer_below():
    module = seeded(lambda: nn.LSTM(M, N, 2, bidirectional=True))
    reference, _ = copy.deepcopy(module).double()(sequence())
    for direction, columns in (("forward", slice(0, N)), ("reverse", slice(N, 2 * N))):
        recurrence = as_recurrence(module, layer=1, direction=direction)
        _, states = recurrence.trajectory(sequence())
        h = states[1:, :, recurrence.parts["h"]]
        h = h.flip(0) if direction == "reverse" else h
        assert (h - reference[..., columns]).abs().max() <= 16 * N * T * EPS


def test_reverse_direction_of_a_single_layer():
    module = seeded(lambda: nn.GRU(M, N, bidirectional=True, batch_first=True))
    reference, _ = copy.deepcopy(module).double()(sequence().transpose(0, 1))
    _, states = as_recurrence(module, direction="reverse").trajectory(sequence().transpose(0, 1))
    assert (states[1:].flip(0).transpose(0, 1) - reference[..., N:]).abs().max() <= 8 * N * T * EPS


def test_module_with_forward_of_input_and_state():
    module = seeded(WithOutput)
    module.train()
    recurrence = as_recurrence(module, state=torch.zeros(B, N))
    xs, states = recurrence.trajectory(sequence())
    reference = copy.deepcopy(module).double().eval()
    h = torch.zeros(B, N, dtype=torch.float64)
    for t in range(T):
        _, h = reference(sequence()[t], h)
        assert torch.equal(states[t + 1], h)
    W = reference.h2h.weight.detach()
    pre = reference.input2h(xs[2]) + reference.h2h(states[2])
    closed = 0.8 * torch.eye(N, dtype=torch.float64) + 0.2 * (1 - torch.tanh(pre) ** 2).unsqueeze(-1) * W
    assert (recurrence.jacobian(xs[2], states[2]) - closed).abs().max() <= 8 * N * EPS


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(M, N)

    def forward(self, x, state):
        output, state = self.rnn(x.unsqueeze(0), state)
        return output[0], state


def test_module_that_wraps_a_fused_layer_is_differentiated_through_it():
    module = seeded(Wrapped)
    state = (torch.zeros(1, B, N), torch.zeros(1, B, N))
    # torch's state has the layer in front: the batch is the second axis, so one sample a time.
    recurrence = as_recurrence(module, state=tuple(part[:, 0] for part in state), batched=False)
    inner = as_recurrence(module.rnn)
    xs, states = inner.trajectory(sequence())
    J = recurrence.jacobian(xs[1], states[1])
    assert (J - inner.jacobian(xs[1], states[1])).abs().max() <= 8 * N * EPS


def test_any_pytree_and_complex_states():
    rotation = torch.tensor([0.9j, 0.5 + 0.1j], dtype=torch.complex128)

    def step(x, state):
        return {"slow": rotation * state["slow"], "fast": [0.5 * state["fast"][0] + x.sum()]}

    state = {"slow": torch.ones(2, dtype=torch.complex128), "fast": [torch.tensor(1.0, dtype=torch.float64)]}
    recurrence = as_recurrence(step, state=state)
    assert recurrence.state_size == 5
    xs, states = recurrence.trajectory(torch.ones(T, 1, dtype=torch.float64))
    final = recurrence.unravel(states[-1])
    assert (final["slow"] - rotation**T).abs().max() <= 4 * T * EPS
    assert final["fast"][0].item() == 0.5**T + sum(0.5**k for k in range(T))
    eigenvalues = torch.linalg.eigvals(recurrence.jacobian(xs[0], states[0])[0])
    for value in (0.9j, -0.9j, 0.5 + 0.1j, 0.5 - 0.1j, 0.5):
        assert (eigenvalues - value).abs().min() <= 16 * EPS


def test_single_sample_function_is_the_same_alone_and_in_a_batch():
    def step(x, s):
        return torch.sin(s) + x

    recurrence = as_recurrence(step, state=torch.zeros(3, dtype=torch.float64))
    starts = torch.randn(5, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    x = torch.ones(5, 3, dtype=torch.float64)
    together = recurrence.step(x, starts)
    for one in range(5):
        assert torch.equal(recurrence.step(x[one : one + 1], starts[one : one + 1])[0], together[one])


def test_everything_is_left_as_found():
    module = seeded(lambda: nn.GRU(M, N, 2, dropout=0.5))
    custom = seeded(WithOutput)
    custom.eval()
    custom.dropout.train()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    weights = [copy.deepcopy(m.state_dict()) for m in (module, custom)]
    modes = [[part.training for part in m.modules()] for m in (module, custom)]
    xs, start = sequence().float(), torch.ones(2, B, N)
    copies = xs.clone(), start.clone()
    before = torch.random.get_rng_state()
    as_recurrence(module).trajectory(xs, initial=start)
    recurrence = as_recurrence(custom, state=torch.zeros(B, N))
    with recurrence.as_found():
        recurrence.trajectory(xs)
        torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(xs, copies[0])
    assert torch.equal(start, copies[1])
    assert modes == [[part.training for part in m.modules()] for m in (module, custom)]
    assert not any(parameter.requires_grad for parameter in module.parameters())
    for m, old in zip((module, custom), weights, strict=True):
        assert all(torch.equal(new, old[key]) for key, new in m.state_dict().items())
        assert all(p.grad is None for p in m.parameters())
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert as_recurrence(module).cells[0].weight.abs().max() == 0


def test_precision_is_the_callers_choice():
    assert as_recurrence(nn.RNN(M, N)).dtype == torch.float64
    assert as_recurrence(nn.RNN(M, N), dtype=None).dtype == torch.float32
    recurrence = as_recurrence(seeded(WithOutput), state=torch.zeros(B, N), dtype=None)
    assert recurrence.trajectory(sequence().float())[1].dtype == torch.float32


def test_initial_states_in_the_modules_own_structure():
    recurrence = as_recurrence(nn.LSTM(M, N, 2))
    h, c = torch.randn(2, B, N, dtype=torch.float64), torch.randn(2, B, N, dtype=torch.float64)
    flat = recurrence.ravel((h, c))
    assert torch.equal(flat[1], torch.cat([h[0, 1], h[1, 1], c[0, 1], c[1, 1]]))
    assert all(torch.equal(a, b) for a, b in zip(recurrence.unravel(flat), (h, c), strict=True))
    _, states = recurrence.trajectory(torch.zeros(T, 1, M), initial=(h, c))
    assert states.shape == (T + 1, B, 4 * N)
    assert recurrence.parts == {"h": slice(0, 2 * N), "c": slice(2 * N, 4 * N)}
    assert as_recurrence(recurrence) is recurrence


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: as_recurrence(nn.GRU(M, N, bidirectional=True)), ArgumentError, "direction must be given"),
        (
            lambda: as_recurrence(nn.GRU(M, N, 2, bidirectional=True), direction="forward"),
            ArgumentError,
            "layer must be given",
        ),
        (lambda: as_recurrence(nn.GRU(M, N), direction="reverse"), UnknownNameError, "direction"),
        (lambda: as_recurrence(nn.GRU(M, N), layer=1), UnknownNameError, "layer"),
        (lambda: as_recurrence(nn.RNNCell(M, N, nonlinearity="selu")), ArgumentError, "tanh or relu"),
        (lambda: as_recurrence(lambda x, s: s, state=torch.zeros(2)).trajectory(0), ArgumentError, "one step"),
        (lambda: as_recurrence(nn.Linear(M, N)), ArgumentError, "state must be an example of the state of Linear"),
        (lambda: as_recurrence(torch.tanh, state=torch.zeros(3, dtype=torch.int64)), DtypeError, "int64"),
        (lambda: as_recurrence(nn.GRU(M, N)).trajectory(torch.zeros(T, B, N)), ShapeError, "m = 3"),
        (lambda: as_recurrence(nn.GRU(M, N)).trajectory(torch.zeros(0, B, M)), ArgumentError, "at least one step"),
        (lambda: as_recurrence(nn.GRU(M, N)).trajectory(0), ArgumentError, "at least one step"),
        (lambda: as_recurrence(nn.LSTM(M, N)).ravel(torch.zeros(1, B, N)), ShapeError, "h and c"),
        (lambda: as_recurrence(nn.GRU(M, N)).ravel(torch.zeros(1, B, M)), ShapeError, "B, 4"),
        (
            lambda: as_recurrence(nn.GRU(M, N)).trajectory(torch.zeros(T, 3, M), initial=torch.zeros(1, 2, N)),
            ShapeError,
            "must hold 3 states",
        ),
        (lambda: as_recurrence(nn.GRU(M, N)).trajectory(torch.full((T, B, M), torch.nan)), NotFiniteError, "step 1"),
        (
            lambda: as_recurrence(lambda x, s: (s, s, s), state=torch.zeros(2)).trajectory(3),
            ShapeError,
            "structure",
        ),
        (lambda: as_recurrence(lambda x, s: s[:1], state=torch.zeros(2)).trajectory(3), ShapeError, "leaf of shape"),
        (lambda: as_recurrence(lambda x, s: s, state=torch.zeros(2)).ravel((1, 2)), ShapeError, "structure"),
    ],
)
def test_misuse_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


class OwnTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(M, N)

    def forward(self, x, h):
        return torch.tanh(h + torch.zeros(len(h), N) @ torch.eye(N) + self.linear(x.float()))


def test_mixed_precision_is_named_with_its_remedy():
    with pytest.raises(ArgumentError, match="dtype=None"):
        as_recurrence(OwnTensors(), state=torch.zeros(B, N)).trajectory(sequence())


def test_other_failures_of_a_module_are_its_own():
    with pytest.raises(RuntimeError, match="shape"):
        as_recurrence(WithOutput(), state=torch.zeros(B, N)).trajectory(sequence(size=5))
