"""The gain that keeps a gradient: against networks whose gain is known, and refusals."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from unitcircle.dynamics import CalibrationStatus, calibrate_, driven_layers
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments.tasks import Task
from unitcircle.initializers import Critical
from unitcircle.torch import initialize_

T, B, N = 30, 6, 10
PRECISION = 0.005
"""To which the logarithm of a gain is found, as documented."""
QUIET = 1e-9 * torch.ones(T, B, 2)


def plain(recurrent="orthogonal(gain=0.8)", *, layers=1, n=N, **options):
    torch.manual_seed(0)
    model = nn.RNN(2, n, num_layers=layers, **options)
    initialize_(model, recurrent=recurrent, bias="zeros", rng=0)
    return model


def driving(scale=1.0):
    return scale * torch.randn(T, B, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("grid", [5, 13])
def test_at_the_origin_the_gain_is_the_inverse_of_the_modulus(grid):
    model = plain()
    before = model.weight_hh_l0.detach().clone()
    result = calibrate_(model, QUIET, grid=grid)
    assert result.status is CalibrationStatus.CALIBRATED
    assert abs(math.log(result.gains["l0"] * 0.8)) <= PRECISION
    eps = float(torch.finfo(torch.float32).eps)
    torch.testing.assert_close(model.weight_hh_l0.detach(), before * result.gains["l0"], rtol=4 * eps, atol=0)
    assert result.applied
    assert result.passes == len(result.layers[0].gains) < grid + 12
    assert "applied" in str(result)


def log_ratio(W, U, xs, gain):
    """Naive twin: the exact ½ log(‖J‖_F²/n), mean over the batch, by products of Jacobians."""
    logs = []
    for sequence in xs.double().numpy().swapaxes(0, 1):
        h, J = np.zeros(len(W)), np.eye(len(W))
        for x in sequence:
            h = np.tanh(gain * W @ h + U @ x)
            J = np.diag(1 - h**2) @ (gain * W) @ J
        logs.append(np.log(np.linalg.norm(J) / math.sqrt(len(W))))
    return float(np.mean(logs))


def test_the_curve_and_its_zero_are_those_of_the_products():
    model, xs = plain(), driving(0.3)
    W, U = model.weight_hh_l0.detach().double().numpy(), model.weight_ih_l0.detach().double().numpy()
    (layer,) = calibrate_(model, xs, probes=256).layers
    exact = np.array([log_ratio(W, U, xs, gain) for gain in layer.gains])
    # E ‖vᵀJ‖² = ‖J‖_F² with relative variance ≤ 2 over 256 · 6 independent probes: 4 standard errors (p < 1e-4).
    np.testing.assert_allclose(layer.values, exact, rtol=0, atol=4 * math.sqrt(2 / 256) / 2)
    root = brentq(lambda x: log_ratio(W, U, xs, math.exp(x)), -0.7, 0.9)
    slope = (log_ratio(W, U, xs, math.exp(root) * 1.01) - log_ratio(W, U, xs, math.exp(root) / 1.01)) / 0.02
    assert abs(math.log(layer.gain) - root) <= PRECISION + 4 * math.sqrt(2 / 256) / 2 / slope
    assert (layer.stderr >= 0).all()
    assert layer.steps == T


def test_the_typical_direction_is_largest_where_a_fine_grid_says():
    model, xs = plain(), driving(0.3)
    W, U = model.weight_hh_l0.detach().double().numpy(), model.weight_ih_l0.detach().double().numpy()
    result = calibrate_(model, xs, criterion="typical_direction")

    def mean_log(gain):
        total = 0.0
        for sequence in xs.double().numpy().swapaxes(0, 1):
            h = np.zeros(N)
            for x in sequence:
                h = np.tanh(gain * W @ h + U @ x)
                total += np.linalg.slogdet(np.diag(1 - h**2) @ (gain * W))[1]
        return total / (N * B)

    fine = np.exp(np.linspace(math.log(result.gains["l0"]) - 0.3, math.log(result.gains["l0"]) + 0.3, 61))
    values = [mean_log(gain) for gain in fine]
    assert abs(math.log(fine[int(np.argmax(values))] / result.gains["l0"])) <= 0.02
    (layer,) = result.layers
    np.testing.assert_allclose(layer.values.max(), max(values), rtol=0, atol=0.05)


def test_layers_are_calibrated_from_below_and_directions_apart():
    model = plain(layers=2)
    with torch.no_grad():
        model.weight_hh_l1.mul_(0.5)
    result = calibrate_(model, QUIET)
    assert list(result.gains) == ["l0", "l1"]
    assert abs(math.log(result.gains["l1"] * 0.4)) <= PRECISION
    both = plain(bidirectional=True)
    with torch.no_grad():
        both.weight_hh_l0_reverse.mul_(0.9)
    gains = calibrate_(both, QUIET).gains
    assert abs(math.log(gains["l0"] * 0.8)) <= PRECISION
    assert abs(math.log(gains["l0_reverse"] * 0.72)) <= PRECISION


def test_a_cell_inside_a_loop():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.RNNCell(2, N)

        def forward(self, xs):
            h = None
            for x in xs.unbind(0):
                h = self.cell(x, h)
            return h

    model = Loop()
    initialize_(model, recurrent="orthogonal(gain=0.7)", bias="zeros", rng=0)
    gains = calibrate_(model, QUIET).gains
    assert abs(math.log(gains["cell"] * 0.7)) <= PRECISION


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gated_layers_get_the_spread_of_their_biases_from_the_length(kind):
    torch.manual_seed(0)
    model = kind(2, 400)
    weight = model.weight_hh_l0.detach().clone()
    result = calibrate_(model, QUIET)
    (layer,) = result.layers
    assert layer.status is CalibrationStatus.SPREAD_BIASES
    assert layer.bias == f"chrono(max_steps={T})"
    assert math.isnan(layer.gain)
    assert result.applied
    assert torch.equal(model.weight_hh_l0, weight)
    row = 400  # f is the second of i f g o, z the second of r z n
    bias = (model.bias_ih_l0 + model.bias_hh_l0).detach()[row : 2 * row]
    times = 1 + torch.exp(bias)
    assert 2 <= times.min() < 4
    # The biases are float32: their rounding and that of their exponential.
    assert T - 2 < times.max() <= T * (1 + 16 * 2.0**-23)
    # The mean of U(2, T) has standard deviation (T − 2)/√(12 n): 4 of them (p < 1e-4).
    assert abs(float(times.mean()) - (T + 2) / 2) < 4 * (T - 2) / math.sqrt(12 * 400)


def refused(model, batch, status, words, **options):
    before = copy.deepcopy(model.state_dict())
    result = calibrate_(model, batch, **options)
    assert result.status is status
    assert words in str(result)
    assert status.meaning in str(result)
    assert not result.applied
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    return result


@pytest.mark.parametrize("weight", ["identity", "identity(scale=0.9)"])
def test_an_identity_like_weight_is_refused(weight):
    refused(plain(weight), driving(), CalibrationStatus.IDENTITY_LIKE, "identity")


@pytest.mark.parametrize(("radii", "words"), [((0.3, 0.6), "shrinks"), ((1.5, 2.5), "grows")])
def test_no_radius_in_the_range(radii, words):
    refused(plain(), QUIET, CalibrationStatus.OUT_OF_RANGE, words, radii=radii)


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_the_range_is_absolute(gain):
    result = calibrate_(plain(f"orthogonal(gain={gain})"), QUIET)
    assert abs(math.log(result.gains["l0"] * gain)) <= PRECISION


@pytest.mark.parametrize("weight", [torch.zeros(N, N), torch.eye(N).roll(1, 1).triu()])
def test_a_weight_without_a_radius_is_refused(weight):
    model = plain()
    with torch.no_grad():
        model.weight_hh_l0.copy_(weight)
    refused(model, QUIET, CalibrationStatus.NILPOTENT, "every eigenvalue")


def gaussian(seed, n=48):
    torch.manual_seed(seed)
    model = nn.RNN(1, n)
    initialize_(model, recurrent=f"gaussian(std={2.5 / math.sqrt(n)})", rng=seed)
    return model, torch.randn(50, 16, 1, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("criterion", ["gradient_ratio", "typical_direction"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_chaotic_network_is_scaled_until_it_is_not(seed, criterion):
    model, xs = gaussian(seed)
    (layer,) = calibrate_(model, xs, criterion=criterion).layers
    assert not layer.status.refused, str(layer)
    # Naive twin of the exponent: a tangent vector along the second half of the length.
    W, U = model.weight_hh_l0.detach().double().numpy(), model.weight_ih_l0.detach().double().numpy()
    b = (model.bias_ih_l0.double() + model.bias_hh_l0.double()).detach().numpy()
    rates = []
    for sequence in xs.double().numpy().swapaxes(0, 1):
        h, v, logs = np.zeros(len(W)), np.eye(len(W))[0], []
        for x in sequence:
            h = np.tanh(W @ h + U @ x + b)
            v = (1 - h**2) * (W @ v)
            logs.append(np.log(np.linalg.norm(v)))
            v /= np.linalg.norm(v)
        rates.append(np.mean(logs[25:]))
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    assert np.mean(rates) <= 3 * error
    # The weight is stored in float32, and the tangent forgets its rounding as fast as the network does.
    assert abs(np.mean(rates) - layer.exponent) <= 0.01 * error + 2500 * 48 * 2.0**-23
    assert abs(layer.radius / np.abs(np.linalg.eigvals(W)).max() - 1) <= 48 * 2.0**-23
    assert math.isfinite(layer.gradient_ratio)
    assert math.isfinite(layer.typical_direction)


def test_a_curve_of_noise_is_not_called_calibrated():
    # Near radius 2.4 the norm is kept on average, while λ = -.16 a step.
    model, _ = gaussian(3)
    batch = Task.parse("mackey_glass(length=50)").sample(np.random.default_rng(3), 32)
    (layer,) = calibrate_(model, torch.from_numpy(batch.inputs).float()).layers
    assert layer.status is CalibrationStatus.CRITICAL, str(layer)
    assert layer.radius == layer.start


def test_a_norm_that_few_directions_keep_is_not_called_calibrated():
    # Near radius 1.74 the norm is kept and λ is negative, while a typical direction has become shorter.
    torch.manual_seed(23)
    model = nn.RNN(1, 32)
    initialize_(model, recurrent=f"gaussian(std={2.5 / math.sqrt(32)})", rng=23)
    noise = torch.randn(30, 4, 1, generator=torch.Generator().manual_seed(23))
    xs = torch.sin(torch.arange(30.0) / 3)[:, None, None] + 0.1 * noise
    (layer,) = calibrate_(model, xs, grid=7, probes=4).layers
    assert layer.status is CalibrationStatus.CRITICAL, str(layer)
    assert "a few directions" in layer.reason
    assert layer.radius == layer.start < 1.3
    # Naive twin of the typical direction, at the critical radius and where the norm is kept.
    W = model.weight_hh_l0.detach().double().numpy() / layer.start
    U = model.weight_ih_l0.detach().double().numpy()
    b = (model.bias_ih_l0 + model.bias_hh_l0).detach().double().numpy()

    def typical(radius):
        logs = []
        for sequence in xs.double().numpy().swapaxes(0, 1):
            h, determinant = np.zeros(32), 30 * np.linalg.slogdet(radius * W)[1]
            for x in sequence:
                h = np.tanh(radius * W @ h + U @ x + b)
                determinant += np.log(1 - h**2).sum()
            logs.append(determinant / 32)
        return np.mean(logs)

    # The twin has the weight that was stored in float32, and its states forget nothing of its rounding over 30 steps.
    assert abs(typical(layer.start) - layer.typical_direction) < 30 * 32 * 2.0**-23
    assert typical(1.74) < layer.typical_direction - 0.5 * math.log(32)


def test_the_start_is_the_critical_radius_of_the_drive():
    model, xs = gaussian(1)
    drive = xs.double() @ model.weight_ih_l0.detach().double().T + (model.bias_ih_l0 + model.bias_hh_l0).detach()
    (layer,) = calibrate_(model, xs).layers
    # Biases are added in float32 here and in float64 there.
    assert abs(layer.start / Critical.of_drive(drive).gain - 1) < 48 * 2.0**-23


def test_a_curve_that_rises_and_falls_is_refused():
    # A projector: above gain 1 the state it carries runs into saturation, below it it fades.
    model = plain()
    with torch.no_grad():
        Q = torch.linalg.qr(torch.randn(N, 1, generator=torch.Generator().manual_seed(3)))[0]
        model.weight_hh_l0.copy_(Q @ Q.T)
    result = refused(model, 0.3 * torch.ones(T, B, 2), CalibrationStatus.NOT_MONOTONE, "falls again")
    (layer,) = result.layers
    assert layer.values.max() < 0
    assert np.argmax(layer.values) < len(layer.values) - 1


def test_a_typical_direction_at_the_end_of_the_range_is_refused():
    options = {"criterion": "typical_direction", "radii": (0.3, 0.6)}
    refused(plain(), QUIET, CalibrationStatus.OUT_OF_RANGE, "end of the range", **options)


def test_two_maxima_are_refused(monkeypatch):
    values = iter([0.0, 2.0, 1.0, 3.0, 0.0])
    from unitcircle.dynamics import _calibration_curve

    monkeypatch.setattr(
        _calibration_curve,
        "mean_log_singular_value",
        lambda *_: np.full(B, next(values)),
    )
    # At the origin the critical radius is 1, which is on this grid of five without moving it.
    options = {"criterion": "typical_direction", "grid": 5, "radii": (0.25, 4.0)}
    refused(plain(), QUIET, CalibrationStatus.NOT_MONOTONE, "more than one maximum", **options)


@pytest.mark.parametrize("criterion", ["gradient_ratio", "typical_direction"])
def test_a_criterion_that_is_not_finite_is_refused(criterion):
    model = plain(nonlinearity="relu")
    with torch.no_grad():
        model.bias_ih_l0.fill_(-1.0)
    refused(model, QUIET, CalibrationStatus.NOT_FINITE, "not finite", criterion=criterion)


def test_states_that_overflow_are_refused():
    model = plain(nonlinearity="relu")
    with torch.no_grad():
        model.weight_hh_l0.abs_().mul_(1e30)
    refused(model, driving(), CalibrationStatus.NOT_FINITE, "overflows", criterion="typical_direction")


def test_a_gated_layer_without_biases_is_refused():
    refused(nn.LSTM(2, N, bias=False), QUIET, CalibrationStatus.NO_BIASES, "biases")


def test_one_refusal_leaves_the_whole_model_as_it_was():
    model = plain(layers=2)
    with torch.no_grad():
        model.weight_hh_l1.copy_(torch.eye(N))
    result = refused(model, QUIET, CalibrationStatus.IDENTITY_LIKE, "the model is unchanged")
    assert result.layers[0].status is CalibrationStatus.CALIBRATED


def test_random_state_and_training_mode_are_left_as_found():
    model = plain(layers=2, dropout=0.5)
    state = torch.get_rng_state()
    calibrate_(model, QUIET)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def test_every_status_says_what_it_means_and_what_to_do():
    names = {status.name: str(status) for status in CalibrationStatus}
    assert names == {
        "CALIBRATED": "calibrated",
        "CRITICAL": "critical",
        "SPREAD_BIASES": "spread biases",
        "IDENTITY_LIKE": "identity-like",
        "NOT_MONOTONE": "not monotone",
        "OUT_OF_RANGE": "out of range",
        "NOT_FINITE": "not finite",
        "CHAOTIC": "chaotic",
        "NILPOTENT": "nilpotent",
        "NO_BIASES": "no biases",
    }
    for status in CalibrationStatus:
        assert CalibrationStatus(str(status)) is status
        assert status.meaning[0].isupper()
        assert status.meaning.endswith(".")
        assert pickle.loads(pickle.dumps(status)) is status


def test_misuse():
    model = plain()
    with pytest.raises(UnknownNameError, match="typical_direction"):
        calibrate_(model, QUIET, criterion="radius")
    with pytest.raises(ArgumentError, match="radii"):
        calibrate_(model, QUIET, radii=(2.0, 0.5))
    with pytest.raises(ArgumentError, match="grid"):
        calibrate_(model, QUIET, grid=3)
    with pytest.raises(ArgumentError, match="must call"):
        calibrate_(nn.Linear(2, 2), torch.zeros(1, 2))


def test_driven_layers_know_inputs_initial_states_and_calls():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.GRU(2, 3, batch_first=True)
            self.second = nn.LSTM(3, 4, bidirectional=True, batch_first=True)

        def forward(self, x):
            out, h = self.first(x, torch.ones(1, len(x), 3, dtype=x.dtype))
            state = torch.zeros(2, len(x), 4, dtype=x.dtype)
            return self.second(out, (state, state))[0], self.first(out[..., :2], h)

    model = Two()
    layers = driven_layers(model, driving().transpose(0, 1))
    assert [layer.name for layer in layers] == ["first.l0", "second.l0", "second.l0_reverse"]
    assert [layer.calls for layer in layers] == [2, 1, 1]
    inputs, initial = layers[0].first(2)
    assert inputs.shape == (2 * T, 2, 2)  # the second call continues the first
    assert layers[0].lengths.tolist() == [2 * T] * len(layers[0].lengths)
    assert torch.equal(initial, torch.ones(1, 2, 3, dtype=torch.float64))
    inputs, (h, c) = layers[2].first(3)
    assert inputs.shape == (T, 3, 3)
    assert h.shape == c.shape == (1, 3, 4)
    alone = driven_layers(nn.RNN(2, 3), torch.zeros(5, 2))[0]
    assert alone.first(1)[0].shape == (5, 1, 2)
