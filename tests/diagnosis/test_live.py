"""A live model on a batch: what is measured, and that nothing is changed."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.diagnosis import Severity, diagnose
from unitcircle.errors import ArgumentError, UnknownNameError

T, B, N = 24, 16, 12
EPS = np.finfo(float).eps


class Reader(nn.Module):
    """A recurrent layer read at its last step by a linear layer."""

    def __init__(self, layer, n=N, classes=3):
        super().__init__()
        self.rnn = layer
        self.readout = nn.Linear(n, classes)

    def forward(self, x):
        return self.readout(self.rnn(x)[0][:, -1])


def reader(kind=nn.RNN, n=N, inputs=2, **options):
    torch.manual_seed(0)
    return Reader(kind(inputs, n, batch_first=True, **options), n * (1 + options.get("bidirectional", False)))


def batch(steps=T, inputs=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(B, steps, inputs, generator=generator)
    return x, torch.randint(0, 3, (B,), generator=generator)


@torch.no_grad()
def scaled(model, gain):
    """The model with its recurrent weight replaced by a scaled rotation of all coordinates."""
    nn.init.orthogonal_(model.rnn.weight_hh_l0, gain, generator=torch.Generator().manual_seed(2))
    return model


def codes(diagnosis, prefix="UC2"):
    return [finding.code for finding in diagnosis.findings if finding.code.startswith(prefix)]


def found(diagnosis, code):
    return next(finding for finding in diagnosis.findings if finding.code == code)


def test_the_gradient_is_that_of_autograd():
    model, (x, y) = reader(), batch()
    twin = copy.deepcopy(model).double()
    W, U = twin.rnn.weight_hh_l0, twin.rnn.weight_ih_l0
    b = twin.rnn.bias_ih_l0 + twin.rnn.bias_hh_l0
    states = [torch.zeros(B, N, dtype=torch.float64, requires_grad=True)]
    for step in x.double().unbind(1):
        states.append(torch.tanh(step @ U.T + states[-1] @ W.T + b))
    loss = nn.functional.cross_entropy(twin.readout(states[-1]), y)
    expected = [g.norm(dim=-1).log().mean().item() for g in torch.autograd.grad(loss, states)][::-1]
    (layer,) = diagnose(model, (x, y)).layers
    np.testing.assert_allclose(layer.live.log_gradient, expected, atol=64 * T * EPS)
    h = torch.stack(states[1:]).detach()
    np.testing.assert_allclose(layer.live.distance, (h.norm(dim=-1) / math.sqrt(N)).mean(1), rtol=64 * N * EPS)
    variances = np.linalg.eigvalsh(np.cov(h[-1].numpy().T))
    dimension = variances.sum() ** 2 / (variances**2).sum()
    assert layer.live.dimension == pytest.approx(dimension, rel=256 * N * EPS)


def test_the_loss_is_the_one_given():
    model, data = reader(), batch()
    (default,) = diagnose(model, data).layers
    (tenfold,) = diagnose(model, data, loss=lambda output, y: 10 * nn.functional.cross_entropy(output, y)).layers
    shift = np.log(10) + 0 * default.live.log_gradient
    np.testing.assert_allclose(tenfold.live.log_gradient - default.live.log_gradient, shift, rtol=0, atol=64 * T * EPS)


def test_the_typical_direction_is_the_median_singular_value_of_the_product():
    model, (x, y) = scaled(reader(), 0.9), batch(steps=6)
    (layer,) = diagnose(model, (x[:1], y[:1])).layers
    W = model.rnn.weight_hh_l0.detach().double().numpy()
    h = model.double().rnn(x[:1].double())[0][0].detach().numpy()
    product = np.eye(N)
    for state in h:
        product = np.diag(1 - state**2) @ W @ product
    assert layer.live.typical == pytest.approx(np.median(np.log(np.linalg.svd(product)[1])), abs=1024 * N * EPS)


def test_zero_weights_leave_the_gate_alone():
    model = reader(nn.LSTM)
    for name, tensor in model.rnn.named_parameters():
        tensor.data.fill_(1.0 if name == "bias_ih_l0" else 0.0)
    (layer,) = diagnose(model, batch()).layers
    live = layer.live
    expected = -math.log1p(math.exp(-1.0))
    assert live.gates["f"].openness == pytest.approx(math.exp(expected), rel=8 * EPS)
    assert live.gates["f"].log_openness == pytest.approx(expected, rel=8 * EPS)
    assert live.gates["f"].slowest == pytest.approx(expected, rel=8 * EPS)
    # h_T depends on c alone, of which a step keeps σ(1); o' tanh c = 0 leaves h out.
    assert live.exponent == pytest.approx(expected, rel=T * 64 * EPS)
    assert set(live.gates) == {"i", "f", "o"}


def test_the_gates_of_a_gru_are_those_of_its_reference_step():
    model, (x, y) = reader(nn.GRU), batch()
    (layer,) = diagnose(model, (x, y)).layers
    states = model.rnn(x)[0].detach()
    before = torch.cat([torch.zeros(B, 1, N), states[:, :-1]], 1)
    blocks = (model.rnn.weight_ih_l0 @ x.mT + model.rnn.bias_ih_l0[:, None]).detach()
    blocks += (model.rnn.weight_hh_l0 @ before.mT + model.rnn.bias_hh_l0[:, None]).detach()
    r, z, _ = torch.sigmoid(blocks).chunk(3, 1)
    eps = float(np.finfo(np.float32).eps)
    assert layer.live.gates["r"].openness == pytest.approx(r.mean().item(), rel=8 * N * eps)
    assert layer.live.gates["z"].openness == pytest.approx(z.mean().item(), rel=8 * N * eps)


def test_the_model_the_batch_and_the_random_state_are_left_as_found():
    torch.manual_seed(5)
    model = Reader(nn.LSTM(2, N, num_layers=2, dropout=0.5, batch_first=True))
    model.readout.eval()
    x, y = batch()
    before, inputs = copy.deepcopy(model.state_dict()), x.clone()
    state, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    hooks = [len(module._forward_pre_hooks) for module in model.modules()]
    diagnose(model, (x, y), try_initializers=["orthogonal"])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_pre_hooks) for module in model.modules()] == hooks
    assert torch.equal(x, inputs)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_the_same_seed_gives_the_same_diagnosis():
    model, data = reader(nn.GRU), batch()
    first, second = (diagnose(model, data, try_initializers=["orthogonal"], rng=3).to_json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (nn.RNN(2, N, num_layers=2, batch_first=True), ["rnn", "rnn l1"]),
        (nn.GRU(2, N, bidirectional=True, batch_first=True), ["rnn", "rnn l0 reverse"]),
        (nn.LSTM(2, N, proj_size=5, batch_first=True), ["rnn"]),
    ],
)
def test_every_layer_and_direction_is_measured(layer, names):
    size = layer.proj_size or N * (1 + layer.bidirectional)
    diagnosis = diagnose(Reader(layer, size), batch())
    assert [exam.layer.label for exam in diagnosis.layers] == names
    for exam in diagnosis.layers:
        assert exam.live.steps == T
        assert np.isfinite(exam.live.exponent)
        assert exam.live.units == (5 if exam.layer.projection is not None else N)


class Loop(nn.Module):
    """A cell called step by step, with an initial state of its own."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.spare = nn.GRU(2, 4)

    def forward(self, x):
        h = torch.full((len(x), N), 0.1, dtype=x.dtype)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return h


