"""A model, its batch and the random state are left as found by every measurement; how it was run is said."""

import collections
import copy
import functools
import random
import warnings

import numpy as np
import pytest
import torch
from tests.dynamics.test_trajectories import Chunked, Loop, M, Masked, N, Reads, Siamese, inputs, padded, seeded, target
from torch import nn

from unitcircle.diagnosis import diagnose
from unitcircle.dynamics import calibrate_, depth_flow, driven_layers, gradient_flow, hand_written
from unitcircle.monitor import Monitor

ACCURACY = 1e-10


class Stateful(nn.Module):
    """Everything that a module may keep from one call to the next."""

    def __init__(self, link=lambda s: s.detach()):
        super().__init__()
        self.rnn, self.fc, self.drop = nn.LSTM(M, N, batch_first=True), nn.Linear(N, 2), nn.Dropout(0.3)
        self.state, self.calls, self.link = None, 0, link
        self.total, self.history = torch.zeros(3), collections.deque([torch.ones(2)], maxlen=4)
        self.cache = {"by step": [{}], "seen": set()}
        self.rng, self.generator = np.random.default_rng(0), torch.Generator().manual_seed(1)
        self.python, self.array = random.Random(3), np.zeros(2)
        self.register_buffer("scale", torch.ones(1))
        self.meter = Meter()

    def forward(self, x):
        y, state = self.rnn(x, self.state)
        self.state, self.calls = tuple(self.link(s) for s in state), self.calls + 1
        self.total.add_(1)
        self.array += 1
        self.history.append(y.detach())
        self.cache["by step"][0][self.calls] = y.detach()
        self.cache["seen"].add(self.calls)
        self.scale.mul_(2)
        self.meter.values.append(self.calls)
        self.meter.count += 1
        noise = self.rng.normal() + self.python.random() + random.random() + np.random.rand()  # noqa: NPY002
        noise = noise + torch.rand(1, generator=self.generator).item() + torch.rand(1).item()
        self.new = y
        return self.fc(self.drop(y[:, -1])) + 1e-3 * noise


class Meter:
    def __init__(self):
        self.values, self.count = [], 0


def warmed(model, batch):
    """A model that has run before, in training mode."""
    model(batch)
    return model


