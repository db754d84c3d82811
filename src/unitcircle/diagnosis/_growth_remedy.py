"""What to do about a state or gradient that grows."""

from __future__ import annotations

from unitcircle.diagnosis._examination import ONE_ACTIVATION, LayerExamination
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.ensembles import MeanField
from unitcircle.errors import UnknownNameError
from unitcircle.initializers import Critical


def growth_remedy(layer: LayerExamination, live: LiveLayer, /) -> str:
    """Return what to do about growth: for a plain cell the gain that is critical for the drive of this batch."""
    recurrent = layer.layer
    lower = "unitcircle.dynamics.calibrate_(model, batch), or lower the recurrent gain"
    if live.drive is None or recurrent.cell not in ONE_ACTIVATION:
        return lower
    activation = recurrent.activations.get("h", "")
    try:
        MeanField(activation=activation)
    except UnknownNameError:  # its critical gain is not known
        return lower
    input_std, bias_std = (float(f"{std:.2g}") for std in live.drive)
    text = str(Critical(input_std, activation, bias_std)).replace(", leak=1.0", "")
    return f"{initialize_call(layer, recurrent=text)}, critical for the inputs of this batch; or {lower}"
