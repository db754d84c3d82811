"""What is recorded of a run at its measured steps."""

import json

import numpy as np
import pytest

from unitcircle.experiments.training import Record, Run, train

EPS = np.finfo(float).eps


@pytest.mark.parametrize(("cell", "gates"), [("tanh(size=8)", "h"), ("gru(size=8)", "rzn")])
def test_every_measured_step_has_all_eigenvalues_of_every_gate(cell, gates, tmp_path):
    # The start of this law is known: all moduli are 0.9.
    run = Run("tomita(grammar=4)", cell, "eigen(modulus=0.9)", steps=3, evaluate_every=3, learning_rate=0.1)
    (record,) = train([run])
    record = Record.read(record.write(tmp_path))
    assert [measured["step"] for measured in record.diagnostics] == [0, 3]
    for measured, at in zip(record.diagnostics, (0, -1), strict=True):
        for gate in gates:
            values = np.array(measured[f"eigenvalues[{gate}]"])
            assert values.shape == (8, 2)
            moduli = np.hypot(*values.T)
            # The curve is measured by torch from the same weight.
            assert moduli.max() == pytest.approx(record.curves[f"radius[{gate}]"][at], rel=100 * 8 * EPS)
            if at == 0:
                # Weights are stored in float32.
                assert moduli == pytest.approx(0.9, rel=float(8 * 8 * np.finfo(np.float32).eps))


def test_the_eigenvalues_are_plain_json(tmp_path):
    (record,) = train([Run("tomita(grammar=4)", "tanh(size=4)", "orthogonal", steps=1, evaluate_every=1)])
    stored = json.loads(record.write(tmp_path).read_text(encoding="utf-8"))
    assert all(type(x) is float for pair in stored["diagnostics"][0]["eigenvalues[h]"] for x in pair)