def weight_normalized(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the hook style is deprecated, and still in use
        model = Chunked(nn.LSTM, 24)
        (nn.utils.weight_norm if kind == "weight" else nn.utils.spectral_norm)(model.rnn, "weight_hh_l0")
    return model


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn, self.rnn = nn.BatchNorm1d(M), nn.RNN(M, N, batch_first=True)
        self.instance, self.fc = nn.InstanceNorm1d(N, track_running_stats=True), nn.Linear(N, 2)

    def forward(self, x):
        y = self.rnn(self.bn(x.transpose(1, 2)).transpose(1, 2))[0]
        return self.fc(self.instance(y.transpose(1, 2))[..., -1])


X = inputs().float()
EXAMPLES = {
    "state kept as an attribute": lambda: (warmed(Stateful(), X), (X, target())),
    "state kept with its graph": lambda: (warmed(Stateful(lambda s: s), X), (X, target())),
    "never run": lambda: (Stateful(), (X, target())),
    "chunks": lambda: (Chunked(nn.GRU, 7), (X, target())),
    "detached": lambda: (Chunked(nn.LSTM, 6, lambda s: tuple(part.detach() for part in s)), (X, target())),
    "loop": lambda: (Loop(nn.RNNCell(M, N)), X),
    "siamese": lambda: (Siamese(nn.GRUCell(M, N)), X),
    "masked": lambda: (Masked(nn.GRUCell(M, N)), {"x": X, "mask": torch.ones(4, 24, dtype=torch.bool)}),
    "packed": lambda: (Reads(nn.LSTM, packed=True, bidirectional=True), (padded() | {"x": X}, target())),
    "batch norm": lambda: (Normalized(), (X, target())),
    "batch norm, run before": lambda: (warmed(Normalized(), X), (X, target())),
    "weight norm, hooks": lambda: (weight_normalized("weight"), (X, target())),
    "spectral norm, hooks": lambda: (weight_normalized("spectral"), (X, target())),
    "parametrized": lambda: (nn.utils.parametrizations.orthogonal(nn.GRU(M, N, batch_first=True), "weight_hh_l0"), X),
    "stack": lambda: (nn.LSTM(M, N, num_layers=2, dropout=0.4, bidirectional=True, batch_first=True), X),
}


PLAIN = (int, float, str, bool)
STATES = {
    torch.Generator: lambda value: value.get_state().numpy().tobytes(),
    np.random.Generator: lambda value: repr(value.bit_generator.state),
    random.Random: random.Random.getstate,
    np.ndarray: np.ndarray.tobytes,
    Meter: lambda value: print_of(vars(value)),
}


def print_of(value, depth=5):
    """What an object is and holds, as plain values."""
    if isinstance(value, torch.Tensor):
        return (
            id(value),
            value.dtype,
            value.requires_grad,
            not value.is_leaf or value.grad is None,
            value.detach().numpy().tobytes(),
        )
    if type(value) in STATES:
        return STATES[type(value)](value)
    if isinstance(value, dict) and depth:
        return (id(value), [(key, print_of(item, depth - 1)) for key, item in value.items()])
    if isinstance(value, list | tuple | set | collections.deque) and depth:
        return (id(value), [print_of(item, depth - 1) for item in value])
    return value if isinstance(value, PLAIN) else id(value)


def snapshot(model, batch):
    flags = (torch.is_grad_enabled(), torch.is_autocast_enabled(), torch.get_default_dtype())
    legacy = repr(np.random.get_state())  # noqa: NPY002  (what a model may draw from)
    generators = (torch.get_rng_state().numpy().tobytes(), random.getstate(), legacy)
    modules = {name: [(key, print_of(value)) for key, value in vars(part).items()] for name, part in
               model.named_modules()}  # fmt: skip
    return {"flags": flags, "generators": generators, "batch": print_of(batch)} | modules


MEASUREMENTS = {
    "diagnose": diagnose,
    "gradient_flow": gradient_flow,
    "jacobian": lambda model, batch: gradient_flow(model, batch, norm="jacobian", dtype=None),
    "driven_layers": driven_layers,
    "depth_flow": lambda model, batch: (
        depth_flow(model, batch, layers=["fc"], dtype=None) if hasattr(model, "fc") else None
    ),
    "monitor": lambda model, batch: Monitor(model, sinks=[], batch=batch, every=1).step(),
}


@pytest.mark.filterwarnings("ignore:.*so no gradient of it is recorded")
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_model_is_left_as_found(name):
    model, batch = seeded(EXAMPLES[name])
    list(model.parameters())[-1].requires_grad_(False)
    for training in (True, False):
        model.train(training)
        for measurement in MEASUREMENTS.values():
            before = snapshot(model, batch)
            with torch.set_grad_enabled(training):
                measurement(model, batch)
            after = snapshot(model, batch)
            assert [key for key in before if before[key] != after[key]] == []
    inner = batch[0] if isinstance(batch, tuple) else batch
    model.train()(**inner) if isinstance(inner, dict) else model.train()(inner)  # the next training step


class Slots:
    __slots__ = ("calls", "h", "late")

    def __init__(self):
        self.calls, self.h = 0, torch.zeros(2)


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, *_arguments):
        self.calls += 1


