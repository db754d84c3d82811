"""Hand-written architectures, diagnosed from model and batch alone, against the gradients at their true states."""

import copy

import numpy as np
import pytest
import torch
from tests.architectures.architecture import M, N
from tests.architectures.feedforward import FEEDFORWARD
from tests.architectures.gated import GATED
from tests.architectures.plain import PLAIN, Elman
from tests.architectures.stateful import STATEFUL
from tests.architectures.structured import STRUCTURED
from tests.dynamics.test_left_as_found import snapshot
from torch import nn

import unitcircle as uc
from unitcircle.dynamics import hand_written

ARCHITECTURES = [*PLAIN, *GATED, *STRUCTURED, *STATEFUL]
RELATIVE = 1e-10
WITH_GATES = {
    *("HandGRU", "LayerNormGRU", "GateByGate", "MinimalGated", "HandLSTM", "LayerNormLSTM", "Peephole", "Coupled"),
    *("SLSTM", "GRUD", "CfC", "LSTMStack", "ConvLSTM", "ConvGRU", "NeuralGPU", "RSSM", "NTM", "ODERNN", "MinGRU"),
    *("QRNN", "SelectiveScan", "DeltaRule", "InDictionary", "InNamedTuple", "Mogrifier", "SRU", "TorchCells"),
}
"""Those whose step multiplies by a gate; LTC divides by 1 + a sigmoid."""


def truth(model, batch, batched):
    """Layer → mean over the batch of log ‖∂L/∂s_t‖ by lag, from retain_grad in double precision."""
    twin = copy.deepcopy(model).double().eval()
    twin.record = {}
    x, target = batch
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        output = twin(x.double() if x.is_floating_point() else x)
    finally:
        torch.set_default_dtype(usual)
    nn.functional.mse_loss(output, target.double()).backward()
    curves = {}
    for name, states in twin.record.items():
        rows = 3 if batched else 1
        grads = [[torch.zeros_like(p) if p.grad is None else p.grad for p in state] for state in states[::-1]]
        if getattr(model, "separate", False):
            norms = [torch.stack([g.norm() for g in state]) for state in grads]
        else:
            norms = [torch.cat([g.reshape(rows, -1) for g in state], 1).norm(dim=1) for state in grads]
        curves[name] = torch.stack(norms).numpy()
    return curves


@pytest.mark.parametrize("kind", ARCHITECTURES, ids=lambda kind: kind.__name__)
def test_the_gradient_is_that_at_the_true_states(kind):
    torch.manual_seed(1)
    model, x = kind(), kind.inputs()
    with torch.no_grad():
        target = torch.randn_like(model(x))
    batch = x, target
    before = snapshot(model, batch)
    diagnosis = uc.diagnose(model, batch)
    assert snapshot(model, batch) == before
    expected = truth(model, batch, getattr(kind, "batched", True))
    assert sorted(layer.layer.name for layer in diagnosis.layers) == sorted(expected), str(diagnosis.coverage)
    assert not diagnosis.coverage.unread
    assert {layer.gated for layer in diagnosis.layers} == {kind.__name__ in WITH_GATES}
    for layer in diagnosis.layers:
        norms = expected[layer.layer.name]
        with np.errstate(divide="ignore"):
            curve = np.log(norms).mean(-1)
        assert layer.live.steps in {len(norms), len(norms) - 1}
        measured = layer.live.log_gradient[: len(curve)]
        assert (np.isneginf(measured) == np.isneginf(curve)).all()
        reached = ~np.isneginf(curve)
        assert np.abs(measured[reached] - curve[reached]).max() <= RELATIVE


@pytest.mark.parametrize("kind", FEEDFORWARD, ids=lambda kind: kind.__name__)
def test_a_feed_forward_network_has_no_recurrence(kind):
    torch.manual_seed(1)
    model, x = kind(), kind.inputs()
    with torch.no_grad():
        target = torch.randn_like(model(x))
    diagnosis = uc.diagnose(model, (x, target))
    assert not diagnosis.layers
    assert not diagnosis.findings
    assert not diagnosis.coverage.unread
    assert any("nothing here is recurrent" in note for note in diagnosis.coverage.notes)


class Truncated(Elman):
    def step(self, x, h):
        self.steps = getattr(self, "steps", 0) + 1
        return super().step(x, h.detach() if self.steps % 5 == 0 else h)


def test_a_state_that_the_loop_detaches_is_a_cut():
    diagnosis = uc.diagnose(Truncated(), (torch.randn(12, 3, M), torch.randn(3, 2)))
    (finding,) = [finding for finding in diagnosis.findings if finding.code == "UC209"]
    assert finding.evidence["cut"] == 3
    assert np.isneginf(diagnosis.layers[0].live.log_gradient[3:]).all()


class Recursive(Elman):
    """A recursion instead of a loop."""

    def run(self, xs, h):
        return self.run(xs[1:], self.step(xs[0], h)) if len(xs) else h

    def forward(self, x):
        return self.readout(self.run(list(x), self.initial(x)))


def test_what_is_applied_to_its_own_output_in_no_loop_is_said_to_be_unread():
    diagnosis = uc.diagnose(Recursive(), (torch.randn(12, 3, M), torch.randn(3, 2)))
    assert not diagnosis.layers
    (unread,) = diagnosis.coverage.unread
    assert "h2h is applied 12 times, each time to what the time before gave" in unread
    assert diagnosis.answer.verdict == "unknown"


def log_jacobians(model, x):
    """log ‖∂h_T/∂h_t‖_F ``(T + 1, B)`` by lag of a tanh loop, as products of the Jacobians of its steps."""
    states = [x.new_zeros(x.shape[1], N)]
    for step in x:
        states.append(model.step(step, states[-1]).detach())
    slopes = 1 - torch.stack(states[:0:-1]) ** 2
    product = torch.eye(N, dtype=x.dtype).expand(x.shape[1], N, N)
    norms = [torch.linalg.matrix_norm(product)]
    for slope in slopes:
        product = product @ (slope[:, :, None] * model.h2h.weight.detach())
        norms.append(torch.linalg.matrix_norm(product))
    return torch.stack(norms).log().numpy()


@pytest.mark.parametrize("probes", [4, N, 256])
def test_the_jacobian_is_the_product_of_the_steps_and_exact_with_enough_probes(probes):
    torch.manual_seed(0)
    model, x = Elman().double(), torch.randn(12, 3, M, dtype=torch.double)
    (layer,) = hand_written(model, x, probes=probes).layers
    away = np.abs(layer.jacobian.log_norms[:, 0] - log_jacobians(model, x))
    if probes < N:
        assert (away[1:] <= 6 * layer.jacobian.stderr[1:, 0]).all()
    else:
        assert away.max() <= 12 * N * N * np.finfo(float).eps * 10
        assert not layer.jacobian.stderr.any()


def test_without_loss_and_target_the_last_states_are_differentiated():
    model, x = Elman(), torch.randn(12, 3, M)
    (layer,) = hand_written(model, x).layers
    assert layer.gradient.log_norms.shape == (13, 1, 3)
    assert np.abs(layer.gradient.log_norms[0] - 0.5 * np.log(N)).max() <= 4 * np.finfo(float).eps
    assert layer.jacobian is None


def test_parameters_that_are_known_are_left_out():
    model, x = Elman(), torch.randn(12, 3, M)
    assert not hand_written(model, x, known=["h2h.weight"]).layers
    assert not hand_written(model, x, known=["h2h.weight"]).unrecognised


def test_the_model_is_left_as_found():
    model, x = Elman(), torch.randn(12, 3, M)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    hand_written(model, x, lambda output: output.sum(), probes=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
