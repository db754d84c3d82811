"""Faults of a model's code or biases, and what they ask for: padding that is read, cut states, units held by biases."""

import copy
import math

import numpy as np
import pytest
import torch
from tests.diagnosis.test_live import N, Reader, codes, found
from tests.diagnosis.test_task_need import B, Detached, T, net, of, severity, task
from torch import nn

from unitcircle.diagnosis import Severity, diagnose
from unitcircle.diagnosis._remedies import name_of, remedies
from unitcircle.diagnosis._remedy import carried_best
from unitcircle.torch import initialize_

EPS = np.finfo(float).eps
SHORT, PADDING = 12, 20


def padded(kind, *, value=0.0, counts=PADDING, steps=SHORT):
    """A batch with constant steps after each sequence, as many for all, or as given."""
    x, y = task(kind, steps=steps)
    x = torch.cat([x, torch.full((B, PADDING, 2), value)], 1)
    if not isinstance(counts, int):
        for b, count in enumerate(counts):  # longer sequences have less of it
            x[b, steps : steps + PADDING - count] = torch.randn(PADDING - count, 2)
    return x, y


def judged(model, batch):
    return diagnose(model, batch, loss=nn.functional.mse_loss)


def log_norms(model, x, y):
    """log ‖∂L/∂h_t‖ of every sequence ``(T + 1, B)`` by lag, by autograd over a loop."""
    x, y, model = x.double(), y.double(), model.double()
    W, U = model.rnn.weight_hh_l0, model.rnn.weight_ih_l0
    b = model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0
    states = [torch.zeros(B, N, dtype=torch.double, requires_grad=True)]
    for t in range(x.shape[1]):
        states.append(torch.tanh(x[:, t] @ U.T + b + states[-1] @ W.T))
    loss = nn.functional.mse_loss(model.readout(states[-1]), y)
    gradients = torch.autograd.grad(loss, states)
    model.float()
    return np.log([g.norm(dim=-1).numpy() for g in gradients[::-1]])


@pytest.mark.parametrize("value", [0.0, -3.5])
@pytest.mark.parametrize("counts", [PADDING, [PADDING - b % 4 for b in range(B)]])
def test_padding_is_counted_and_its_loss_is_that_of_autograd(value, counts):
    torch.manual_seed(3)
    model, (x, y) = net("tanh"), padded("recent", value=value, counts=counts)
    finding = found(judged(model, (x, y)), "UC210")
    each = np.broadcast_to(counts, B)
    curves = log_norms(model, x, y)
    expected = np.mean(curves[each, range(B)] - curves[0])
    assert finding.evidence["padding"] == int(np.median(each))
    # Sums over n units, T steps back.
    assert finding.evidence["change"] == pytest.approx(expected, rel=1e3 * N * (SHORT + PADDING) * EPS)
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def test_what_is_near_the_end_of_the_data_needs_no_memory_over_padding(cell):
    diagnosis = judged(net(cell), padded("recent"))
    assert severity(diagnosis, "UC210") is Severity.WARNING
    assert severity(diagnosis, "UC201") is Severity.NOTE
    assert {finding.code for finding in diagnosis.findings if finding.severity > Severity.NOTE} == {"UC210"}
    assert diagnosis.remedy is None
    assert "pack the batch" in found(diagnosis, "UC210").remedy


def test_what_is_far_needs_the_length_of_the_data_and_no_more():
    diagnosis = judged(net("gru"), padded("first", steps=40))
    assert found(diagnosis, "UC210").action == {"bias": "chrono(max_steps=40)"}
    assert "1/1000 after" in found(diagnosis, "UC210").remedy
    assert diagnosis.remedy.text.startswith("after mending what UC210 says in the model's code: ")


def test_padding_that_forgets_nothing_is_a_note():
    model = net("tanh")
    initialize_(model, recurrent="orthogonal", bias="zeros", rng=0)
    model.rnn.weight_ih_l0.data.mul_(1e-3)
    assert severity(judged(model, padded("recent")), "UC210") is Severity.NOTE


class Last(Reader):
    """Reads the state at the end of the data, by an index or of a packed batch."""

    packed = False

    def forward(self, x):
        if not self.packed:
            return self.readout(self.rnn(x)[0][:, SHORT - 1])
        lengths = torch.full((len(x),), SHORT)
        return self.readout(self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[1][0])


