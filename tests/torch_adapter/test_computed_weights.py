"""Weights that are computed from other parameters: initialized and calibrated through their map, or refused."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from unitcircle import diagnose
from unitcircle.dynamics import calibrate_
from unitcircle.errors import ArgumentError
from unitcircle.monitor import Monitor, UnitcircleWarning
from unitcircle.torch import initialize_, parametrize_orthogonal

EPS32 = torch.finfo(torch.float32).eps

M, N = 3, 8


def weight_norm(module, name):
    return parametrizations.weight_norm(module, name)


def old_weight_norm(module, name):
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(module, name)


def blocks_are_orthogonal(weight):
    for block in weight.chunk(len(weight) // N):
        tall = block if block.shape[0] >= block.shape[1] else block.T
        # 4 eps measured.
        torch.testing.assert_close(tall.T @ tall, torch.eye(tall.shape[1]), rtol=0, atol=4 * N * EPS32)
    return True


@pytest.mark.parametrize("normalize", [weight_norm, old_weight_norm])
@pytest.mark.parametrize(("role", "name"), [("recurrent", "weight_hh_l0"), ("input", "weight_ih_l0")])
def test_a_normalized_weight_is_written_through_and_read_back(normalize, role, name):
    """0.1 filled a temporary tensor, and printed "holds" over a weight that had not changed."""
    lstm = normalize(nn.LSTM(M, N), name)
    result = initialize_(lstm, **{role: "orthogonal"}, rng=0)
    assert blocks_are_orthogonal(getattr(lstm, name))
    assert all(filled.certificate.holds for filled in result.filled)
    plain = nn.LSTM(M, N)
    initialize_(plain, **{role: "orthogonal"}, rng=0)
    torch.testing.assert_close(getattr(lstm, name), getattr(plain, name), rtol=0, atol=4 * EPS32)
    lstm(torch.zeros(2, 1, M))  # the hook, or the parametrization, computes it again
    torch.testing.assert_close(getattr(lstm, name), getattr(plain, name), rtol=0, atol=4 * EPS32)
    assert all(isinstance(part, nn.Parameter) for key, part in lstm.named_parameters() if name in key)


def test_orthogonal_blocks_are_written_through_their_parametrization():
    lstm = parametrize_orthogonal(nn.LSTM(M, N))
    before = lstm.weight_hh_l0.detach().clone()
    result = initialize_(lstm, recurrent="orthogonal", bias="forget_bias", rng=0)
    assert blocks_are_orthogonal(lstm.weight_hh_l0)
    assert not torch.equal(before, lstm.weight_hh_l0)
    assert len(result.filled) == 5
    linear = parametrizations.orthogonal(nn.Linear(N, N))
    initialize_(nn.ModuleDict({"h2h": linear}), recurrent="orthogonal", linear=["h2h"], rng=0)
    assert blocks_are_orthogonal(linear.weight)


@pytest.mark.parametrize(
    "parametrized",
    [
        lambda: parametrize_orthogonal(nn.LSTM(M, N)),
        lambda: parametrizations.spectral_norm(nn.LSTM(M, N), "weight_hh_l0"),
        lambda: prune.random_unstructured(nn.LSTM(M, N), "weight_hh_l0", amount=0.5),
    ],
)
def test_biases_are_filled_beside_a_computed_weight(parametrized):
    """The remedy of UC110 is this call."""
    lstm = parametrized().eval()  # in training mode a spectral norm changes when it is read
    weight = lstm.weight_hh_l0.detach().clone()
    initialize_(lstm, bias="forget_bias", rng=0)
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[N : 2 * N].tolist() == [1.0] * N
    torch.testing.assert_close(lstm.weight_hh_l0, weight)
    assert "UC110" not in {finding.code for finding in diagnose(lstm).findings}


class NoInverse(nn.Module):
    def forward(self, weight):
        return weight.tanh()


def no_inverse():
    lstm = nn.LSTM(M, N)
    parametrize.register_parametrization(lstm, "weight_hh_l0", NoInverse())
    return lstm


def dropped():
    lstm = nn.LSTM(M, N)
    raw = lstm.weight_hh_l0
    del lstm.weight_hh_l0
    lstm.register_parameter("weight_hh_l0_raw", raw)
    lstm.weight_hh_l0 = raw.clone()
    return lstm


@pytest.mark.parametrize(
    ("build", "spec", "words"),
    [
        (lambda: parametrize_orthogonal(nn.LSTM(M, N)), "gaussian(radius=1)", "weight_hh_l0.*cannot produce"),
        (lambda: parametrizations.orthogonal(nn.LSTM(M, N), "weight_hh_l0"), "orthogonal", "weight_hh_l0"),
        (lambda: parametrizations.spectral_norm(nn.LSTM(M, N), "weight_hh_l0"), "orthogonal(gain=0.5)", "cannot"),
        (no_inverse, "orthogonal", "NoInverse has no right_inverse"),
        (dropped, "orthogonal", "computed from other parameters"),
        (
            lambda: prune.random_unstructured(nn.LSTM(M, N), "weight_hh_l0", amount=0.5),
            "orthogonal",
            "computed",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_left_as_it_was(build, spec, words):
    lstm = build()
    lstm.eval()
    before = {name: tensor.clone() for name, tensor in lstm.state_dict().items()}
    with pytest.raises(ArgumentError, match=words):
        initialize_(lstm, recurrent=spec, bias="forget_bias", rng=0)
    for name, tensor in lstm.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("normalize", [weight_norm, old_weight_norm])
def test_a_normalized_weight_is_calibrated(normalize):
    torch.manual_seed(0)
    x = 0.1 * torch.ones(30, 4, M)
    plain = nn.RNN(M, 16)
    initialize_(plain, recurrent="orthogonal(gain=0.8)", bias="zeros", rng=0)
    rnn = nn.RNN(M, 16)
    rnn.load_state_dict(plain.state_dict())
    rnn = normalize(rnn, "weight_hh_l0")
    by_hand, result = calibrate_(plain, x), calibrate_(rnn, x)
    assert result.applied
    assert result.gains["l0"] == pytest.approx(by_hand.gains["l0"], rel=16 * EPS32)
    torch.testing.assert_close(rnn.weight_hh_l0, plain.weight_hh_l0, rtol=16 * EPS32, atol=4 * EPS32)
    rnn(x)
    torch.testing.assert_close(rnn.weight_hh_l0, plain.weight_hh_l0, rtol=16 * EPS32, atol=4 * EPS32)


def test_what_has_no_gain_is_refused_by_name():
    with pytest.raises(ArgumentError, match="cannot produce"):
        calibrate_(parametrize_orthogonal(nn.RNN(M, N)), torch.randn(10, 4, M))


@pytest.mark.parametrize("normalize", [weight_norm, old_weight_norm])
def test_a_monitor_records_the_gradient_of_a_normalized_weight(normalize):
    torch.manual_seed(0)
    plain = nn.LSTM(M, N, dtype=torch.float64)
    lstm = nn.LSTM(M, N, dtype=torch.float64)
    lstm.load_state_dict(plain.state_dict())
    lstm = normalize(lstm, "weight_hh_l0")
    x, records = torch.randn(5, 2, M, dtype=torch.float64), []
    for model in (plain, lstm):
        model(x)[0].square().sum().backward()
        Monitor(model, sinks=lambda record, step: records.append(record)).step()
    norms = [[record[f"weight_hh_l0.{gate}/gradient"] for gate in "ifgo"] for record in records]
    assert norms[1] == pytest.approx(norms[0], rel=16 * EPS32)


def test_a_monitor_says_where_it_has_no_gradient():
    with pytest.warns(UnitcircleWarning, match="weight_hh_l0: computed from other parameters, so no gradient"):
        Monitor(parametrize_orthogonal(nn.LSTM(M, N)), sinks=[])
