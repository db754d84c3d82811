"""What to do about a state or gradient that grows."""

from __future__ import annotations

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._remedies import Action
from unitcircle.diagnosis._remedy import best_action, initialize_call


def growth_remedy(layer: LayerExamination, exam: Examination, /) -> tuple[str, Action]:
    """Return what to do about growth, as text and as an initialization: for a plain cell the critical gain."""
    calibrated = "unitcircle.dynamics.calibrate_(model, batch), or lower the recurrent gain"
    lower = calibrated if layer.layer.source.layout.startswith("torch") else "lower the recurrent gain"
    action = {} if layer.layer.cell.gated else best_action(layer, exam)
    if not action:
        return lower, {}
    of_batch = ", critical for the inputs of this batch" * action["recurrent"].startswith("critical(")
    return f"{initialize_call(layer, **action)}{of_batch}; or {lower}", action