@pytest.mark.parametrize("packed", [True, False])
def test_padding_that_is_not_read_is_no_finding(packed):
    torch.manual_seed(0)
    model = Last(nn.RNN(2, N, batch_first=True), N, classes=1)
    model.packed = packed
    assert "UC210" not in codes(judged(model, padded("recent")))


def test_inputs_that_differ_between_sequences_or_never_change_are_no_padding():
    x, y = padded("recent")
    x[:, SHORT:] = torch.randn(B, 1, 2)  # of each sequence the mean of its inputs, say
    assert "UC210" not in codes(judged(net("tanh"), (x, y)))
    assert "UC210" not in codes(judged(net("tanh"), (torch.zeros_like(x), y)))
    words = torch.eye(2)[torch.randint(2, (B, 30), generator=torch.Generator().manual_seed(0))]  # end alike by chance
    assert "UC210" not in codes(judged(net("tanh"), (words, y)))


@pytest.mark.parametrize("cell", [nn.GRU, nn.RNN])
def test_a_cut_over_weights_that_forget_asks_for_both(cell):
    torch.manual_seed(0)
    model = Detached(cell(2, N, batch_first=True), N, classes=1)
    finding = found(of(model, "first"), "UC209")
    expected = {"bias": "chrono(max_steps=40)"} if cell is nn.GRU else {"recurrent": "block_rotation"}
    assert finding.action == expected
    assert "then unitcircle.torch.initialize_(" in finding.remedy
    if cell is nn.GRU:
        initialize_(model, **expected, rng=0)
        assert not found(of(model, "first"), "UC209").action  # what is left is the cut


def dead(bias=-3.0, kind="relu"):
    model = net(kind)
    model.rnn.bias_ih_l0.data.fill_(bias)
    return model


@pytest.mark.parametrize(("bias", "kind"), [(-9.0, "relu"), (400.0, "tanh")])
def test_units_that_biases_hold_are_freed(bias, kind):
    model = dead(bias, kind)
    drive = task("recent")[0] @ model.rnn.weight_ih_l0.detach().T
    std = drive.flatten(0, 1).std(0, correction=0).square().mean().sqrt()
    expected = {"bias": "zeros" if kind == "tanh" else f"constant(value={std:.2g})"}
    diagnosis = of(model, "recent")
    finding = found(diagnosis, "UC207")
    assert finding.action == expected
    assert finding.evidence["revived"] == len(finding.evidence["dead"]) == N
    live = diagnosis.layers[0]
    assert remedies(live.layer, 40, live.live)[0] == expected
    diagnosis.apply_(model, trained=True, rng=0)
    after = of(model, "recent")
    assert after.worst is not Severity.WARNING
    assert not after.layers[0].live.dead
    if kind == "relu":
        assert found(diagnosis, "UC204").action == expected


def test_biases_alone_are_a_candidate_by_name():
    model, data = net("relu"), task("recent", steps=8)
    tried = diagnose(model, data, try_initializers=["identity + bias=constant(value=0.2)", "bias=zeros"])
    actions = {trial.name: dict(trial.action) for trial in tried.examination.trials.ranking if trial.action}
    assert actions["bias=zeros"] == {"bias": "zeros"}
    assert {name_of(action) for action in actions.values()} == set(actions)


def test_freed_units_that_must_remember_are_initialized_besides():
    model = dead(-9.0)
    diagnosis = of(model, "first")
    assert "recurrent='identity', bias='constant(" in diagnosis.remedy.text
    diagnosis.apply_(model, trained=True, rng=0)
    assert torch.equal(model.rnn.weight_hh_l0, torch.eye(N))
    assert of(model, "first").worst is Severity.NOTE


def test_units_that_inputs_hold_are_not_freed_by_biases():
    model = net("relu")
    model.rnn.weight_ih_l0.data.copy_(-model.rnn.weight_ih_l0.abs())
    model.rnn.bias_ih_l0.data.fill_(-3.0)
    model.rnn.bias_hh_l0.data.zero_()
    x, y = task("recent")
    finding = found(judged(model, (x.abs(), y)), "UC207")
    assert finding.evidence["revived"] == 0
    assert not finding.action


