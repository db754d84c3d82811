"""Scans of standard cells against autograd through a loop of steps."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.dynamics import gradient_flow, hand_written
from unitcircle.dynamics._layers import cells_from
from unitcircle.dynamics._scans import scan

T, B, M, N, K = 37, 3, 2, 5, 4
EPS = torch.finfo(torch.float64).eps
TOLERANCE = T * N * EPS
"""T sums of N products, relative to the largest entry."""

LAYERS = {
    "tanh": lambda: nn.RNN(M, N),
    "relu": lambda: nn.RNN(M, N, nonlinearity="relu", bias=False),
    "gru": lambda: nn.GRU(M, N),
    "gru without bias": lambda: nn.GRU(M, N, bias=False),
    "lstm": lambda: nn.LSTM(M, N),
    "lstm without bias": lambda: nn.LSTM(M, N, bias=False),
    "projected lstm": lambda: nn.LSTM(M, N, proj_size=2),
}


def close(ours, reference):
    return bool((ours - reference).abs().max() <= TOLERANCE * (1 + reference.abs().max()))


@pytest.mark.parametrize("name", LAYERS)
def test_states_and_their_gradients_are_those_of_a_loop_of_steps(name):
    torch.manual_seed(0)
    ((cell,),) = cells_from(LAYERS[name]().double(), take=torch.detach)
    xs = torch.randn(T, B, M, dtype=torch.float64, requires_grad=True)
    start = tuple(torch.randn(B, size, dtype=torch.float64, requires_grad=True) for size in cell.sizes)
    states, made = [start], [start]
    for drive in cell.drive(xs):
        made.append(cell.advance(drive, states[-1]))
        states.append(cell.passed_on(made[-1]))
    found = scan(cell, xs.detach(), tuple(part.detach() for part in start))
    for part in range(len(start)):
        assert close(found.states[part], torch.stack([state[part] for state in states]).detach())

    cotangents = torch.randn(T + 1, K, B, cell.sizes[0], dtype=torch.float64)
    last = torch.randn(K, B, cell.sizes[1], dtype=torch.float64) if len(start) > 1 else None
    ours = found.pull(cotangents.clone(), last)
    inputs = found.pull_inputs(ours)
    for k in range(K):
        value = sum((state[0] * cotangents[t, k]).sum() for t, state in enumerate(states))
        if last is not None:
            value = value + (states[-1][1] * last[k]).sum()
        leaves = [part for state in states for part in state]
        *reference, of_xs = torch.autograd.grad(value, [*leaves, xs], retain_graph=True)
        for part in range(len(start)):
            assert close(ours[part][:, k], torch.stack(reference[part :: len(start)]))
        assert close(inputs[:, k], of_xs)
    totals = tuple(part.clone() for part in ours)
    found.make_total(totals)
    for k in range(K):
        value = sum((state[0] * cotangents[t, k]).sum() for t, state in enumerate(states))
        if last is not None:
            value = value + (states[-1][1] * last[k]).sum()
        reference = torch.autograd.grad(value, [part for state in made for part in state], retain_graph=True)
        for part in range(len(start)):
            assert close(totals[part][:, k], torch.stack(reference[part :: len(start)]))


@pytest.mark.parametrize("name", LAYERS)
def test_in_single_precision_other_code_runs_the_same_steps(name):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    results = []
    for dtype in (torch.float64, torch.float32):
        ((cell,),) = cells_from(layer.to(dtype), take=torch.detach)
        torch.manual_seed(1)
        xs, h = torch.randn(T, B, M).to(dtype), torch.randn(T + 1, K, B, cell.sizes[0]).to(dtype)
        found = scan(cell, xs, tuple(torch.ones(B, size, dtype=dtype) for size in cell.sizes))
        results.append((*found.states, *found.pull(h)))
    for ours, reference in zip(results[1], results[0], strict=True):
        away = (ours.double() - reference).abs().max()
        assert away <= T * N * torch.finfo(torch.float32).eps * (1 + reference.abs().max())


class TwoModules(nn.Module):
    """Two recurrent modules with a residual connection around the second, whose initial state is the first one's."""

    def __init__(self):
        super().__init__()
        self.cell = None
        self.below, self.middle = nn.LSTM(M, N, num_layers=2, bidirectional=True), nn.Linear(2 * N, N)
        self.above = nn.LSTM(N, N, batch_first=True)

    def forward(self, x):
        if self.cell is not None:
            self.cell(x[0])
        y, (h, c) = self.below(x)
        y = torch.tanh(self.middle(y))
        z, _ = self.above(y.transpose(0, 1), (h[-1:], c[-2:-1]))
        return y + z.transpose(0, 1)


@pytest.mark.parametrize("norm", ["gradient", "jacobian", "spectral"])
def test_a_run_by_scans_measures_what_a_run_in_the_graph_does(norm):
    torch.manual_seed(1)
    model = TwoModules().double()
    x = torch.randn(T, B, M, dtype=torch.float64)

    def flow():
        return gradient_flow(model, x, lambda y: y[3:].square().sum(), norm=norm)

    ours = flow()
    model.cell = nn.RNNCell(M, N).double()  # a cell is recorded in the graph, and with it the whole run
    reference = flow()
    assert reference.layers == ("cell", *ours.layers)
    for k in range(len(ours.layers)):
        error = abs(ours.norms[:, k] - reference.norms[:, k + 1])
        assert error.max() <= 10 * TOLERANCE * reference.norms[:, k + 1].max()
    assert all(
        abs(np.exp(ours.parts[part]) - np.exp(reference.parts[part][:, 1:])).max()
        <= 10 * TOLERANCE * reference.norms[:, 1:].max()
        for part in "hc"
    )


class BesideALoop(nn.Module):
    """A fused layer, the output of which a loop of its own reads, or a projection that is applied three times."""

    def __init__(self, how):
        super().__init__()
        self.how, self.rnn, self.project = how, nn.GRU(M, N), nn.Linear(N, N)

    def forward(self, x):
        y, h = self.rnn(x)
        if self.how == "loop":
            state = h[0]
            for row in y:
                state = torch.tanh(self.project(state) + row)
            return state
        if self.how == "chain":
            return self.project(torch.tanh(self.project(torch.tanh(self.project(h[0])))))
        return self.project(h[0])


@pytest.mark.parametrize(("how", "layers", "chains"), [("loop", 1, []), ("chain", 0, ["project.weight"]), ("", 0, [])])
def test_what_is_beside_known_layers_is_found(how, layers, chains):
    torch.manual_seed(2)
    model, x = BesideALoop(how), torch.randn(T, B, M)
    known = [f"rnn.{name}" for name, _ in model.rnn.named_parameters()]
    found = hand_written(model, x, lambda y: y.square().sum(), known=known)
    assert (len(found.layers), list(found.unrecognised)) == (layers, chains)
    assert all("forward" not in module.__dict__ for module in model.modules())
