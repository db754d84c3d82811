"""Findings UC3xx: each fires on the run it describes, and stays silent on its healthy twin."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.diagnosis import Place
from unitcircle.monitor import RULES, Monitor, TrainingStopped, UnitcircleWarning
from unitcircle.monitor._finding_reporter import QUIET, FindingReporter
from unitcircle.monitor._history import LENGTH, History
from unitcircle.monitor._weights import WeightRole

NAN, INF = math.nan, math.inf


def _found(code, columns, *, role=WeightRole.PLAIN, block="W"):
    """Return the findings of the last measurement of a run given as metric → values."""
    history = History()
    place = {block: (Place(block, tensor=block), role)}
    for k in range(len(next(iter(columns.values())))):
        history.add(10 * k, {name: values[k] for name, values in columns.items()}, place)
    return list(RULES[code].findings(history))


def test_every_rule_has_a_page_with_its_sections():
    assert list(RULES) == ["UC301", "UC302", "UC303", "UC304", "UC305"]
    for code, rule in RULES.items():
        assert rule.code == code
        assert rule.summary.endswith(".")
        for section in ("## What was found", "## Why it matters", "## Remedy"):
            assert section in rule.page


DEAD = [1.0, 0.9, 0.8, 1e-5, 1e-5, 1e-6]


def test_a_gradient_that_died():
    (found,) = _found("UC301", {"W/gradient": DEAD, "loss": [2.0] * 6})
    assert (found.code, found.name, str(found.severity)) == ("UC301", "gradient-died", "error")
    assert found.evidence["since"] == 30
    assert found.place.layer == "W"


@pytest.mark.parametrize(
    "columns",
    [
        {"W/gradient": DEAD, "loss": [2.0, 1.0, 0.5, 0.1, 0.1, 0.1]},  # it has learned
        {"W/gradient": [1.0, 0.9, 0.8, 0.7, 1e-5, 1e-5], "loss": [2.0] * 6},  # not three in a row
        {"W/gradient": [1.0, 1e-5, 1e-5, 1e-5, 0.5], "loss": [2.0] * 5},  # it came back
        {"W/gradient": [0.0, 0.0, 0.0, 0.0], "loss": [2.0] * 4},  # it never was there
    ],
)
def test_gradients_that_are_no_cause_for_alarm(columns):
    assert not _found("UC301", columns)


@pytest.mark.parametrize("loss", [{}, {"loss": [-2.0, -2.1, -2.2, -2.3, -2.3, -2.3]}])
def test_a_small_gradient_without_a_loss_to_judge_it_by_is_a_note(loss):
    (found,) = _found("UC301", {"W/gradient": DEAD} | loss)
    assert str(found.severity) == "note"
    assert "loss" not in found.why
    assert found.remedy.startswith("nothing, if the loss is low")


def test_a_negative_loss_that_fell_is_low():
    assert not _found("UC301", {"W/gradient": DEAD, "loss": [-1.0, -4.0, -9.0, -9.0, -9.0, -9.0]})
    assert not _found("UC301", {"W/gradient": DEAD, "loss": [1.0, -4.0, -9.0, -9.0, -9.0, -9.0]})


@pytest.mark.filterwarnings("ignore:.*Nothing, if the loss is low:unitcircle.monitor.UnitcircleWarning")
def test_a_run_that_succeeds_without_its_loss_is_not_stopped():
    torch.manual_seed(0)
    model, heard = nn.ModuleDict({"rnn": nn.RNN(1, 4), "out": nn.Linear(4, 1)}), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    sinks = [lambda record, _: heard.extend(record.get("findings", ()))]
    monitor = Monitor(model, every=10, overhead=1.0, sinks=sinks, on_finding="stop", rules=["UC301"])
    for _ in range(150):
        loss = (model["out"](model["rnn"](torch.ones(3, 2, 1))[0][-1]) - 0.5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step()
        optimizer.step()
    assert loss.item() < 1e-8
    assert not monitor.should_stop
    assert [str(finding.severity) for finding in heard] == ["note"]


def test_a_gradient_that_no_longer_reaches_back():
    reach = [math.log(0.1), math.log(1e-2), math.log(1e-8), math.log(1e-9)]
    (found,) = _found("UC301", {"l0/gradient_reach": reach})
    assert found.evidence["since"] == 20
    assert not _found("UC301", {"l0/gradient_reach": [math.log(1e-9)] * 4})  # as it was when training began
    assert _found("UC301", {"l0/gradient_reach": [math.log(0.1), -INF, -INF]})


def test_a_radius_that_passed_and_still_grows():
    columns = {"W/radius": [1.0, 1.2, 1.6, 1.7, 1.8]}
    (found,) = _found("UC302", columns)
    assert str(found.severity) == "warning"
    assert found.evidence["passed"] == 20
    (gate,) = _found("UC302", columns, role=WeightRole.GATE)
    assert str(gate.severity) == "note"
    # A plain network that learns to remember raises ρ: no harm is seen while the loss falls, or is low.
    for loss in ([1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 0.2, 0.2, 0.2, 0.2]):
        (learns,) = _found("UC302", columns | {"loss": loss})
        assert str(learns.severity) == "note"
    for loss in ([1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 0.9, 0.8, 1.5, 3.0]):
        (harm,) = _found("UC302", columns | {"loss": loss})
        assert str(harm.severity) == "warning"


@pytest.mark.parametrize(
    ("loss", "severity"),
    [([-1.0, -1.1, -1.3, -1.9, -2.2], "note"), ([-2.0, -2.0, -1.9, -1.9, -1.9], "warning")],
)
def test_a_negative_loss_falls_when_it_falls(loss, severity):
    (found,) = _found("UC302", {"W/radius": [1.0, 1.2, 1.6, 1.7, 1.8], "loss": loss})
    assert str(found.severity) == severity


def test_the_step_at_which_a_radius_passed_is_the_latest():
    (found,) = _found("UC302", {"W/radius": [1.0, 1.6, 1.3, 1.4, 1.6, 1.7]})
    assert found.evidence["passed"] == 40


@pytest.mark.parametrize(
    "radius",
    [
        [1.0, 1.2, 1.3, 1.4, 1.45],  # below
        [1.0, 1.6, 1.7, 1.8, 1.75],  # falls again
        [1.0, 1.7, 1.7, 1.7, 1.701],  # has settled
        [2.0, 2.1, 2.2, 2.3, 2.4],  # began there
    ],
)
def test_radii_that_are_no_cause_for_alarm(radius):
    assert not _found("UC302", {"W/radius": radius})


def test_orthogonality_that_is_lost():
    columns = {"W/orthogonality": [1e-6, 0.3, 0.6], "W/drift": [0.0, 0.2, 0.4], "W/tangent": [1.0, 0.3, 0.3]}
    (found,) = _found("UC303", columns)
    assert str(found.severity) == "note"
    assert "changed by 0.4, 30% of it tangent" in found.message
    assert not _found("UC303", {"W/orthogonality": [1e-6, 0.3]})
    assert not _found("UC303", {"W/orthogonality": [0.9, 1.0]})  # it never was


QUIET_LOSS = [1.0, 0.9, 1.0, 0.9, 1.0]


def test_a_spike_after_transient_growth():
    (found,) = _found(
        "UC304",
        {"loss": QUIET_LOSS, "loss_peak": [1.0, 1.0, 1.0, 1.0, 9.0], "W/transient": [0.1, 0.1, 0.5, 1.2, 1.3]},
    )
    assert found.evidence["loss_peak"] == 9.0
    assert str(found.severity) == "warning"
    assert "between steps 30 and 40" in found.message


def test_a_spike_of_a_gated_cell_is_a_note():
    columns = {"loss": QUIET_LOSS, "loss_peak": [1.0, 1.0, 1.0, 1.0, 9.0], "W/transient": [0.1, 0.1, 0.5, 1.2, 1.3]}
    (found,) = _found("UC304", columns, role=WeightRole.GATE)
    assert str(found.severity) == "note"


def test_a_weight_that_is_applied_once_is_not_judged_by_what_is_about_time():
    radius = {"W/radius": [1.0, 1.2, 1.6, 1.7, 1.8]}
    spike = {"loss": QUIET_LOSS, "loss_peak": [1.0, 1.0, 1.0, 1.0, 9.0], "W/transient": [0.1, 0.1, 0.5, 1.2, 1.3]}
    assert not _found("UC302", radius, role=WeightRole.SQUARE)
    assert not _found("UC304", spike, role=WeightRole.SQUARE)
    for code, columns in (
        ("UC301", {"W/gradient": DEAD, "loss": [2.0] * 6}),
        ("UC303", {"W/orthogonality": [1e-6, 0.6]}),
        ("UC305", {"W/norm": [1.0, NAN]}),
    ):
        assert _found(code, columns, role=WeightRole.SQUARE)


@pytest.mark.parametrize(("peak", "spikes"), [(-0.9, False), (0.5, False), (3.5, True)])
def test_a_spike_of_a_negative_loss_is_one_of_its_size(peak, spikes):
    columns = {"loss": [-1.0] * 5, "loss_peak": [-0.9] * 4 + [peak], "W/transient": [0.1, 0.1, 0.5, 1.2, 1.3]}
    assert bool(_found("UC304", columns)) == spikes


def test_losses_that_always_scatter_are_no_spike():
    columns = {"loss": QUIET_LOSS, "loss_peak": [7.0, 9.0, 8.0, 7.0, 9.0], "W/transient": [0.1, 0.1, 0.5, 1.2, 1.3]}
    assert not _found("UC304", columns)


@pytest.mark.parametrize(
    ("peak", "transient"),
    [
        (9.0, [0.1, 0.1, 0.1, 0.1, 1.3]),  # growth came with the spike, not before it
        (9.0, [1.2, 1.2, 1.2, 1.2, 1.2]),  # growth was always there
        (2.0, [0.1, 0.1, 0.5, 1.2, 1.3]),  # no spike
        (NAN, [0.1, 0.1, 0.5, 1.2, 1.3]),
    ],
)
def test_spikes_that_are_not_explained(peak, transient):
    columns = {"loss": QUIET_LOSS, "loss_peak": [1.0, 1.0, 1.0, 1.0, peak], "W/transient": transient}
    assert not _found("UC304", columns)


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        ({"W/radius": [1.0, NAN], "loss": [1.0, 1.0]}, 1),
        ({"W/norm": [1.0, NAN]}, 1),
        ({"W/gradient": [1.0, INF, NAN]}, 1),
        ({"W/gradient": [1.0, 1.0, INF]}, 0),  # one overflow, as under mixed precision
        ({"loss": [1.0, NAN]}, 1),
        ({"loss": [1.0, 1.0], "W/radius": [1.0, 1.0]}, 0),
    ],
)
def test_what_is_not_finite(columns, count):
    found = _found("UC305", columns)
    assert len(found) == count
    assert all(str(finding.severity) == "error" for finding in found)


def test_the_history_is_bounded_and_remembers_the_first_value():
    history = History()
    for k in range(3 * LENGTH):
        history.add(k, {"x": float(k) if k else NAN}, {})
    series = history.series("x")
    assert len(series) == LENGTH
    assert (series.first, series.now) == (1.0, 3 * LENGTH - 1)
    again = History()
    again.load_state_dict(history.state_dict())
    assert (again.series("x").values == series.values).all()
    assert again.series("x").first == 1.0
    assert len(again.series("nothing")) == 0


def test_findings_are_rate_limited_with_growing_silence():
    alarm = FindingReporter("ignore", ["UC305"])
    history = History()
    history.add(0, {"loss": NAN}, {})
    heard = [m for m in range(100) if list(alarm.findings(history, m))]
    assert heard == [0, QUIET, 3 * QUIET, 7 * QUIET]
    resumed = FindingReporter("ignore", ["uc3"])
    resumed.load_state_dict(alarm.state_dict())
    assert not list(resumed.findings(history, 100))


def test_a_note_is_not_repeated():
    alarm = FindingReporter("ignore", ["UC303"])
    history = History()
    for value in (0.0, 0.9):
        history.add(0, {"W/orthogonality": value}, {"W": (Place("W"), WeightRole.PLAIN)})
    assert [m for m in range(200) if list(alarm.findings(history, m))] == [0]


def test_a_note_does_not_silence_the_warning_that_it_becomes():
    alarm, history = FindingReporter("ignore", ["UC302"]), History()
    heard = []
    for k in range(20):
        loss = 1 / (k + 1) if k < 9 else 10.0 + k
        history.add(k, {"W/radius": 1.0 + k / 4, "loss": loss}, {"W": (Place("W"), WeightRole.PLAIN)})
        heard += [str(finding.severity) for finding in alarm.findings(history, k)]
    assert heard == ["note", "warning"]


@pytest.mark.parametrize(("layer", "batch", "rate"), [(nn.RNN, 32, 3e-3), (nn.GRU, 4, 1e-2)])
def test_a_run_that_learns_hears_no_warning(layer, batch, rate):
    # Small batches and long steps: the loss scatters and ρ grows, and yet all is well.
    torch.manual_seed(0)
    model, heard = nn.ModuleDict({"rnn": layer(1, 16), "out": nn.Linear(16, 1)}), []
    optimizer, losses = torch.optim.Adam(model.parameters(), rate), []
    monitor = Monitor(model, every=10, overhead=1.0, sinks=[], on_finding=heard.append)
    for _ in range(250):
        x = 0.1 * torch.randn(12, batch, 1)
        x[0] *= 10
        loss = (model["out"](model["rnn"](x)[0][-1]) - x[0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step(loss=loss)
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:20])
    assert not [finding.code for finding in heard if str(finding.severity) != "note"]


def _monitor(W, **options):
    return Monitor(lambda: {"W": W}, every=1, overhead=1.0, **({"sinks": []} | options))


def test_warn_names_code_place_and_remedy():
    with pytest.warns(UnitcircleWarning, match=r"model: UC305 error: the loss is nan at step 0\. Go back .*\(UC305\)"):
        _monitor(np.eye(2)).step(loss=NAN)


def test_a_warning_points_at_the_training_loop():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _monitor(np.eye(2)).step(loss=NAN)
    assert caught[0].filename == __file__


def test_stop_raises_after_the_record_is_written():
    records = []
    monitor = _monitor(np.eye(2), on_finding="stop", sinks=[lambda record, step: records.append(record)])
    assert not monitor.should_stop
    with pytest.raises(TrainingStopped, match=r"UC305 .* at step 0\. Go back") as stopped:
        monitor.step(loss=NAN)
    assert monitor.should_stop
    assert records[0]["findings"] == [stopped.value.finding]


def test_a_function_hears_of_it():
    heard = []
    _monitor(np.eye(2), on_finding=heard.append).step(loss=NAN)
    assert [finding.code for finding in heard] == ["UC305"]


def test_a_note_never_stops():
    W = np.eye(4)
    monitor = _monitor(W, on_finding="stop", rules=["UC303"])
    monitor.step()
    W *= 2
    with pytest.warns(UnitcircleWarning, match="UC303"):
        monitor.step()


def test_rules_can_be_chosen():
    _monitor(np.eye(2), rules=["UC301", "UC302"]).step(loss=NAN)


def test_a_real_run_whose_gradient_dies_is_caught_at_the_step():
    torch.manual_seed(0)
    model, heard = nn.RNN(1, 8, nonlinearity="relu"), []
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    monitor = Monitor(model, every=1, overhead=1.0, sinks=[], on_finding=heard.append, rules=["UC301"])
    for k in range(14):
        output = model(torch.ones(5, 4, 1))[0]
        loss = (output - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step(loss=loss)
        optimizer.step()
        if k == 6:  # one step that was too long switches every unit off
            with torch.no_grad():
                model.bias_hh_l0.fill_(-100.0)
    (found,) = heard
    assert found.code == "UC301"
    assert found.evidence["since"] == 7


def test_a_real_run_that_diverges_is_caught():
    torch.manual_seed(0)
    model, heard = nn.RNN(1, 8, nonlinearity="relu"), []
    nn.init.constant_(model.weight_hh_l0, 0.1)
    monitor = Monitor(model, every=1, overhead=1.0, sinks=[], on_finding=heard.append)
    for _ in range(12):
        with torch.no_grad():
            model.weight_hh_l0.mul_(1.3)
        monitor.step()
    with torch.no_grad():
        model.weight_hh_l0.fill_(NAN)
    monitor.step()
    assert [finding.code for finding in heard] == ["UC302", "UC305"]
