"""Rules over live measurements: each fires on the defect built for it, and on nothing beside it."""

import math
import re

import numpy as np
import pytest
import torch
from tests.diagnosis.test_live import B, N, Reader, T, batch, codes, found, reader, scaled
from torch import nn

from unitcircle.diagnosis import RULES, Severity, diagnose
from unitcircle.initializers import parse
from unitcircle.torch import initialize_


def rotation(gain, *, inputs=1.0, **options):
    model = scaled(reader(**options), gain)
    model.rnn.weight_ih_l0.data.mul_(inputs)
    for bias in (model.rnn.bias_ih_l0, model.rnn.bias_hh_l0):
        bias.data.zero_()
    return model


def test_a_rotation_with_small_inputs_has_no_defect():
    assert codes(diagnose(rotation(1.0, inputs=0.1), batch())) == []


def test_a_vanishing_gradient_names_the_step():
    diagnosis = diagnose(rotation(0.5, inputs=1e-3), batch())
    finding = found(diagnosis, "UC201")
    # Almost linear: the norm is 0.5^lag, first below 1/1000 at lag 10.
    assert finding.evidence["lag"] == 10
    assert finding.evidence["step"] == T - 10
    assert f"at step {T - 10} of {T}" in finding.message
    assert "block_rotation" in finding.remedy
    assert "UC201" not in codes(diagnose(rotation(0.5, inputs=1e-3), batch(), steps=9))


@pytest.mark.parametrize(("kind", "gate"), [(nn.LSTM, "f"), (nn.GRU, "z")])
def test_the_gate_that_closes_is_named(kind, gate):
    diagnosis = diagnose(reader(kind), batch())
    finding = found(diagnosis, "UC201")
    assert finding.place.gate == gate
    assert f"gate {gate} closes" in finding.message
    assert "chrono(max_steps=24)" in finding.remedy


def test_an_open_gate_is_not_blamed():
    model = reader(nn.LSTM)
    initialize_(model, bias="forget_bias(value=8)", rng=0)
    model.rnn.weight_hh_l0.data.zero_()
    assert "UC201" not in codes(diagnose(model, batch()))


def test_a_loss_at_every_step_does_not_hide_the_defect():
    model = rotation(0.5, inputs=1e-3)
    model.forward = lambda x: model.readout(model.rnn(x)[0]).mean(1)
    finding = found(diagnose(model, batch()), "UC201")
    assert finding.severity is Severity.NOTE
    assert finding.evidence["of"] == "jacobian"


def test_a_loss_that_does_not_see_the_last_steps():
    model = rotation(0.5, inputs=1e-3)
    model.forward = lambda x: model.readout(model.rnn(x)[0][:, -6])
    finding = found(diagnose(model, batch()), "UC201")
    assert finding.evidence["lag"] == 10
    assert finding.evidence["step"] == T - 5 - 10


def test_an_exploding_gradient():
    diagnosis = diagnose(rotation(2.0, nonlinearity="tanh", inputs=1e-12), batch())
    finding = found(diagnosis, "UC202")
    assert finding.evidence["lag"] == 10
    assert finding.severity is Severity.WARNING
    # 2^T with T = 40 is 10^12, and rounding is as large as the state.
    assert found(diagnosis, "UC206").severity is Severity.WARNING
    assert "UC202" not in codes(diagnose(rotation(2.0, inputs=1e-12), batch(), steps=9))


def test_chaos_is_beyond_its_error():
    torch.manual_seed(1)
    model = Reader(nn.RNN(2, 48, batch_first=True), 48)
    nn.init.normal_(model.rnn.weight_hh_l0, std=3.0 / math.sqrt(48))
    model.rnn.weight_ih_l0.data.mul_(0.1)
    diagnosis = diagnose(model, batch(steps=80))
    finding = found(diagnosis, "UC206")
    assert finding.evidence["exponent"] > 0.1
    grown = math.exp(finding.evidence["exponent"] * 80) * 2.0**-24
    assert finding.evidence["rounding"] == pytest.approx(grown, rel=1e3 * np.finfo(float).eps)
    assert finding.severity is (Severity.WARNING if grown >= 0.1 else Severity.NOTE)
    # Mean field: 0.31 at gain 3, for infinite width and without input; width 48 and small inputs are near it.
    assert diagnosis.layers[0].live.exponent == pytest.approx(0.31, abs=0.15)


