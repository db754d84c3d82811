"""Rule UC120, weight-decay-on-decay."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers
from unitcircle.recurrence import LinearRecurrence

ENDS = {
    "A_log": "A to 1 in every head",
    "dt_bias": "the step to softplus(0) = 0.69",
    "log_dt": "the step to 1",
    "log_step": "the step to 1",
    "nu_log": "|λ| to exp(-1)",
    "time_decay": "λ to exp(-1)",
    "w0": "λ to exp(-exp(-1/2)/2) = 0.74",
    "recurrent_param": "λ to 2^-4 where the gate is half open",
    "fgate_bias": "the forget gate to 1/2",
    "gate_bias": "the gate to 1/2",
}
"""Parameter of a decay → where a weight decay takes it, which is where its value is 0."""


@rule("UC120", "weight-decay-on-decay", status="preview")
def weight_decay_on_decay(exam: Examination) -> Iterator[Finding]:
    """With `diagnose(model, optimizer=...)`: the optimizer pulls a parameter of a decay to 0, or does not move it.

    ## What was found
    A parameter of the decay of a linear recurrence (`A_log`, `dt_bias`, `nu_log`, `time_decay`, ...) is in a group of
    the optimizer with a weight decay above 0; or it is to be trained and is in no group of the optimizer.

    ## Why it matters
    These parameters are logarithms: 0 is not "no effect" but one decay for all heads, A = 1 and Δ = 0.69, with which
    1/e of a write is left after 1.4 tokens. The authors of Mamba mark them with `_no_weight_decay`, which torch's
    optimizers do not read (state-spaces/mamba#798). With AdamW the distance from 0 halves in ln 2 / (lr · decay) steps.

    ## Remedy
    A group of its own with `weight_decay=0` for the parameters that the finding names.
    """
    if exam.optimizer is None:
        return
    for layer, linear in linear_layers(exam):
        for parameter, tensor in stored_names(layer, linear).items():
            stored = linear.names.get(parameter, parameter)
            group = exam.optimizer.get(tensor)
            if group is None:
                continue
            if not group.held:
                if group.trainable:
                    yield Finding(
                        Severity.NOTE,
                        layer.place(stored),
                        f"{stored} is to be trained and is in no group of the optimizer: it stays as it is",
                        "the decay of this layer does not learn",
                        f"add {stored} to a group of the optimizer, with weight_decay=0, or set requires_grad=False",
                        {"parameter": parameter, "tensor": tensor},
                    )
                continue
            if not group.weight_decay > 0:
                continue
            steps = math.log(2) / (group.rate * group.weight_decay) if group.rate > 0 else math.inf
            marked = "; its _no_weight_decay is not read by this optimizer" if group.marked else ""
            yield Finding(
                Severity.WARNING,
                layer.place(stored),
                f"{stored} has a weight decay of {group.weight_decay:g}, which takes {ENDS.get(parameter, 'it to 0')}, "
                f"half of the way in {steps:,.0f} steps at the rate {group.rate:g}{marked}",
                "weight decay takes the decay of all heads to one value, that of a parameter of 0",
                f"put {stored} into a group of the optimizer with weight_decay=0",
                {"parameter": parameter, "tensor": tensor, "weight_decay": group.weight_decay, "rate": group.rate},
            )


def stored_names(layer: LayerExamination, linear: LinearRecurrence) -> dict[str, str]:
    """Return parameter of the decay → the full name of its tensor."""
    tensors = layer.layer.source.tensors
    found: dict[str, str] = {}
    for parameter, stored in linear.names.items():
        name = next((name for name in tensors if name == stored or name.endswith((f".{stored}", f"/{stored}"))), "")
        if name and parameter in ENDS:
            found[parameter] = name
    return found
