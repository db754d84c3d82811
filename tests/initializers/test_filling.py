"""What is asked of a model's gates, and whether it can be done, without a framework."""

from dataclasses import dataclass

import numpy as np
import pytest

from unitcircle._filling import Filling, biases_of, gated_cell
from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Chrono, Constant, Filled, Initialization, Orthogonal, require


@dataclass(frozen=True)
class Cell:
    gates: tuple[str, ...]
    keeping: str
    has_bias: bool = True


LSTM, PLAIN = Cell(("i", "f", "g", "o"), "f"), Cell(("h",), "h")


def test_gates_that_are_not_named_get_the_rest_or_nothing():
    filling = Filling.parse({"g": "orthogonal", "*": "constant(value=2)"}, {"f": "zeros"}, None)
    assert filling.by_gate(filling.recurrent, "ig") == {"i": Constant(2.0), "g": Orthogonal()}
    assert list(filling.by_gate(filling.input, LSTM.gates)) == ["f"]
    assert filling.by_gate(Filling.parse(None, None, "zeros").recurrent, LSTM.gates) == {}


def test_gate_biases_pass_plain_cells_by():
    filling = Filling.parse(None, None, "chrono")
    filling.check([PLAIN, LSTM])
    assert [filling.fills_bias(cell) for cell in (PLAIN, LSTM, Cell(LSTM.gates, "f", has_bias=False))] == [
        False,
        True,
        False,
    ]
    assert Filling.parse(None, None, "zeros").fills_bias(PLAIN)
    assert not Filling.parse("orthogonal", None, None).fills_bias(LSTM)


@pytest.mark.parametrize(
    ("asked", "cells", "error", "words"),
    [
        ((None, None, None), [LSTM], ArgumentError, "must be told what to fill"),
        (({"z": "eigen"}, None, None), [LSTM, PLAIN], UnknownNameError, "f, g, h, i, o"),
        ((None, None, "eigen"), [LSTM], ArgumentError, "chrono, uniform_gate, zeros or constant; got eigen"),
        ((None, None, "chrono"), [PLAIN], ArgumentError, "plain layers without gates"),
        ((None, None, "zeros"), [Cell(LSTM.gates, "f", has_bias=False)], ArgumentError, "layers without biases"),
    ],
)
def test_what_a_model_does_not_have_is_refused(asked, cells, error, words):
    with pytest.raises(error, match=words):
        Filling.parse(*asked).check(cells)


@pytest.mark.parametrize(
    ("gates", "keeping", "decided"), [("ifgo", "f", {"f", "i"}), ("rzn", "z", {"z"}), ("fn", "f", {"f"})]
)
def test_a_gate_bias_decides_for_the_gate_that_keeps(gates, keeping, decided):
    assert set(biases_of(Chrono(), np.zeros(3), gates, keeping=keeping)) == decided
    assert set(biases_of(Constant(), np.zeros(3), gates, keeping=keeping)) == set(gates)


def test_the_number_of_gates_tells_the_cell():
    assert [gated_cell(Chrono(), gates) for gates in (4, 3)] == ["lstm", "gru"]
    with pytest.raises(ArgumentError, match=r"gates must be 4 \(LSTM\) or 3 \(GRU\) for chrono\(max_steps=784.0\)"):
        gated_cell(Chrono(), 2)


def test_broken_promises_are_listed():
    blocks = [Filled("w", gate, Orthogonal(), Orthogonal().certificate(scale * np.eye(3))) for gate, scale in
              (("i", 1.0), ("f", 2.0), ("", 3.0))]  # fmt: skip
    assert require(blocks[:1]) == (blocks[0],)
    with pytest.raises(CertificateError, match=r"^w\[f\] = .*DOES NOT HOLD.*\nw = .*DOES NOT HOLD"):
        require(blocks)
    assert str(Initialization(tuple(blocks))).splitlines()[2].startswith("w = orthogonal(gain=1.0): ")
