"""The table of a report against the JSON: whatever the width and the names, no number is cropped."""

import io
import math

import numpy as np
import pytest
from rich.console import Console

from unitcircle.diagnosis import diagnose, diagnosis_view
from unitcircle.recurrence import from_diagonal, from_torch
from unitcircle.report import factor

RNG = np.random.default_rng(0)
LAYERS = [
    from_torch(
        0.66 * RNG.standard_normal((128, 128)) / math.sqrt(128),
        cell="rnn_tanh",
        weight_ih=0.1 * RNG.standard_normal((128, 22)),
        name="encoder.layers.0.cell",
    ),
    from_torch(
        1e3 * RNG.standard_normal((64, 16)),
        cell="lstm",
        bias_ih=np.zeros(64),
        name="一个很长的名字.module.decoder.block.17.recurrent.very_long_name_of_a_layer",
    ),
    from_diagonal(np.full(4, 1e-7), name="x"),
]


def printed(diagnosis, width):
    out = io.StringIO()
    console = Console(width=width, file=out, highlight=False, emoji=False, markup=False)
    console.print(diagnosis_view(diagnosis))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("steps", [9, 64, 999])
def test_every_number_of_the_table_is_that_of_the_json(width, steps):
    diagnosis = diagnose(LAYERS, steps=steps)
    text = printed(diagnosis, width)
    words = text.split()
    for layer in diagnosis.to_dict()["layers"]:
        for gate in layer["gates"].values():
            expected = [f"{gate['radius']:.4f}"] if set(gate) == {"radius"} else [
                f"{gate['radius']:.3f}", f"{gate['norm']:.3f}", f"{gate['departure_from_normality']:.2f}"
            ]  # fmt: skip
            for number in expected:
                assert number in words, (width, number)
        growth = layer["driven"]["log_growth"][-1] if layer["driven"] else steps * math.log(1e-7)
        assert factor(growth) in words, (width, factor(growth))
    # In the table a long name is folded over several rows; on a line of its own it is whole.
    whole = {60: 99, 80: 4, 120: 4}[width]
    assert all(layer.name[:whole] in "".join(words) for layer in LAYERS)


@pytest.mark.parametrize("gate_norm", [1, 2, 7, 64, 999])
def test_the_norm_of_a_power_by_squaring_is_that_of_the_sequence_of_powers(gate_norm):
    W = RNG.standard_normal((12, 12)) / 4
    (lazy,) = diagnose([from_torch(W, cell="rnn_tanh")], steps=gate_norm, select=["UC105"]).layers
    squared = lazy.log_norm("h")
    # Both multiply by W up to T times: relative errors of n eps a product.
    assert squared == pytest.approx(lazy.log_norms["h"][-1], abs=12 * 999 * np.finfo(float).eps * 10)
    assert lazy.log_norm("h") == squared  # once it was asked for
    (known,) = diagnose([from_torch(W, cell="rnn_tanh")], steps=gate_norm, select=["UC105"]).layers
    last = known.log_norms["h"][-1]
    assert known.log_norm("h") == last


def test_the_power_of_a_nilpotent_weight_is_zero():
    for nilpotent in (np.zeros((3, 3)), np.diag([1.0, 1.0], 1)):
        (layer,) = diagnose([from_torch(nilpotent, cell="rnn_tanh")], steps=3, select=["UC105"]).layers
        assert layer.log_norm("h") == -math.inf
