"""Hand-written architectures, diagnosed from model and batch alone, against the gradients at their true states."""

import copy

import numpy as np
import pytest
import torch
from tests.architectures.architecture import M, N
from tests.architectures.feedforward import FEEDFORWARD
from tests.architectures.gated import GATED
from tests.architectures.plain import PLAIN, Elman
from tests.architectures.stacked import STACKED
from tests.architectures.stateful import STATEFUL
from tests.architectures.structured import STRUCTURED
from tests.architectures.unusual import UNUSUAL
from tests.dynamics.test_left_as_found import snapshot
from torch import nn

import unitcircle as uc
from unitcircle.dynamics import gradient_flow, hand_written

ARCHITECTURES = [*PLAIN, *GATED, *STRUCTURED, *STATEFUL, *UNUSUAL, *STACKED]
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
        rows = model.sequences if batched else 1
        grads = [[torch.zeros_like(p) if p.grad is None else p.grad for p in state] for state in states[::-1]]
        if getattr(model, "separate", False):
            norms = [torch.stack([g.norm() for g in state]) for state in grads]
        else:
            norms = [
                torch.cat([g.movedim(model.axis, 0).reshape(rows, -1) for g in state], 1).norm(dim=1) for state in grads
            ]
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


class AtLengths(nn.Module):
    """An LSTM, fused or as a loop over the same parameters, read at the true end of each sequence."""

    def __init__(self, *, fused):
        super().__init__()
        self.rnn, self.readout, self.fused = nn.LSTM(M, N), nn.Linear(N, 1), fused
        self.states = []

    def run(self, x):
        h, c = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N)
        rnn = self.rnn
        for x_t in x:
            gates = x_t @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0
            i, f, g, o = gates.chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            self.states.append((h, c))
        return torch.stack([h for h, _ in self.states])

    def forward(self, x, lengths):
        self.states = []
        outputs = self.rnn(x)[0] if self.fused else self.run(x)
        return self.readout(outputs[lengths - 1, torch.arange(len(lengths))])


@pytest.mark.parametrize("lengths", [[12, 12, 12], [12, 5, 9], [10, 5, 9]])
def test_a_loop_that_is_read_at_the_end_of_each_sequence_is_counted_back_from_there(lengths):
    torch.manual_seed(0)
    fused, loop = AtLengths(fused=True), AtLengths(fused=False)
    loop.load_state_dict(fused.state_dict())
    batch = {"x": torch.randn(12, 3, M), "lengths": torch.tensor(lengths)}, torch.randn(3, 1)
    of_loop, of_fused = gradient_flow(loop, batch), gradient_flow(fused, batch)
    twin = AtLengths(fused=False).double()
    twin.load_state_dict(fused.state_dict())
    output = twin(batch[0]["x"].double(), batch[0]["lengths"])
    gradients = torch.autograd.grad(
        nn.functional.mse_loss(output, batch[1].double()), [part for state in twin.states for part in state],
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    norms = torch.hypot(*(torch.stack(gradients[part::2]).norm(dim=-1) for part in (0, 1)))
    for b, length in enumerate(lengths):
        expected = norms[:length, b].flip(0).log().numpy()
        for flow in (of_loop, of_fused):
            assert flow.lengths[0][b] == length
            assert np.abs(flow.log_norms[:length, 0, b] - expected).max() <= RELATIVE
            assert np.isnan(flow.log_norms[length + 1 :, 0, b]).all()
    (layer,) = hand_written(loop, batch, probes=2 * N).layers
    assert layer.jacobian.lengths[0].tolist() == lengths
    b, length = 1, lengths[1]
    alone = {"x": batch[0]["x"][:length, b : b + 1], "lengths": torch.tensor([length])}, batch[1][b : b + 1]
    (of_one,) = hand_written(loop, alone, probes=2 * N).layers
    away = layer.jacobian.log_norms[: length + 1, 0, b] - of_one.jacobian.log_norms[:, 0, 0]
    assert np.abs(away).max() <= RELATIVE


def test_without_a_loss_the_lengths_of_the_batch_say_where_a_loop_is_read():
    torch.manual_seed(0)
    model, lengths = AtLengths(fused=False), [12, 5, 9]
    (layer,) = hand_written(model, {"x": torch.randn(12, 3, M), "lengths": torch.tensor(lengths)}).layers
    assert layer.gradient.lengths[0].tolist() == lengths
    assert np.isfinite(layer.gradient.log_norms[0]).all()


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