class OutOfSight(nn.Module):
    """What a model keeps elsewhere than in attributes, their containers and plain objects."""

    total, steps = 0, [0]

    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.GRU(M, N, batch_first=True), nn.Linear(N, 2)
        self.slots, self.counter, self.written = Slots(), Counter(), functools.partial(list.append, [])
        self.legacy, self.bytes = np.random.RandomState(3), bytearray(b"a")
        self.deep, self.unregistered = {1: {2: {3: {4: {5: [0]}}}}}, [nn.BatchNorm1d(N)]
        seen, calls, self.rnn.steps = {}, 0, 0

        def hook(module, _arguments, output):
            nonlocal calls
            calls += 1
            seen[calls] = output[0].detach()
            module.steps = calls
            hook.last = calls

        hook.last = 0
        self.rnn.register_forward_hook(hook)
        self.held = lambda: [
            *(calls, sorted(seen), hook.last, self.counter.calls, bytes(self.bytes), repr(self.legacy.get_state())),
            *(self.slots.calls, self.slots.h.tolist(), hasattr(self.slots, "late"), self.total, list(self.steps)),
            *(
                repr(self.deep),
                self.unregistered[0].running_mean.tolist(),
                len(self.written.args[0]),
                self.rnn.steps,
            ),
        ]

    def forward(self, x):
        y = self.rnn(x)[0][:, -1]
        self.slots.calls, self.slots.h, self.slots.late = self.slots.calls + 1, y.detach()[0, :2], True
        type(self).total += 1
        self.steps[0] += 1
        self.counter()
        self.written(1)
        self.legacy.normal()
        self.bytes.append(1)
        self.deep[1][2][3][4][5][0] += 1
        if y.dtype == torch.float32:
            self.unregistered[0](y)
        return self.fc(y)


def test_what_is_kept_in_slots_classes_closures_and_unregistered_modules_is_left_as_found():
    model, batch = seeded(OutOfSight), (X, target())
    model(X)
    before, parameters = model.held(), [parameter.clone() for parameter in model.parameters()]
    for measurement in (*MEASUREMENTS.values(), lambda *given: diagnose(*given, try_initializers=["orthogonal"])):
        measurement(model, batch)
        assert model.held() == before
    assert all(map(torch.equal, model.parameters(), parameters))
    calibrate_(model, batch)
    assert model.held() == before
    model(2 * X)
    assert all(a != b for a, b in zip(model.held(), before, strict=True) if not isinstance(a, bool))


def test_a_monitor_with_a_batch_does_not_touch_a_carried_state():
    model = warmed(seeded(Stateful), X)
    state = [part.clone() for part in model.state]
    kept = model.state
    Monitor(model, sinks=[], batch=lambda: 5 * X, every=1).step()
    assert model.state is kept
    assert all(torch.equal(a, b) for a, b in zip(model.state, state, strict=True))


def test_new_normalization_layers_run_with_the_statistics_of_the_batch():
    x = 50 + 100 * inputs()
    model = seeded(Normalized)
    flow = gradient_flow(model, (x, target()))
    twin = copy.deepcopy(model).double().train()
    states = []
    z = twin.bn(x.transpose(1, 2)).transpose(1, 2)
    h = torch.zeros(4, N, dtype=torch.float64, requires_grad=True)
    states.append(h)
    for z_t in z.unbind(1):
        rnn = twin.rnn
        h = torch.tanh(z_t @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)
        states.append(h)
    y = twin.instance(torch.stack(states[1:], -1))[..., -1]
    loss = nn.functional.cross_entropy(twin.fc(y), target())
    expected = torch.stack(torch.autograd.grad(loss, states)).norm(dim=-1).log().numpy()[::-1]
    assert np.abs(np.expm1(flow.log_norms[:, 0] - expected)).max() <= ACCURACY
    said = [note for note in flow.notes if "initial statistics" in note]
    assert [note.split()[0] for note in said] == ["bn", "instance"]
    diagnosis = diagnose(model, (x.float(), target()))
    assert "UC203" not in [finding.code for finding in diagnosis.findings]
    assert "bn holds its initial statistics" in str(diagnosis.coverage)
    assert int(model.bn.num_batches_tracked) == 0
    run = warmed(seeded(Normalized), x.float())
    assert not any("statistics" in note for note in gradient_flow(run, (x, target())).notes)