def test_cells_are_measured_and_layers_that_are_not_called_are_named():
    torch.manual_seed(0)
    diagnosis = diagnose(Loop(nn.GRUCell(2, N)), batch()[0])
    called, spare = diagnosis.layers
    assert called.layer.label == "cell"
    assert called.live.steps == T
    assert spare.live is None
    assert "spare is not called" in str(diagnosis)


class HandWritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.x2h, self.h2h = nn.Linear(2, N), nn.Linear(N, N)

    def forward(self, x):
        h = x.new_zeros(len(x), N)
        for step in x.unbind(1):
            h = torch.tanh(self.x2h(step) + self.h2h(h))
        return h


def test_a_hand_written_recurrence_is_named():
    torch.manual_seed(0)
    model, x = HandWritten(), batch()[0]
    alone = diagnose(model, x)
    assert [(layer.layer.name, layer.layer.cell, layer.layer.hidden_size) for layer in alone.layers] == [
        ("h2h", "hand-written", N)
    ]
    assert "found in the autograd graph" in str(alone.coverage)
    assert "UC201" in codes(alone)
    with pytest.raises(UnknownNameError, match="h2h"):
        diagnose(model, x, at=["h2o"])
    with pytest.raises(ArgumentError, match=r"at must name what acts on the state of a loop.*got 'x2h'.*: h2h"):
        diagnose(model, x, at=["x2h"])
    diagnosis = diagnose(model, x, at=["h2h"], try_initializers=["orthogonal"])
    assert "UC201" in codes(diagnosis)
    assert diagnosis.layers[0].live.distance is None
    assert "linear=['h2h']" in found(diagnosis, "UC201").remedy
    curves = [one.layers[0].live.log_gradient for one in (alone, diagnosis, diagnose(model, x, at=[model.h2h.weight]))]
    assert np.array_equal(curves[0], curves[1])
    assert np.array_equal(curves[0], curves[2])


