"""The peak memory of a stack against what was allocated."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unitcircle.experiments.training import _peak_memory as module
from unitcircle.experiments.training._peak_memory import forget_peak, peak_memory

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_is_forgotten_and_a_new_one_is_seen():
    forget_peak(CPU)
    before = peak_memory(CPU)
    held = np.ones((100, 2**17))
    assert peak_memory(CPU) == pytest.approx(before + 100, abs=10)
    del held
    forget_peak(CPU)
    assert peak_memory(CPU) == pytest.approx(before, abs=10)


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd", 2**10)])
def test_it_is_in_mebibytes_on_every_system(platform, unit, monkeypatch, tmp_path):
    usage = SimpleNamespace(ru_maxrss=300 * 2**20 // unit)
    monkeypatch.setattr(module, "_PROCESS", tmp_path / "none")
    monkeypatch.setattr(module.sys, "platform", platform)
    monkeypatch.setattr(module.resource, "getrusage", lambda _: usage)
    forget_peak(CPU)
    assert peak_memory(CPU) == 300
