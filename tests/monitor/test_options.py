"""The options of a monitor: typed once, checked once, the same for every front."""

import inspect
import subprocess
import sys
from typing import get_type_hints

import numpy as np
import pytest

from unitcircle import errors, monitor
from unitcircle.errors import UnknownNameError
from unitcircle.monitor import METRICS, Monitor, MonitorOptions, WeightOptions

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
