"""What a batch shows of its task, the severities that follow, and the one list of remedies."""

import math

import numpy as np
import pytest
import torch
from tests.architectures.architecture import M
from tests.architectures.gated import HandGRU
from tests.architectures.plain import Elman
from tests.diagnosis.test_live import N, Reader, codes, found
from torch import nn

from unitcircle.diagnosis import Severity, diagnose
from unitcircle.torch import initialize_

B, T = 32, 40
EPS = np.finfo(float).eps


def task(kind, *, count=B, steps=T, seed=0):
    x = torch.randn(count, steps, 2, generator=torch.Generator().manual_seed(seed))
    answers = {
        "recent": x[:, -5:, 0].mean(1),
        "first": x[:, 0, 0],
        "vote": x[:, :, 0].sign().mean(1),
        "product": x[:, -1, 0] * x[:, -2, 0],
        "early product": x[:, 0, 0] * x[:, 1, 1],
        "noise": torch.randn(count, generator=torch.Generator().manual_seed(seed + 1)),
    }
    return x, answers[kind][:, None]


def net(kind="tanh", seed=0, **options):
    torch.manual_seed(seed)
    cells = {"gru": nn.GRU, "lstm": nn.LSTM}
    options |= {} if kind in cells else {"nonlinearity": kind}
    return Reader(cells.get(kind, nn.RNN)(2, N, batch_first=True, **options), N, classes=1)


def of(model, kind, **options):
    return diagnose(model, task(kind, **options), loss=nn.functional.mse_loss)


def severity(diagnosis, code):
    return found(diagnosis, code).severity