def test_a_single_value_a_channel_keeps_the_running_statistics():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.bn = nn.RNN(M, N, batch_first=True), nn.BatchNorm1d(N)

        def forward(self, x):
            return self.bn(self.rnn(x)[0][:, -1])

    flow = gradient_flow(seeded(One), X[:1], lambda output: output.sum())
    assert np.isfinite(flow.log_norms).all()
    assert not flow.notes


def test_spectral_norm_that_has_not_converged_is_run_with_its_limit():
    fresh = seeded(lambda: weight_normalized("spectral"))
    flow = gradient_flow(fresh, (X, target()))
    assert any("rnn.weight_hh_l0 has not converged" in note for note in flow.notes)
    plain = Chunked(nn.LSTM, 24)
    values = fresh.state_dict()
    W = values.pop("rnn.weight_hh_l0_orig").double()
    plain.load_state_dict(
        {name: value for name, value in values.items() if not name.endswith(("_u", "_v"))}
        | {"rnn.weight_hh_l0": torch.zeros_like(W)}
    )
    plain = plain.double()
    plain.rnn.weight_hh_l0.data.copy_(W / torch.linalg.matrix_norm(W, 2))
    assert np.abs(np.expm1(flow.log_norms - gradient_flow(plain, (X, target())).log_norms)).max() <= ACCURACY
    for _ in range(200):
        fresh(X)
    assert not gradient_flow(fresh, (X, target())).notes


def test_dropout_and_teacher_forcing_are_said():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.drop = nn.GRU(M, N, num_layers=2, dropout=0.1), nn.Dropout(0.5)

        def forward(self, x, teacher_forcing_ratio=0.5):
            return self.drop(self.rnn(x if random.random() < teacher_forcing_ratio else 2 * x)[0][-1])

    model = seeded(Decoder)
    first, second = (gradient_flow(model, X) for _ in range(2))
    assert np.array_equal(first.log_norms, second.log_norms)
    assert first.notes[0] == "dropout is off while measured: rnn, drop"
    assert first.notes[1].startswith("teacher forcing (teacher_forcing_ratio)")
    assert "dropout is off" in str(diagnose(model, X).coverage)


class Unrolled(nn.Module):
    """A loop of its own behind a new normalization, with both forms of dropout and a draw."""

    def __init__(self, functional):
        super().__init__()
        self.bn, self.x2h, self.h2h, self.functional = nn.BatchNorm1d(M), nn.Linear(M, N), nn.Linear(N, N), functional
        self.drop = nn.Identity() if functional else nn.Dropout(0.3)

    def forward(self, x):
        z = self.bn(x.transpose(1, 2)).transpose(1, 2)
        h = x.new_zeros(len(x), N)
        for z_t in z.unbind(1):
            kept = nn.functional.dropout(h, 0.3, self.training) if self.functional else self.drop(h)
            h = torch.tanh(self.x2h(z_t) + self.h2h(kept))
        return h + 1e-3 * torch.randn_like(h)


@pytest.mark.parametrize(("functional", "dropout"), [(False, "drop"), (True, "a call of torch.nn.functional.dropout")])
def test_a_loop_behind_a_new_normalization_is_run_as_in_training_and_says_so(functional, dropout):
    x = 50 + 100 * inputs()
    model = seeded(lambda: Unrolled(functional))
    diagnosis = diagnose(model, x, loss=lambda h: h.square().sum())
    assert {note for note in diagnosis.coverage.notes if "loop" not in note and "gradient" not in note} == {
        f"dropout is off while measured: {dropout}",
        "bn holds its initial statistics: run with those of the batch, as in training",
        "the model draws random numbers in evaluation mode too: measured with one draw of them",
    }
    twin = copy.deepcopy(model).double()
    z = nn.functional.batch_norm(x.double().transpose(1, 2), None, None, training=True).transpose(1, 2)
    states = [torch.zeros(4, N, dtype=torch.float64, requires_grad=True)]
    for z_t in z.unbind(1):
        states.append(torch.tanh(twin.x2h(z_t) + twin.h2h(states[-1])))
    expected = [h.norm(dim=-1).log().mean() for h in torch.autograd.grad(states[-1].square().sum(), states)]
    # The draw, of 1e-3, is added to the last state.
    measured = diagnosis.layers[0].live.log_gradient[::-1]
    assert np.abs(np.diff(measured) - np.diff([float(value) for value in expected])).max() <= 0.01
    assert int(model.bn.num_batches_tracked) == 0


