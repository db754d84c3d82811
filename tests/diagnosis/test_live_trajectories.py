"""Diagnoses of models that run a layer along chunks, loops, several sequences and sequences of different lengths."""

import copy
import math

import numpy as np
import pytest
import torch
from tests.diagnosis.test_live import codes, found
from tests.dynamics.test_trajectories import (
    ACCURACY,
    LENGTHS,
    B,
    Chunked,
    Loop,
    M,
    N,
    Reads,
    Siamese,
    Stepwise,
    inputs,
    padded,
    seeded,
    target,
)
from torch import nn

from unitcircle.diagnosis import Severity, diagnose

EPS = np.finfo(float).eps


def gates(diagnosis):
    return {name: vars(gate) for name, gate in diagnosis.layers[0].live.gates.items()}


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_chunks_and_loops_are_diagnosed_as_the_single_call(kind):
    x, y = inputs(60).float(), target()
    whole = seeded(lambda: Chunked(kind, 60))
    chunks = Chunked(kind, 10)
    chunks.load_state_dict(whole.state_dict())
    expected = diagnose(whole, (x, y))
    assert "UC201" in codes(expected)
    for model in (chunks, Stepwise(whole.rnn, whole.fc)):
        diagnosis = diagnose(model, (x, y))
        assert codes(diagnosis) == codes(expected)
        a, b = diagnosis.layers[0].live, expected.layers[0].live
        for name in ("log_gradient", "log_jacobian", "distance", "dimension", "input_share", "typical", "saturation"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1000 * EPS, err_msg=name)
        for gate, values in gates(diagnosis).items():
            assert values == pytest.approx(gates(expected)[gate], rel=1000 * EPS)
    assert "rnn is called 6 times with its state passed on" in str(diagnose(chunks, (x, y)).coverage)


@pytest.mark.parametrize("packed", [True, False])
def test_the_states_of_a_padded_batch_are_those_of_its_sequences(packed):
    model = seeded(lambda: Reads(nn.GRU, packed=packed))
    batch, y = padded(), target()
    (layer,) = diagnose(model, (batch, y)).layers
    rnn = copy.deepcopy(model.rnn).double()
    runs = [rnn(batch["x"][b : b + 1, :n])[0][0].detach() for b, n in enumerate(LENGTHS)]
    size = [(run.norm(dim=-1) / math.sqrt(N)).numpy()[::-1] for run in runs]
    expected = [np.mean([s[lag] for s in size if lag < len(s)]) for lag in range(max(LENGTHS))]
    np.testing.assert_allclose(layer.live.distance[::-1], expected, rtol=1000 * EPS)
    last = torch.stack([run[-1] for run in runs])
    variances = torch.linalg.svdvals(last - last.mean(0)) ** 2
    assert layer.live.dimension == pytest.approx(float(variances.sum() ** 2 / (variances**2).sum()), rel=1000 * EPS)
    z = torch.cat(
        [
            torch.sigmoid(
                batch["x"][b, :n] @ rnn.weight_ih_l0[N : 2 * N].T
                + torch.cat([torch.zeros(1, N), run[:-1]]) @ rnn.weight_hh_l0[N : 2 * N].T
                + (rnn.bias_ih_l0 + rnn.bias_hh_l0)[N : 2 * N]
            )
            for b, (n, run) in enumerate(zip(LENGTHS, runs, strict=True))
        ]
    )
    assert layer.live.gates["z"].openness == pytest.approx(z.mean().item(), rel=1000 * EPS)


def test_two_sequences_of_one_encoder_are_two_trajectories():
    diagnosis = diagnose(seeded(lambda: Siamese(nn.GRUCell(M, N))), inputs(60))
    (layer,) = diagnosis.layers
    assert layer.live.steps == 30
    assert layer.live.trajectories == 2
    assert math.isfinite(layer.live.log_gradient[-1])
    assert "along 2 trajectories" in str(diagnosis.coverage)


def test_the_worst_trajectory_counts():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(M, N, batch_first=True)

        def forward(self, x):
            return self.rnn(x[:, :3])[1] + self.rnn(x)[1]

    model = seeded(Pair)
    assert diagnose(model, inputs()).layers[0].live.steps == 24