def test_without_a_batch_the_weights_are_linted_as_those_of_a_file(tmp_path):
    model = reader(nn.LSTM, bidirectional=True, num_layers=2)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    live, file = diagnose(model, steps=T), diagnose(tmp_path / "model.pt", steps=T)
    assert live.findings
    rows = [[(f.code, f.place, f.message) for f in diagnosis.findings] for diagnosis in (live, file)]
    assert rows[0] == rows[1]
    names = [{entry.name: entry.shape for entry in diagnosis.coverage.analysed} for diagnosis in (live, file)]
    assert names[0] == names[1]
    assert "the model was not run" in str(live)


def test_without_a_batch_nothing_is_silent():
    bare = diagnose(nn.Sequential(nn.Linear(2, 2)))
    assert not bare.layers
    assert "Sequential holds no nn.RNN, GRU, LSTM or Cell" in str(bare)
    by_name = diagnose(HandWritten())
    assert [layer.layer.name for layer in by_name.layers] == ["h2h"]
    assert "taken as tanh" in str(by_name.coverage)
    named = diagnose(HandWritten(), at=["h2h"])
    assert [layer.layer.name for layer in named.layers] == ["h2h"]
    assert "plain tanh layers" in str(named.coverage)
    with pytest.raises(ArgumentError, match="at must name modules with a square weight; got 'x2h'"):
        diagnose(HandWritten(), at=["x2h"])
    with pytest.raises(UnknownNameError, match=r"at must be one of h2h, h2h\.bias, h2h\.weight, x2h"):
        diagnose(HandWritten(), at=["h2o"])


def test_without_a_batch_what_at_is_suggested_for_is_read_so():
    model = nn.ModuleDict({"recurrent_layer": nn.Linear(N, N), "drive": nn.Linear(3, N)})
    suggested = diagnose(model, steps=10)
    assert not suggested.layers
    (note,) = [note for note in suggested.coverage.notes if "pass at=" in note]
    assert note.endswith("if they are, pass at=['recurrent_layer']")
    followed = diagnose(model, steps=10, at=["recurrent_layer"])
    assert [layer.layer.label for layer in followed.layers] == ["recurrent_layer"]
    assert not any("pass at=" in note for note in followed.coverage.notes)


@pytest.mark.parametrize("inside", [False, True])
def test_without_a_batch_no_two_layers_have_one_name(inside):
    rnn = nn.GRU(3, N)
    rnn.x2h, rnn.h2h = nn.Linear(3, N), nn.Linear(N, N)
    model = nn.ModuleDict({"rnn": rnn}) if inside else rnn
    place = "rnn." if inside else ""
    for subject in (model, model.state_dict()):
        diagnosis = diagnose(subject, steps=10)
        assert [str(layer.layer.cell) for layer in diagnosis.layers] == ["gru", "rnn_tanh"]
        assert diagnosis.layers[1].layer.label == f"{place}h2h"
        names = {entry.reason for entry in diagnosis.coverage.analysed if entry.name.startswith(f"{place}x2h")}
        assert names == {f"{place}h2h"}


def test_without_a_batch_parametrized_weights_are_the_ones_that_act():
    stacked = torch.nn.utils.parametrizations.orthogonal(nn.LSTM(2, N), "weight_hh_l0")
    assert "UC101" in codes(diagnose(stacked), "UC1")
    diagnosis = diagnose(uc.torch.parametrize_orthogonal(nn.LSTM(2, N)))
    assert "UC101" not in codes(diagnosis, "UC1")
    assert diagnosis.coverage.other == 0


@pytest.mark.parametrize(
    "options", [{"loss": nn.functional.mse_loss}, {"try_initializers": ["orthogonal"]}, {"seeds": 7}]
)
def test_without_a_batch_what_needs_one_is_refused(options):
    with pytest.raises(ArgumentError, match="batch must be given for loss, try_initializers, seeds and weights"):
        diagnose(reader(), **options)