class Locked(nn.Module):
    """One mask for all steps, as AWD-LSTM draws it."""

    def forward(self, x):
        return x * x.new_empty(1, *x.shape[1:]).bernoulli_(0.7) / 0.7 if self.training else x


class Between(nn.Module):
    """Something of a person between two layers; by steps, a decoder with choices of its own."""

    def __init__(self, between=None):
        super().__init__()
        self.rnn, self.between, self.tf_ratio = nn.GRU(M, M), between, 0.5

    def forward(self, x):
        y = self.rnn(x)[0]
        if isinstance(self.between, nn.MultiheadAttention):
            return self.between(y, y, y)[0]
        return self.between(y)


class Chooses(Between):
    def forward(self, x):
        return self.rnn(x if random.random() < self.tf_ratio else 2 * x)[0]


class Decodes(Between):
    def forward(self, x):
        return self.decode(x)

    def decode(self, x, use_teacher_forcing=True):
        return self.rnn(x if use_teacher_forcing else 2 * x)[0]


FORCED = "teacher forcing (%s): run in evaluation mode as the batch and the model's defaults say, with one random draw"


@pytest.mark.parametrize(
    ("build", "note"),
    [
        (lambda: Between(Locked()), "in evaluation mode while measured, which their own code asks for: between"),
        (lambda: Between(nn.MultiheadAttention(M, 1, dropout=0.1)), "dropout is off while measured: between"),
        (Chooses, FORCED % "tf_ratio"),
        (Decodes, FORCED % "use_teacher_forcing"),
    ],
)
def test_what_a_person_writes_otherwise_in_training_is_said(build, note):
    assert note in gradient_flow(seeded(build), X).notes


def test_statistics_of_a_call_of_batch_norm_that_are_initial_are_those_of_the_batch():
    class ByStep(nn.Module):
        """A recurrent batch normalization, with running statistics of every step."""

        def __init__(self):
            super().__init__()
            self.h2h, self.x2h = nn.Linear(N, N, bias=False), nn.Linear(M, N)
            self.register_buffer("mean", torch.zeros(24, N))
            self.register_buffer("variance", torch.ones(24, N))

        def forward(self, x):
            h = x.new_zeros(len(x), N)
            for t, x_t in enumerate(x.unbind(1)):
                z = self.h2h(h) + 50 * self.x2h(x_t)
                h = torch.tanh(nn.functional.batch_norm(z, self.mean[t], self.variance[t], training=self.training))
            return h

    model = seeded(ByStep)
    (layer,) = hand_written(model, X, lambda h: h.square().sum()).layers
    twin, states = copy.deepcopy(model).double(), []
    h = torch.zeros(4, N, dtype=torch.float64, requires_grad=True)
    for x_t in X.double().unbind(1):
        states.append(h)
        z = twin.h2h(h) + 50 * twin.x2h(x_t)
        h = torch.tanh((z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt())
    states.append(h)
    norms = torch.stack(torch.autograd.grad(h.square().sum(), states)[::-1]).flatten(1).norm(dim=1)
    assert np.abs(layer.gradient.log_norms[:, 0, 0] - norms.log().numpy()).max() <= ACCURACY
    assert "a call of torch.nn.functional.batch_norm holds its initial statistics" in str(diagnose(model, X).coverage)
    assert not model.mean.any()