def test_a_stack_that_was_meant_orthogonal_is_made_so_beside_what_the_task_needs():
    model = net("lstm")
    nn.init.orthogonal_(model.rnn.weight_hh_l0)
    finding = found(of(model, "first"), "UC101")
    assert finding.action == {"recurrent": "orthogonal", "bias": "chrono(max_steps=40)"}


def carried(model, x, lag, v):
    """Half the log of the mean square of ‖mean_b J_bᵀv‖/‖v‖, by autograd over a loop."""
    r, x = copy.deepcopy(model).double().rnn, x.double()
    h = torch.zeros(B, N, dtype=torch.double, requires_grad=True)
    states = [h]
    for t in range(x.shape[1]):
        a = x[:, t] @ r.weight_ih_l0.T + r.bias_ih_l0 + r.bias_hh_l0 + states[-1] @ r.weight_hh_l0.T
        states.append(torch.relu(a))
    rows = [torch.autograd.grad((states[-1] @ w).sum(), states[-1 - lag], retain_graph=True)[0].mean(0) for w in v]
    return 0.5 * float(torch.log(torch.stack(rows).square().sum() / v.square().sum()))


@pytest.mark.parametrize("seed", [1, 3])
def test_a_mean_gradient_that_grows_or_cancels_is_not_carried(seed):
    model = net("relu", seed=seed)
    nn.init.normal_(model.rnn.weight_hh_l0, std=1.5 / math.sqrt(N))
    diagnosis = of(model, "first")
    finding = found(diagnosis, "UC211")
    assert finding.severity is Severity.WARNING
    assert T - 8 <= finding.evidence["lag"] < T
    assert finding.evidence["after"] + math.log(3) <= abs(finding.evidence["change"])
    assert finding.action == {"recurrent": "identity"}
    v = torch.from_numpy(np.random.default_rng(0).standard_normal((8, N)))
    x, lag = task("first")[0], finding.evidence["lag"]
    # Products of T Jacobians, each a sum over n units.
    accuracy = 1e3 * T * N * EPS
    assert finding.evidence["change"] == pytest.approx(carried(model, x, lag, v), abs=accuracy)
    diagnosis.apply_(model, trained=True, rng=0)
    assert finding.evidence["after"] == pytest.approx(abs(carried(model, x, lag, v)), abs=accuracy)
    assert "UC211" not in codes(of(model, "first"))


@pytest.mark.parametrize(("kind", "steps"), [("recent", T), ("vote", T), ("first", 10)])
def test_steps_that_are_near_or_tell_little_need_not_be_carried(kind, steps):
    model = net("relu")
    nn.init.normal_(model.rnn.weight_hh_l0, std=1.5 / math.sqrt(N))
    assert "UC211" not in codes(of(model, kind, steps=steps))


@pytest.mark.parametrize(("steps", "warned"), [(12, False), (20, True)])
def test_a_mean_gradient_of_which_a_tenth_arrives_is_carried(steps, warned):
    model = net("tanh", seed=2)
    nn.init.orthogonal_(model.rnn.weight_hh_l0)
    diagnosis = of(model, "first", steps=steps)
    (layer,) = diagnosis.layers
    change = layer.live.carrying(layer.layer)
    best = carried_best(layer, steps)
    assert change < -math.log(3) - best[1]
    assert (change < -math.log(10)) is warned
    assert ("UC211" in codes(diagnosis)) is warned


class Silent(Reader):
    """Its loss depends on no state, or is NaN."""

    def forward(self, x):
        out = super().forward(x)
        return out * math.nan if self.broken else out.detach() + self.readout.bias

    broken = False


@pytest.mark.parametrize(
    ("broken", "words"), [(False, "no gradient of the loss reaches its states"), (True, "is infinite or NaN")]
)
def test_an_answer_that_cannot_be_told_says_why(broken, words):
    torch.manual_seed(0)
    model = Silent(nn.RNN(2, N, batch_first=True), N, classes=1)
    model.broken = broken
    answer = judged(model, task("recent")).answer
    assert answer.verdict == "unknown"
    assert "cannot tell: rnn: " in answer.sentence
    assert words in answer.sentence