def test_data_drives_a_module_that_is_not_run():
    data = np.random.default_rng(0).standard_normal((T, B, 2))
    model = reader(nn.GRU)
    assert diagnose(model, steps=T, data=data).layers[0].driven is not None
    with pytest.raises(ArgumentError, match="data must not be given beside a batch"):
        diagnose(model, batch(), data=data)


def test_a_module_called_twice_is_measured_once_and_said_so():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(2, N)

        def forward(self, x):
            _, h = self.rnn(x, torch.zeros(1, B, N, dtype=x.dtype))
            return self.rnn(x, h)[0]

    torch.manual_seed(0)
    diagnosis = diagnose(Twice(), batch()[0].transpose(0, 1))
    assert len(diagnosis.layers) == 1
    assert "called 2 times" in str(diagnosis)


def test_an_lstm_with_an_initial_state_of_its_own():
    class Started(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(2, N)

        def forward(self, x):
            start = torch.full((1, x.shape[1], N), 0.5, dtype=x.dtype)
            return self.rnn(x, (start, 2 * start))[0][-1]

    torch.manual_seed(0)
    x = batch()[0].transpose(0, 1)
    (layer,) = diagnose(Started(), x).layers
    assert layer.live.sequences == B
    start = torch.full((1, B, N), 0.5)
    torch.manual_seed(0)
    h = nn.LSTM(2, N)(x, (start, 2 * start))[0].detach()
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(layer.live.distance, (h.norm(dim=-1) / math.sqrt(N)).mean(1), rtol=T * N * eps)


def test_weights_that_are_not_finite_are_diagnosed_without_running():
    model = reader()
    model.rnn.weight_hh_l0.data[0, 0] = math.nan
    diagnosis = diagnose(model, batch())
    assert diagnosis.worst is Severity.ERROR
    assert "nothing was run" in str(diagnosis)
    model.readout.weight.data.fill_(math.inf)
    assert "nor are 1 others" in str(diagnose(model, batch()))


def test_states_that_overflow_are_an_explosion_not_an_exception():
    model = scaled(reader(nonlinearity="relu"), 1.0)
    with torch.no_grad():
        model.rnn.weight_hh_l0.abs_().mul_(1e30)
    diagnosis = diagnose(model, {"x": batch()[0]}, select=["UC202"])
    (finding,) = diagnosis.findings
    assert finding.severity is Severity.ERROR
    assert diagnosis.layers[0].live.distance is None


def test_a_model_that_makes_tensors_of_its_own_precision():
    class Single(Reader):
        def forward(self, x):
            return super().forward(x + torch.zeros(1, dtype=torch.float32) if x.dtype == torch.float32 else self.bad(x))

        def bad(self, x):
            return torch.zeros(1, 2, dtype=torch.float32) @ x[0].T

    torch.manual_seed(0)
    diagnosis = diagnose(Single(nn.RNN(2, N, batch_first=True)), batch())
    assert "precision" in str(diagnosis)
    with pytest.raises(ArgumentError, match="scalar"):
        diagnose(reader(), batch(), loss=lambda output, _: output)


def test_the_arguments_must_go_with_the_kind_of_model():
    with pytest.raises(ArgumentError, match="Module"):
        diagnose([], batch())
    with pytest.raises(ArgumentError, match="longer sequences"):
        diagnose(reader(), batch(), steps=T + 1)


def test_json_html_and_text_hold_the_measurements(tmp_path):
    diagnosis = diagnose(reader(nn.GRU), batch(), try_initializers=["chrono(max_steps=24)"])
    report = json.loads(diagnosis.to_json(), parse_constant=pytest.fail)
    assert report["format"] == "live"
    assert len(report["layers"][0]["live"]["log_gradient"]) == T + 1
    assert {trial["name"] for trial in report["trials"]["ranking"]} == {"as it is", "chrono(max_steps=24)"}
    text = str(diagnosis)
    assert max(map(len, text.splitlines())) <= 80
    assert "chrono(max_steps=24)" in text
    page = diagnosis.to_html(tmp_path / "live.html").read_text(encoding="utf-8")
    assert "Initializers tried" in page
    assert "batch of 16 sequences" in page
    assert uc.diagnose is diagnose


def test_the_measurements_of_a_layer_survive_pickling():
    (layer,) = diagnose(reader(nn.LSTM), batch()).layers
    assert pickle.loads(pickle.dumps(layer.live)).typical == layer.live.typical
