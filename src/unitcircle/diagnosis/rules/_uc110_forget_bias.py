"""Rule UC110, forget-bias."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._task import no_remedy, worth
from unitcircle.recurrence import Cell


@rule("UC110", "forget-bias", fix="safe")
def forget_bias(exam: Examination) -> Iterator[Finding]:
    """An untrained LSTM has no forget bias, or has it twice.

    ## What was found
    The forget-gate bias still has its initial values: one value for all units, or small values from the default
    U(±1/√n), and nothing else in the layer shows that it was trained. *Missing*: its mean is below 0.5. *Doubled*:
    torch adds two biases, and both hold the same positive value, so a forget bias of 1 acts as 2. A layer made without
    biases (`bias=False`), or whose biases are not known, is not reported.

    ## Why it matters
    With bias b the cell state keeps a share σ(b) at each step: one half at b = 0, so that 0.1 % is left after 10
    steps. Among all initializations of an LSTM that we compared, the forget bias mattered more than the recurrent
    weights. In a live model whose batch shows that the task needs nothing far (UC201) the finding is a note: there a
    longer memory made the trained score worse (docs/results/verdicts.md).

    ## Remedy
    Use `initialize_(model, bias="forget_bias")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`, which
    sets the sum of all biases in every layer and direction; for long gaps, `bias="chrono(max_steps=T)"`.
    """
    for layer in exam.layers:
        bias = layer.layer.biases.get("f")
        if layer.layer.cell is not Cell.LSTM or bias is None or not layer.finite or len(layer.layer.gates["f"]) < 2:
            continue
        total = np.asarray(bias, dtype=float)
        parts = [np.asarray(part["f"], dtype=float) for part in layer.layer.bias_parts.values() if "f" in part]
        constant = float(np.ptp(total)) == 0.0
        if exam.trained(layer):
            continue
        mean = float(total.mean())
        doubled = len(parts) == 2 and constant and mean > 0 and all(float(np.ptp(part)) == 0 for part in parts)
        if doubled and parts[0][0] == parts[1][0]:
            message = f"both torch biases of the forget gate are {parts[0][0]:g}: together they act as {mean:g}"
            severity, action = worth(exam, layer, Severity.WARNING, {"bias": "forget_bias"})
            remedy = f"set the sum: {initialize_call(layer, **action)}" if action else no_remedy(exam)
        elif mean < 0.5:
            what = "no forget bias" if not total.any() else f"a mean forget bias of {mean:.2f}"
            retention = _sigmoid(mean)
            memory = math.log(LOST) / -np.logaddexp(0.0, -mean)
            message = f"{what}: a step keeps {retention:.2f} of the cell state, 1/1000 is left after {memory:.0f} steps"
            severity, action = worth(exam, layer, Severity.WARNING, {"bias": exam.chrono})
            remedy = f"{initialize_call(layer, **action)}, or 'forget_bias'" if action else no_remedy(exam)
        else:
            continue
        yield Finding(
            severity,
            layer.place("f"),
            message,
            "the forget bias sets how long the cell state remembers before training has begun",
            remedy,
            {"mean_bias": mean, "retention": _sigmoid(mean), "parts": [float(part.mean()) for part in parts]},
            action=action,
        )


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