def test_a_detached_state_is_a_finding_of_its_own():
    model = seeded(lambda: Chunked(nn.GRU, 10, lambda state: state.detach()))
    model.rnn.bias_hh_l0.data[N : 2 * N] = 5.0  # the weights keep the gradient
    diagnosis = diagnose(model, (inputs(40), target()))
    finding = found(diagnosis, "UC209")
    assert finding.severity is Severity.WARNING
    assert "exactly 0 beyond 10 steps back" in finding.message
    assert finding.evidence == {"cut": 10, "links": 3, "steps": 40}
    assert "UC201" not in codes(diagnosis)
    within = diagnose(model, (inputs(40), target()), steps=10)
    assert found(within, "UC209").severity is Severity.NOTE
    assert diagnosis.answer.verdict == "no"
    assert diagnosis.answer.reach == 10
    whole = diagnose(seeded(lambda: Chunked(nn.GRU, 40)), (inputs(40), target()))
    assert "UC209" not in codes(whole)


def test_a_weight_that_loses_the_gradient_before_the_cut_is_found_too():
    model = seeded(lambda: Chunked(nn.RNN, 20, lambda state: state.detach()))
    model.rnn.weight_hh_l0.data.mul_(0.2)
    assert {"UC201", "UC209"} <= set(codes(diagnose(model, (inputs(40), target()))))


class Leaky(nn.RNNCell):
    def forward(self, x, h):
        return 0.9 * h + 0.1 * super().forward(x, h)


def test_a_subclass_with_its_own_forward_is_the_loop_that_it_runs_in():
    diagnosis = diagnose(seeded(lambda: Loop(Leaky(M, N))), inputs().float())
    assert [(layer.layer.name, layer.layer.cell) for layer in diagnosis.layers] == [("cell", "hand-written")]
    assert not diagnosis.coverage.unread
    (unread,) = diagnose(seeded(lambda: Loop(Leaky(M, N)))).coverage.unread
    assert "cell is a subclass of torch's rnn_tanh with a forward of its own" in unread


class Scaled(nn.LSTM):
    def forward(self, x):
        return super().forward(0.5 * x)[0]


class Normed(nn.GRU):
    """Normalizes its output, with a residual connection."""

    def forward(self, x, state=None):
        y, state = super().forward(x, state)
        return nn.functional.layer_norm(y, y.shape[-1:]) + y, state


class InSteps(nn.RNN):
    """Calls torch's layer step by step, and lets the state decay in between."""

    def forward(self, x, state=None):
        rows = []
        for row in x:
            y, state = super().forward(row[None], state)
            state = 0.9 * state
            rows.append(y)
        return torch.cat(rows), state


def of_states(model, x):
    """Mean log ‖∂L/∂h_t‖ by lag of the square of the last output, at the states that the steps are given."""
    states, state = [], None
    for row in x:
        y, state = type(model).__mro__[1].forward(model, row[None], state)
        last, state = state, 0.9 * state if isinstance(model, InSteps) else state
        states.append(state)
    states[-1] = last
    for state in states:
        state.retain_grad()
    y = nn.functional.layer_norm(last, last.shape[-1:]) + last if isinstance(model, Normed) else last
    y.square().sum().backward()
    return torch.stack([state.grad[0].norm(dim=-1).log().mean() for state in states[::-1]])


@pytest.mark.parametrize("kind", [Normed, InSteps])
def test_a_subclass_that_calls_torchs_forward_is_measured_as_it_runs(kind):
    x = torch.randn(12, B, M, generator=torch.Generator().manual_seed(0))
    model = seeded(lambda: kind(M, N))
    diagnosis = diagnose(model, x, loss=lambda output: output[0][-1].square().sum())
    (layer,) = diagnosis.layers
    assert not diagnosis.coverage.unread
    assert any("calls torch's forward" in note for note in diagnosis.coverage.notes)
    assert layer.layer.cell == ("gru" if kind is Normed else "rnn_tanh")
    expected = of_states(copy.deepcopy(model).double(), x.double()).numpy()
    assert abs(layer.live.log_gradient[:12] - expected).max() <= ACCURACY


class Alone(nn.LSTM):
    def forward(self, x):
        return torch.tanh(x[-1] @ self.weight_ih_l0.t())


def test_a_subclass_that_runs_in_no_loop_is_said_to_be_unread():
    diagnosis = diagnose(seeded(lambda: Alone(M, N)), inputs().float())
    assert not codes(diagnosis)
    assert diagnosis.answer.verdict == "unknown"
    (unread,) = diagnosis.coverage.unread
    assert "alone is a subclass of torch's lstm with a forward of its own" in unread
    assert "as_recurrence" in unread


def test_a_subclass_that_scales_its_input_is_torchs_layer_on_the_scaled_one():
    scaled, plain = seeded(lambda: Scaled(M, N)), seeded(lambda: nn.LSTM(M, N))
    flow = diagnose(scaled, inputs().float()).layers[0].live.log_gradient
    assert np.array_equal(flow, diagnose(plain, 0.5 * inputs().float()).layers[0].live.log_gradient)
