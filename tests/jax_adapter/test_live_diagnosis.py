"""diagnose(model, batch) of JAX models: torch's measurements and findings on the same weights, at every door."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from jax import lax
from torch import nn

import unitcircle as uc
from unitcircle import dynamics
from unitcircle.errors import ArgumentError
from unitcircle.jax import live_scans, lyapunov_exponents, to_layers
from unitcircle.jax._program import Program
from unitcircle.jax._scan_states import recurrent_scans

EPS = 2.0**-52
T, B, M, N = 30, 6, 2, 9
ROUNDING = 100 * T * N * EPS
"""Products of T matrices of size N; 100 for the constants of the cells."""


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


XS, CLASSES = normal(B, T, M).astype(np.float32), np.arange(B) % 3


class Reader(nnx.Module):
    """A recurrent layer read at its last step, as a person writes it."""

    def __init__(self, cell, gain=1.0):
        rngs = nnx.Rngs(0)
        self.rnn = nnx.RNN(cell(M, N, rngs=rngs, recurrent_kernel_init=nnx.initializers.orthogonal(gain)))
        self.readout = nnx.Linear(N, 3, rngs=rngs)

    def __call__(self, xs):
        return self.readout(self.rnn(xs)[:, -1])


class TorchReader(nn.Module):
    def __init__(self, model, make):
        super().__init__()
        [layer] = to_layers(model)
        self.rnn, self.readout = make(M, N, batch_first=True), nn.Linear(N, 3)
        gates, zero = layer.cell.gates, np.zeros(N)
        values = {
            self.rnn.weight_hh_l0: np.concatenate([layer.gates[gate] for gate in gates]),
            self.rnn.weight_ih_l0: np.concatenate([layer.inputs[gate] for gate in gates]),
            self.rnn.bias_ih_l0: np.concatenate([layer.biases.get(gate, zero) for gate in gates]),
            self.rnn.bias_hh_l0: np.concatenate([layer.recurrent_biases.get(gate, zero) for gate in gates]),
            self.readout.weight: np.asarray(model.readout.kernel[...]).T,
            self.readout.bias: np.asarray(model.readout.bias[...]),
        }
        with torch.no_grad():
            for parameter, value in values.items():
                parameter.copy_(torch.tensor(np.array(value)))

    def forward(self, xs):
        return self.readout(self.rnn(xs)[0][:, -1])


def codes(diagnosis):
    return [finding.code for finding in diagnosis.findings if finding.code.startswith("UC2")]


def live(diagnosis):
    (layer,) = diagnosis.layers
    return layer.live


@pytest.mark.parametrize(
    ("cell", "make", "gain"),
    [(nnx.SimpleCell, nn.RNN, 0.6), (nnx.GRUCell, nn.GRU, 1.0), (nnx.LSTMCell, nn.LSTM, 1.0)],
)
def test_measurements_and_findings_are_those_of_torch(cell, make, gain):
    model = Reader(cell, gain)
    found = uc.diagnose(model, (XS, CLASSES))
    expected = uc.diagnose(TorchReader(model, make), (XS, CLASSES))
    assert codes(found) == codes(expected) != []
    ours, theirs = live(found), live(expected)
    np.testing.assert_allclose(ours.log_gradient, theirs.log_gradient, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(ours.distance, theirs.distance, rtol=ROUNDING)
    assert ours.growth_rate == pytest.approx(theirs.growth_rate, abs=ROUNDING)
    assert ours.growth_rate_stderr == pytest.approx(theirs.growth_rate_stderr, abs=ROUNDING)
    assert ours.dimension == pytest.approx(theirs.dimension, rel=B * N * ROUNDING)  # a ratio of squares of differences
    assert (ours.saturation, ours.dead, ours.gates.keys()) == (theirs.saturation, theirs.dead, theirs.gates.keys())
    for gate, activity in ours.gates.items():
        assert activity.log_openness == pytest.approx(theirs.gates[gate].log_openness, rel=ROUNDING)
    assert ours.typical == pytest.approx(theirs.typical, abs=ROUNDING)
    # The Jacobian is estimated from random signs, here and there from others: 5 standard errors.
    error = np.hypot(ours.exponent_stderr, theirs.exponent_stderr)
    assert ours.exponent == pytest.approx(theirs.exponent, abs=5 * error)


def test_what_the_task_needs_is_measured_as_in_torch():
    """The share of the errors that the last state, and that one input beyond the reach, foretell."""
    xs = normal(40, 12, M).astype(np.float32)
    model, classes = Reader(nnx.SimpleCell, 0.3), (xs[:, 0, 0] > 0).astype(int)
    ours, theirs = (live(uc.diagnose(one, (xs, classes))) for one in (model, TorchReader(model, nn.RNN)))
    assert theirs.far > theirs.readable
    # Ridge regression by singular values, and the square of a difference.
    assert (ours.readable, ours.far) == pytest.approx((theirs.readable, theirs.far), abs=40 * ROUNDING)


def test_the_exponents_of_a_scan_inside_a_model_are_those_of_torch():
    model = Reader(nnx.LSTMCell)
    definition, state = nnx.split(model)
    xs = XS[:1]
    (scan,) = live_scans(lambda state, xs: nnx.merge(definition, state)(xs).sum(), state, xs).scans
    with jax.enable_x64(True):
        # flax's carry is (c, h) and torch's state (h, c): Q_0 = I depends on the order.
        found = lyapunov_exponents(
            lambda x, state: scan.step(x, state[::-1])[::-1], scan.inputs, tuple(leaf for leaf in scan.initial[::-1])
        )
    twin = TorchReader(model, nn.LSTM).rnn
    expected = dynamics.lyapunov_exponents(twin, torch.from_numpy(xs))
    largest = np.abs(expected.exponents).max()
    np.testing.assert_allclose(found.exponents, np.ravel(expected.exponents), rtol=0, atol=largest * ROUNDING)


def layer_norm_gru(params, xs):
    def normalized(x):
        x = x - x.mean(-1, keepdims=True)
        return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 2.0**-17)

    def step(h, x):
        gates = jax.nn.sigmoid(normalized(x @ params["Ug"].T + h @ params["Wg"].T))
        r, z = gates[:, :N], gates[:, N:]
        n = jnp.tanh(normalized(x @ params["Un"].T + (r * h) @ params["Wn"].T))
        return (1 - z) * n + z * h, None

    return lax.scan(step, jnp.zeros((xs.shape[0], N)), xs.transpose(1, 0, 2))[0].sum()


class TorchLayerNormGRU(nn.Module):
    def __init__(self, params):
        super().__init__()
        for name, value in params.items():
            setattr(self, name, nn.Parameter(torch.tensor(value)))

    def forward(self, xs):
        def normalized(x):
            return nn.functional.layer_norm(x, x.shape[-1:], eps=2.0**-17)

        h = xs.new_zeros(xs.shape[0], N)
        for x in xs.unbind(1):
            r, z = torch.sigmoid(normalized(x @ self.Ug.T + h @ self.Wg.T)).split(N, -1)
            h = (1 - z) * torch.tanh(normalized(x @ self.Un.T + (r * h) @ self.Wn.T)) + z * h
        return h.sum()


def test_a_hand_written_cell_has_the_gradient_and_findings_of_its_torch_twin():
    sizes = {"Ug": (2 * N, M), "Wg": (2 * N, N), "Un": (N, M), "Wn": (N, N)}
    params = {name: normal(*shape) / 3 for name, shape in sizes.items()}
    found = uc.diagnose(layer_norm_gru, XS, params=params)
    expected = uc.diagnose(TorchLayerNormGRU(params), XS, loss=lambda value: value)
    np.testing.assert_allclose(live(found).log_gradient, live(expected).log_gradient, rtol=0, atol=ROUNDING)
    assert codes(found) == codes(expected) != []
    assert [one.severity for one in found.findings] == [one.severity for one in expected.findings]
    assert live(found).gated
    assert live(expected).gated
    assert "(6, 9)" in " ".join(found.coverage.notes)


def half_tanh(x):
    return (1 + jnp.tanh(x)) / 2


def through(gate):
    """A step whose state is multiplied by what a function gives."""

    def step(params, h, x):
        z = gate(x @ params["U"] + h @ params["W"])
        return (1 - z) * h + z * jnp.tanh(x @ params["U"])

    return step


def scans_of(function, params, xs):
    """The recurrences of a traced function, which is not run."""
    return recurrent_scans(Program.of(jax.make_jaxpr(function)(params, xs)), range(len(params)))[0]


STEPS_WITH_GATES = {
    "sigmoid": (through(jax.nn.sigmoid), True),
    "hard sigmoid": (through(jax.nn.hard_sigmoid), True),
    "half of tanh": (through(half_tanh), True),
    "in logarithms": (through(lambda x: jnp.exp(-jax.nn.softplus(x))), True),
    "clipped": (through(lambda x: jnp.clip(x, 0, 1)), True),
    "relu": (through(jax.nn.relu), False),
    "sigmoid cell": (lambda params, h, x: jax.nn.sigmoid(x @ params["U"] + h @ params["W"]), False),
    "learned leak": (lambda params, h, x: jax.nn.sigmoid(params["W"][0]) * h + x @ params["U"], False),
}


@pytest.mark.parametrize("name", STEPS_WITH_GATES)
def test_a_gate_is_what_keeps_a_factor_of_the_state_between_0_and_1(name):
    step, gated = STEPS_WITH_GATES[name]
    params = {"U": normal(M, N), "W": normal(N, N) / 3}

    def last(params, xs):
        return lax.scan(lambda h, x: (step(params, h, x), None), jnp.zeros((B, N)), xs)[0].sum()

    [scan] = scans_of(last, params, normal(3, B, M))
    assert scan.gated == gated


def test_gates_of_all_steps_may_be_computed_before_the_scan():
    def last(params, xs):
        z = jax.nn.sigmoid(xs @ params["U"])
        return lax.scan(lambda h, z: ((1 - z) * h + z, None), jnp.zeros((B, N)), z)[0].sum()

    [scan] = scans_of(last, {"U": normal(M, N)}, normal(3, B, M))
    assert scan.gated


def tanh_loss(params, batch):
    xs, target = batch

    def step(h, x):
        return jnp.tanh(x @ params["U"] + lax.stop_gradient(h) @ params["W"]), None

    h, _ = lax.scan(step, jnp.zeros((len(xs), N)), xs.transpose(1, 0, 2))
    return jnp.mean((h.sum(-1) - target) ** 2)


def test_a_state_that_every_step_detaches_is_named():
    params = {"U": normal(M, N), "W": normal(N, N) / 3}
    diagnosis = uc.diagnose(tanh_loss, (XS, CLASSES.astype(float)), params=params)
    assert codes(diagnosis) == ["UC209"]
    assert live(diagnosis).cut == 1


def test_every_door_gives_the_same():
    model = linen.RNN(linen.SimpleCell(N))
    variables = model.init(jax.random.key(0), XS)
    batch = (XS, normal(B, T, N))

    def apply(variables, inputs):
        return model.apply(variables, inputs)

    doors = [
        uc.diagnose(model, batch, params=variables),
        uc.diagnose(model.bind(variables), batch),
        uc.diagnose(jax.tree_util.Partial(apply, variables), batch),
        uc.diagnose(model, {"inputs": torch.from_numpy(XS), "target": batch[1]}, params=variables["params"]),
        uc.diagnose(apply, XS, params=variables, loss=lambda output: jnp.mean((output - batch[1]) ** 2)),
    ]
    for other in doors[1:]:
        np.testing.assert_allclose(live(other).log_gradient, live(doors[0]).log_gradient, rtol=0, atol=ROUNDING)
        assert codes(other) == codes(doors[0])
    assert "squared error" in " ".join(doors[0].coverage.notes)


def test_remedies_are_tried_on_parameters_of_their_own():
    model = Reader(nnx.GRUCell)
    before = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    tried = uc.diagnose(model, (XS, CLASSES), try_initializers=["remedies"])
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    twin = uc.diagnose(TorchReader(model, nn.GRU), (XS, CLASSES), try_initializers=["remedies"])
    ours, theirs = ({trial.name: trial for trial in one.examination.trials.ranking} for one in (tried, twin))
    assert ours.keys() == theirs.keys()
    name = f"orthogonal + chrono(max_steps={T})"
    assert ours[name].call == (
        f"unitcircle.jax.initialize_(model, recurrent='orthogonal', bias='chrono(max_steps={T})', key=0)"
    )
    # The draws are others, and the law is the same: means within the intervals of both.
    for trial, other in ((ours[name], theirs[name]),):
        (low, high), (least, most) = trial.interval("flow"), other.interval("flow")
        assert low < most
        assert least < high
    # What was tried is what the call does.
    copy = nnx.clone(model)
    uc.jax.initialize_(copy, recurrent="orthogonal", bias=f"chrono(max_steps={T})", key=0)
    flow = live(uc.diagnose(copy, (XS, CLASSES))).change(T) / np.log(10)
    assert ours[name].values["flow"][0] == pytest.approx(flow, abs=ROUNDING)


def test_dropout_is_off_and_the_report_says_so():
    model = Reader(nnx.GRUCell)
    plain = uc.diagnose(model, (XS, CLASSES))
    readout = model.readout
    model.readout = nnx.Sequential(nnx.Dropout(0.5, rngs=nnx.Rngs(1)), readout)
    diagnosis = uc.diagnose(model, (XS, CLASSES))
    np.testing.assert_array_equal(live(diagnosis).log_gradient, live(plain).log_gradient)
    assert "Dropout ran as in evaluation" in " ".join(diagnosis.coverage.notes)
    assert not model.readout.layers[0].deterministic  # left as found


def test_what_is_unread_and_what_was_not_run_is_said():
    params = {"U": normal(M, N), "W": normal(N, N) / 3}

    def unrolled(params, xs):
        h = jnp.zeros((B, N))
        for t in range(4):
            h = jnp.tanh(xs[:, t] @ params["U"] + h @ params["W"])
        return h.sum()

    diagnosis = uc.diagnose(unrolled, XS, params=params)
    assert not diagnosis.layers
    assert any("W is applied 4 times" in text and "lax.scan" in text for text in diagnosis.coverage.unread)
    broken = uc.diagnose(unrolled, XS, params=params | {"W": np.full((N, N), np.nan)})
    assert "W is not finite" in " ".join(broken.coverage.notes)
    associative = uc.diagnose(lambda p, xs: lax.associative_scan(jnp.add, xs * p["a"]).sum(), XS, params={"a": 0.5})
    assert "associative" in " ".join(associative.coverage.notes)


PARAMS = {"U": normal(M, N), "W": normal(N, N)}
LINEN = linen.RNN(linen.SimpleCell(N))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uc.diagnose(LINEN, XS), "bind(variables)"),
        (lambda: uc.diagnose(tanh_loss, params=PARAMS), "with a batch"),
        (lambda: uc.diagnose(nn.RNN(M, N), XS, params=PARAMS), "for a model of JAX"),
        (lambda: uc.diagnose(tanh_loss, (XS, CLASSES), params=PARAMS, at=["W"]), "found without names"),
        (lambda: uc.diagnose(tanh_loss, (XS, CLASSES), params=PARAMS, data=XS), "found without names"),
        (lambda: uc.diagnose(tanh_loss, (XS, CLASSES[:2]), params=PARAMS), "arguments that the model"),
        (lambda: uc.diagnose(tanh_loss, (XS, CLASSES), params=PARAMS, steps=T + 1), "must not exceed"),
        (lambda: uc.diagnose(layer_norm_gru, (XS, XS, XS, XS), params=PARAMS), "takes 1 by position"),
        (lambda: uc.diagnose(lambda p, xs: xs @ p["U"], (XS, CLASSES), params=PARAMS), "fits the output"),
        (lambda: uc.diagnose(lambda p, xs: xs @ p["U"], XS, params=PARAMS, loss=lambda o: o), "real scalar"),
        (lambda: uc.diagnose(Reader(nnx.GRUCell), XS, params=PARAMS), "holds its own"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


def test_a_remedy_of_growth_is_one_of_jax():
    diagnosis = uc.diagnose(Reader(nnx.SimpleCell, gain=4.0), (0.01 * XS, CLASSES))
    remedies = [finding.remedy for finding in diagnosis.findings if finding.code in {"UC202", "UC206"}]
    assert remedies
    assert not any("calibrate_" in remedy or "torch" in remedy for remedy in remedies)
    assert all("unitcircle.jax.initialize_(model, recurrent='critical(" in remedy for remedy in remedies)