def test_growth_in_a_plain_cell_is_answered_with_the_critical_gain_of_its_inputs():
    torch.manual_seed(1)
    model = Reader(nn.RNN(2, 48, batch_first=True), 48)
    nn.init.normal_(model.rnn.weight_hh_l0, std=3.0 / math.sqrt(48))
    inputs = torch.randn(8, 80, 2)
    finding = found(diagnose(model, inputs), "UC206")
    text = re.search(r"recurrent='(critical\(.*?\))'", finding.remedy)[1]
    init = parse(text)
    rnn = model.rnn
    drive = (inputs @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + rnn.bias_hh_l0).detach()
    assert init.input_std == pytest.approx(float(drive.std((0, 1)).square().mean().sqrt()), rel=0.05)
    assert init.bias_std == pytest.approx(float(drive.mean((0, 1)).square().mean().sqrt()), rel=0.05)
    initialize_(model, recurrent=text, rng=0)
    assert "UC206" not in codes(diagnose(model, inputs))


def test_saturation():
    model = rotation(1.0, inputs=100.0)
    assert found(diagnose(model, batch()), "UC203").severity is Severity.NOTE


def test_collapse_to_the_origin():
    model = rotation(0.5)
    x, y = batch(steps=40)
    x[:, 10:] = 0.0
    finding = found(diagnose(model, (x, y)), "UC204")
    assert finding.evidence["end"] < 1e-3 < finding.evidence["peak"]


def test_few_directions():
    model = rotation(1.0, inputs=0.1)
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(torch.eye(N))
        model.rnn.weight_ih_l0[:, 1] = 0.0
    finding = found(diagnose(model, batch()), "UC205")
    assert finding.severity is Severity.NOTE
    assert finding.evidence["effective_dimension"] < 1.5
    assert finding.evidence["largest"] == min(N, B - 1)


def test_dead_units():
    model = rotation(1.0, inputs=0.1, nonlinearity="relu")
    with torch.no_grad():
        model.rnn.bias_ih_l0[[2, 5]] = -1e3
    finding = found(diagnose(model, batch()), "UC207")
    assert finding.evidence["dead"] == [2, 5]
    assert finding.severity is Severity.NOTE
    with torch.no_grad():
        model.rnn.bias_ih_l0[:9] = -1e3
    assert "0, 1, 2, 3, 4, 5, 6, 7, ..." in found(diagnose(model, batch()), "UC207").message


def test_half_of_the_units_dead_is_a_warning_whose_remedy_differs_from_the_model():
    model = rotation(1.0, inputs=0.1, nonlinearity="relu")
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(torch.eye(N))
        model.rnn.bias_ih_l0[: N // 2 + 1] = -1e3
    finding = found(diagnose(model, batch()), "UC207")
    assert finding.severity is Severity.WARNING
    assert "identity" not in finding.remedy


@pytest.mark.parametrize(("steps", "severity"), [(60, Severity.NOTE), (120, Severity.WARNING)])
def test_a_gated_cell_that_forgets_is_a_note_below_a_hundred_steps(steps, severity):
    finding = found(diagnose(reader(nn.GRU), batch(steps=steps)), "UC201")
    assert finding.severity is severity


def test_short_gates_are_a_note_until_the_sequence_is_long():
    model = reader(nn.LSTM)
    assert found(diagnose(model, batch()), "UC208").severity is Severity.NOTE
    diagnosis = diagnose(model, batch(steps=100))
    assert found(diagnosis, "UC208").severity is Severity.WARNING
    carried = reader(nn.GRU)  # its gate z is shut, and the candidate carries everything
    with torch.no_grad():
        carried.rnn.bias_ih_l0[:N], carried.rnn.bias_ih_l0[N : 2 * N] = 30.0, -30.0
        carried.rnn.weight_hh_l0[2 * N :] = torch.eye(N)
        carried.rnn.weight_ih_l0.mul_(0.01)
        carried.rnn.bias_ih_l0[2 * N :] = carried.rnn.bias_hh_l0[2 * N :] = 0.0
    assert "UC208" not in codes(diagnose(carried, batch()))
    initialize_(model, bias="chrono(max_steps=100)", rng=0)
    assert "UC208" not in codes(diagnose(model, batch(steps=100)))


def test_the_lint_of_the_weights_goes_with_it():
    model = scaled(reader(nn.LSTM), 1.0)
    diagnosis = diagnose(model, batch())
    assert "UC101" in codes(diagnosis, "UC1")
    # What the drive of a file would say is measured here.
    assert "UC106" not in codes(diagnosis, "UC1")


def test_no_two_codes_share_a_name():
    names = [rule.name for rule in RULES.values()]
    assert len(set(names)) == len(names)
