"""Files of real trained models: every gate's spectrum against reference values, and formats against each other."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from tests.checkpoints.test_keras import EIGHT_DIGITS

from unitcircle.checkpoints import read

SHARED = Path(__file__).parents[2].parent / "shared"
ORACLE = SHARED / "oracles" / "checkpoints.json"
if not ORACLE.exists():
    pytest.skip("the folder of real checkpoints is not here", allow_module_level=True)

RECORDS = json.loads(ORACLE.read_text())["records"]
FILES = ["silero_vad.jit", "gtcrn_stream_dns3.tar", "g2p.npz", "noaa_lstm.pt", "trajectron_pickled_module.pt"]


def file(name):
    return read(SHARED / "checkpoints" / name)


def tensor_name(record):
    """The name our reader gives, which leaves the containers of a module out."""
    return re.sub(r"(^|\.)_modules\.", r"\1", record["tensor"]).replace("._parameters.", ".")


@pytest.mark.parametrize("name", FILES)
def test_every_gate_has_the_reference_spectrum(name):
    gates = {
        (layer.source.tensors[0], layer.direction, gate): block
        for layer in file(name)
        for gate, block in layer.gates.items()
    }
    records = [record for record in RECORDS if record["file"] == name]
    assert len(gates) == len(records)
    for record in records:
        direction = {"fwd": "forward", "bwd": "reverse"}[record["direction"]]
        W = gates[tensor_name(record), direction, record["gate"]].astype(np.float64)
        assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(record["rho"], rel=EIGHT_DIGITS, abs=0)
        assert np.linalg.norm(W, 2) == pytest.approx(record["sigma_max"], rel=EIGHT_DIGITS, abs=0)


def contents(layer):
    return {
        (kind, gate): block
        for kind in ("gates", "inputs", "biases", "recurrent_biases")
        for gate, block in getattr(layer, kind).items()
    }


def equal(one, other):
    one, other = contents(one), contents(other)
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("one", "other"), [("silero_vad.jit", "silero_vad.onnx"), ("gtcrn_stream_dns3.tar", "gtcrn.onnx")]
)
def test_two_formats_of_the_same_weights_give_identical_layers(one, other):
    pytest.importorskip("onnx")
    first, second = list(file(one)), list(file(other))
    assert len(first) == len(second)
    for layer in first:
        twins = [twin for twin in second if equal(layer, twin)]
        assert len(twins) == 1
        assert (twins[0].cell, twins[0].direction, twins[0].reset_after) == (
            layer.cell,
            layer.direction,
            layer.reset_after,
        )
        second.remove(twins[0])


def test_a_pickled_module_drops_the_aliases_of_its_flat_weights():
    coverage = file("trajectron_pickled_module.pt").coverage
    aliases = [entry for entry in coverage.skipped if "_flat_weights" in entry.name]
    assert len(aliases) == 4
    assert all("same memory" in entry.reason for entry in aliases)


def test_reading_four_megabytes_is_quick():
    start = time.process_time()
    file("g2p.npz")
    assert time.process_time() - start < 1.0
