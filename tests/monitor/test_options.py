"""The options of a monitor: typed once, checked once, the same for every front."""

import inspect
import subprocess
import sys
from typing import get_type_hints

import numpy as np
import pytest

from unitcircle import errors, monitor
from unitcircle.diagnosis import Finding, Place, Severity
from unitcircle.errors import UnknownNameError
from unitcircle.monitor import METRICS, Monitor, MonitorOptions, WeightOptions
from unitcircle.monitor._finding_reporter import FindingReporter

OPTIONS = sorted(get_type_hints(MonitorOptions))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_described_with_the_monitor(name):
    assert f"``{name}`` (" in inspect.getdoc(Monitor)


def test_options_without_a_module_are_those_of_weights():
    assert set(OPTIONS) - set(get_type_hints(WeightOptions)) == {"names", "batch", "loss"}


def test_an_option_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'every'"):
        Monitor(lambda: {"W": np.eye(2)}, sinks=[], evry=5)


@pytest.mark.parametrize("group", METRICS)
def test_a_group_left_out_changes_no_other_number(group):
    W = np.diag([0.5, 2.0])

    def record_of(metrics):
        records = []
        sinks = [lambda record, step: records.append(record)]
        watching = Monitor(lambda: {"W": W}, every=1, overhead=1.0, sinks=sinks, metrics=metrics)
        for _ in range(2):
            watching.step(loss=1.0)
        return {name: value for name, value in records[-1].items() if not name.startswith(("monitor/", "run"))}

    whole, rest = record_of(METRICS), record_of([other for other in METRICS if other != group])
    own = {
        "radius": {"W/radius", "W/departure", "W/transient", "eigenvalues"},
        "norm": {"W/norm", "W/transient"},
        "loss": {"loss", "loss_peak"},
    }.get(group, {f"W/{group}"})
    assert whole.keys() - rest.keys() == own & whole.keys()
    for name in rest.keys() - {"eigenvalues"}:
        assert rest[name] == whole[name]


def test_the_package_is_cheap_to_import():
    code = "import sys, unitcircle.monitor; print({'numpy', 'torch', 'keras', 'jax', 'lightning'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_a_stop_is_one_of_the_errors_of_the_package():
    assert monitor.TrainingStopped is errors.TrainingStopped
    assert "TrainingStopped" in errors.__all__
    assert issubclass(errors.TrainingStopped, errors.UnitcircleError)


def test_names_that_do_not_exist_are_attribute_errors():
    with pytest.raises(AttributeError, match="Monitr"):
        _ = monitor.Monitr


def _one_record(model, **options):
    records = []
    Monitor(model, overhead=1.0, sinks=[lambda record, step: records.append(record)], **options).step(loss=1.0)
    return records[0]


def test_the_loss_of_the_batch_is_the_one_given():
    import torch

    torch.manual_seed(0)
    model, batch = torch.nn.RNN(2, 4), torch.rand(6, 3, 2)

    def at_step(k):
        return _one_record(model, batch=batch, loss=lambda output: output[0][k].square().sum(), metrics="flow")

    # What the last step says reaches back over the whole sequence; of the third, nothing comes from later ones.
    last, third = (at_step(k)["gradient_by_lag"]["l0"] for k in (-1, 2))
    assert np.isfinite(last).sum() > np.isfinite(third).sum()


def test_the_rng_is_that_of_the_searches():
    # Above 128 units only the first measurement is exact, and only if it is cheap: norms come from a search.
    W = np.random.default_rng(0).standard_normal((200, 200)) / 200**0.5

    def radius(rng):
        return _one_record(lambda: {"W": W}, rng=rng, metrics="norm")["W/norm"]

    generator = np.random.default_rng(3)
    assert radius(3) == radius(3) == radius(generator)
    assert radius(3) != radius(4)
    # A generator is drawn from, not copied.
    assert radius(generator) != radius(3)


@pytest.mark.parametrize(
    ("rules", "codes"), [("UC305", ["UC305"]), ("UC301", []), (["uc30"], ["UC305"]), ((), ["UC305"])]
)
def test_only_the_rules_given_are_looked_for(rules, codes):
    found = []
    watching = Monitor(lambda: {"W": np.eye(2)}, sinks=[], rules=rules, on_finding=found.append)
    watching.step(loss=float("nan"))
    assert [finding.code for finding in found] == codes


def test_ignored_findings_are_in_the_record_alone(recwarn):
    records = []
    sinks = [lambda record, step: records.append(record)]
    Monitor(lambda: {"W": np.eye(2)}, sinks=sinks, on_finding="ignore").step(loss=float("nan"))
    assert [finding.code for finding in records[0]["findings"]] == ["UC305"]
    assert not recwarn


@pytest.mark.parametrize(
    ("severity", "stops"), [(Severity.NOTE, False), (Severity.WARNING, True), (Severity.ERROR, True)]
)
def test_a_warning_stops_and_a_note_does_not(severity, stops):
    finding = Finding(severity, Place("W"), "message", "why", "remedy", {}, "UC302", "radius-grows")
    reporter = FindingReporter("stop", ())
    if stops:
        with pytest.raises(errors.TrainingStopped) as stopped:
            reporter.report(finding)
        assert stopped.value.finding is finding
    else:
        with pytest.warns(monitor.UnitcircleWarning, match="UC302"):
            reporter.report(finding)


def test_every_hundredth_step_is_measured_by_default():
    steps = []
    options = {"overhead": 1.0, "on_finding": "ignore", "sinks": [lambda record, step: steps.append(step)]}
    monitor = Monitor(lambda: {"W": np.diag([0.5, 0.4])}, **options)
    for _ in range(201):
        monitor.step()
    assert steps == [0, 100, 200]