def foretold(values, size, errors):
    """The best share that ridge regressions foretell, each sequence from a regression on the others."""
    values, count = values / size, len(errors)
    others = ~np.eye(count, dtype=bool)
    constant = sum(((errors[b] - errors[others[b]].mean(0)) ** 2).sum() for b in range(count))
    best = constant
    for ridge in count * np.logspace(-3, 1, 17) ** 2:
        lost = 0.0
        for b in range(count):
            x = np.concatenate([values[others[b]], np.ones((count - 1, 1))], 1)
            penalty = np.diag([ridge] * values.shape[1] + [0.0])
            weights = np.linalg.solve(x.T @ x + penalty, x.T @ errors[others[b]])
            lost += ((errors[b] - np.append(values[b], 1.0) @ weights) ** 2).sum()
        best = min(best, lost)
    return 1 - best / constant


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("recent", "tanh"), ("first", "tanh"), ("vote", "gru"), ("noise", "gru"), ("early product", "tanh")],
)
def test_what_is_foretold_is_that_of_regressions_on_the_other_sequences(kind, cell):
    T = 14
    model, (x, y) = net(cell), task(kind, steps=T)
    (layer,) = of(model, kind, steps=T).layers
    with torch.no_grad():
        h = model.double().rnn(x.double())[0].numpy()
    model.float()
    inputs, live = x.double().numpy(), layer.live
    near = inputs[:, T - live.reach :].reshape(B, -1)
    size = math.sqrt(float((inputs**2).mean()))
    # The gradient by a constant output is the target, up to a constant and a factor.
    errors = y.double().numpy()
    # Windows of 1, 2, 4 and 8 steps, by the lag of their ends.
    windows = [(s, w) for w in (1, 2, 4, 8) for s in range(0, T - w + 1, max(w // 2, 1))]

    def share(s, w):
        values = inputs[:, T - s - w : T - s].reshape(B, -1) / size
        products = np.stack([values[:, i] * values[:, j] for i in range(2 * w) for j in range(i, 2 * w)], 1)
        both = [values, np.concatenate([values, products], 1)][: 1 + (w <= 2)]
        return max(foretold(one, 1.0, errors) for one in both)

    shares = {(s, w): share(s, w) for s, w in windows}
    of_state, of_inputs = foretold(h[:, -1], math.sqrt(float((h**2).mean())), errors), foretold(near, size, errors)
    expected = max(of_state, of_inputs, *(share for (s, w), share in shares.items() if s + w <= live.reach))
    beyond = [share for (s, w), share in shares.items() if s + w > live.reach]
    # The weakest ridge, 1e-6, bounds the condition of the normal equations of the twin.
    tolerance = 1e6 * B * T * EPS
    assert live.readable == pytest.approx(expected, abs=tolerance)
    assert live.far == pytest.approx(max(beyond, default=0.0), abs=tolerance)


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_a_short_range_task_gets_notes_and_no_remedy(cell):
    diagnosis = of(net(cell), "recent")
    assert severity(diagnosis, "UC201") is Severity.NOTE
    assert "needs" not in found(diagnosis, "UC201").remedy
    assert "what is near tells enough" in found(diagnosis, "UC201").remedy
    assert diagnosis.worst is Severity.NOTE
    assert diagnosis.remedy is None


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_a_task_of_its_first_step_is_warned_of_also_below_a_hundred_steps(cell):
    diagnosis = of(net(cell), "first")
    finding = found(diagnosis, "UC201")
    assert finding.severity is Severity.WARNING
    assert finding.evidence["near"] < 0.5 < finding.evidence["far"]
    assert "a few steps that reach beyond 100%" in finding.message
    assert finding.action
    if cell == "tanh":
        assert severity(diagnosis, "UC104") is Severity.WARNING
        assert found(diagnosis, "UC104").action == finding.action
    if cell == "lstm":
        assert severity(diagnosis, "UC110") is severity(diagnosis, "UC208") is Severity.WARNING


@pytest.mark.parametrize(("kind", "severity_of_it"), [("product", Severity.NOTE), ("early product", Severity.WARNING)])
def test_a_product_of_two_inputs_is_foretold_as_they_are(kind, severity_of_it):
    diagnosis = of(net("gru"), kind)
    assert severity(diagnosis, "UC201") is severity_of_it
    of_it = found(diagnosis, "UC201").evidence["near" if kind == "product" else "far"]
    assert of_it > 0.99


def test_where_every_step_counts_a_little_only_a_gated_cell_is_warned_of():
    assert severity(of(net("lstm"), "vote", steps=64), "UC201") is Severity.WARNING
    plain = of(net("tanh"), "vote", steps=64)
    assert severity(plain, "UC201") is severity(plain, "UC104") is Severity.NOTE
    assert not found(plain, "UC201").action


@pytest.mark.parametrize(("steps", "level"), [(48, Severity.NOTE), (68, Severity.WARNING)])
def test_where_every_step_counts_a_little_three_quarters_of_them_must_be_beyond_reach(steps, level):
    diagnosis = of(net("gru"), "vote", steps=steps, seed=3)
    (layer,) = diagnosis.layers
    assert max(layer.live.readable, layer.live.far) < 0.5
    assert (4 * layer.live.reach <= steps) is (level is Severity.WARNING)
    assert steps // 2 > layer.live.reach
    assert severity(diagnosis, "UC201") is level
    assert max(one.severity for one in diagnosis.findings) is level


def test_sequences_that_end_alike_need_what_is_beyond():
    model, (x, y) = net("tanh"), task("vote")
    x[:, -30:] = torch.randn(30, 2, generator=torch.Generator().manual_seed(2))  # no padding: it changes with time
    diagnosis = diagnose(model, (x, y), loss=nn.functional.mse_loss)
    assert found(diagnosis, "UC201").evidence["far"] == 1.0
    assert severity(diagnosis, "UC201") is Severity.WARNING


def test_too_few_sequences_or_no_target_show_nothing():
    for diagnosis in (of(net("gru"), "recent", count=31), diagnose(net("gru"), task("recent")[0])):
        (layer,) = diagnosis.layers
        assert math.isnan(layer.live.readable)
        assert math.isnan(layer.live.far)
        assert severity(diagnosis, "UC201") is Severity.NOTE
        assert found(diagnosis, "UC201").action == {"bias": f"chrono(max_steps={T})"}


def test_a_hand_written_gate_is_judged_as_that_of_a_torch_layer():
    x = torch.randn(100, 1, M, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    fused, loop, longer, plain = (
        diagnose(model, batch)
        for model, batch in ((nn.GRU(M, N), x[:T]), (HandGRU(), x[:T]), (HandGRU(), x), (Elman(), x[:T]))
    )
    assert severity(fused, "UC201") is severity(loop, "UC201") is Severity.NOTE
    assert severity(longer, "UC201") is severity(plain, "UC201") is Severity.WARNING
    assert "through gates" in " ".join(loop.coverage.notes)


def test_both_directions_of_a_layer_are_read():
    model = net("lstm", bidirectional=True)
    model.readout = nn.Linear(2 * N, 1)
    model.forward = lambda x: model.readout(torch.cat([(h := model.rnn(x)[0])[:, -1, :N], h[:, 0, N:]], 1))
    assert severity(of(model, "first"), "UC201") is Severity.NOTE  # the backward direction ends there
    assert severity(of(model, "vote", steps=64), "UC201") is Severity.WARNING


class Detached(Reader):
    """A reader that cuts its state 8 steps before the end."""

    def forward(self, x):
        _, state = self.rnn(x[:, :-8])
        return self.readout(self.rnn(x[:, -8:], state.detach())[0][:, -1])


def test_a_cut_is_a_warning_only_where_the_task_needs_what_is_beyond():
    torch.manual_seed(0)
    model = Detached(nn.GRU(2, N, batch_first=True), N, classes=1)
    assert severity(of(model, "recent"), "UC209") is Severity.NOTE
    assert not found(of(model, "recent"), "UC209").action
    diagnosis = of(model, "first")
    assert severity(diagnosis, "UC209") is Severity.WARNING
    assert severity(diagnosis, "UC208") is Severity.NOTE


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_the_remedies_that_are_tried_hold_that_of_every_finding(cell):
    model, data = net(cell), task("first")
    tried = diagnose(model, data, loss=nn.functional.mse_loss, try_initializers="remedies").examination.trials
    actions = [dict(trial.action) for trial in tried.ranking if trial.action]
    findings = [finding for finding in of(model, "first").findings if finding.action]
    assert findings
    assert all(dict(finding.action) in actions for finding in findings)


def test_what_was_tried_and_is_better_is_what_is_applied():
    model, data = net("lstm"), task("first")
    diagnosis = diagnose(model, data, loss=nn.functional.mse_loss, try_initializers=["remedies"])
    best = diagnosis.examination.trials.better[0]
    assert {tuple(f.action.items()) for f in diagnosis.findings if f.action} == {tuple(best.action.items())}
    assert diagnosis.remedy.text == best.call


@pytest.mark.parametrize(
    ("cell", "filled", "left"),
    [
        ("relu", {"recurrent": "identity"}, []),  # which is a rotation, too, and orthogonal
        ("tanh", {"recurrent": "orthogonal"}, ["block_rotation"]),
        ("gru", {"bias": "chrono(max_steps=40)"}, ["orthogonal + chrono(max_steps=40)"]),
    ],
)
def test_a_remedy_differs_from_the_model_as_it_is(cell, filled, left):
    model, data = net(cell), task("first")
    initialize_(model, **filled, rng=0)
    tried = diagnose(model, data, loss=nn.functional.mse_loss, try_initializers="remedies").examination.trials
    names = [trial.name for trial in tried.ranking if trial.action]
    # The critical weight of a batch has a name of its own, and a radius above 1.
    assert [name for name in names if not name.startswith("critical")] == left


def test_rounding_is_not_mentioned_before_it_shows():
    torch.manual_seed(0)
    model = net("tanh")
    nn.init.normal_(model.rnn.weight_hh_l0, std=2.0 / math.sqrt(N))
    model.rnn.weight_ih_l0.data.mul_(0.05)
    diagnosis = diagnose(model, task("recent", steps=60)[0])
    assert "UC206" in codes(diagnosis)
    finding = found(diagnosis, "UC206")
    assert finding.severity is Severity.NOTE
    assert "rounding" not in finding.message + finding.why
