"""What a batch shows of its task, and what a layer that forgets is then worth."""

from __future__ import annotations

import math

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Severity
from unitcircle.diagnosis._foretelling import TELLS as HALF
from unitcircle.diagnosis._remedies import Action
from unitcircle.diagnosis._remedy import best_action, initialize_call
from unitcircle.diagnosis.rules._layers import live_layers

LONG = 100
"""Where nothing is known of the task, a gated cell that forgets is a warning from this length on."""
OUTWEIGHED = 3 / 4
"""Share of the steps beyond reach from which on a gated cell is warned of where every step may count a little: even if
only the last half of them counts, half of what counts is beyond."""


def near(exam: Examination) -> float:
    """Return the share of the target that a readout of what is near foretells, in any layer; NaN where unknown."""
    return _largest([live.readable for _, live in live_layers(exam)])


def far(exam: Examination) -> float:
    """Return the share of the target that a few steps beyond the gradient's reach foretell; NaN where unknown."""
    return _largest([live.far for _, live in live_layers(exam)])


def _largest(values: list[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def severity_of_forgetting(exam: Examination, layer: LayerExamination) -> Severity:
    """Return how bad it is that a layer forgets: a warning where a remedy was seen to pay on such a task."""
    gated = layer.gated
    if math.isnan(near(exam)):
        return Severity.NOTE if gated and exam.steps < LONG else Severity.WARNING
    if near(exam) >= HALF:
        return Severity.NOTE
    if far(exam) >= HALF:
        return Severity.WARNING
    # Where every step counts a little, a plain cell learned as it was, and no initialization was better. If the steps
    # count equally, those within reach tell as large a share of the target as they are of the steps: a start, from
    # which training lengthens the reach, since the next step further back tells as much. A remedy gives the whole
    # length at once and slows what is near, so it pays where most of what counts is beyond.
    return Severity.WARNING if gated and beyond_reach(layer) >= OUTWEIGHED else Severity.NOTE


def beyond_reach(layer: LayerExamination) -> float:
    """Return the share of the steps of data that lie beyond the gradient's reach."""
    live = layer.live
    return 1.0 if live is None else 1 - live.reach / max(live.steps - live.padding, 1)


def worth(exam: Examination, layer: LayerExamination, severity: Severity, action: Action) -> tuple[Severity, Action]:
    """Return severity and remedy of a defect of the weights: inside its model, what the batch shows decides."""
    if layer.live is None:
        return severity, action
    cut = layer.live.cut is not None and exam.steps > layer.live.cut  # no weight carries anything beyond it
    if math.isnan(near(exam)) and not cut:  # nothing is known of the task: a defect is what it is in a file
        return severity, best_action(layer, exam)
    severity = Severity.NOTE if cut else min(severity, severity_of_forgetting(exam, layer))
    return severity, best_action(layer, exam) if severity > Severity.NOTE else {}


def after_mending(exam: Examination, layer: LayerExamination) -> tuple[Action, str]:
    """Return what the weights need once a fault of the code is mended, as an initialization and as a clause."""
    live = layer.live
    assert live is not None
    # What is left of the state over one step, from the lags of data that a gradient passes.
    end = live.steps if live.cut is None else live.cut - 1
    curve = live.log_jacobian[live.padding : end + 1]
    curve = curve[np.isfinite(curve)]
    if len(curve) < 2 or severity_of_forgetting(exam, layer) is Severity.NOTE:
        return {}, ""
    rate = float(curve[-1] - curve[0]) / (len(curve) - 1)
    length = exam.steps - live.padding
    if rate * length > math.log(LOST) or not (action := best_action(layer, exam)):
        return {}, ""
    lost = math.ceil(math.log(LOST) / rate)
    clause = f"; then {initialize_call(layer, **action)}, since the weights leave 1/1000 after {lost} of {length} steps"
    return action, clause


def no_remedy(exam: Examination) -> str:
    """Return why a finding about memory in a live model asks for nothing."""
    if near(exam) >= HALF:
        return "none is needed: what is near tells enough of this task"
    if not math.isnan(far(exam)) and far(exam) < HALF:
        return "none was seen to pay where no far step tells much of the target; train, and look again"
    return "none by itself: what this batch shows decides (UC201, UC208, UC209, UC210)"


def task_clause(exam: Examination) -> str:
    """Return what was measured of the task, as a clause; empty where nothing was."""
    if math.isnan(near(exam)):
        return ""
    shares = f"what is nearer foretells {max(near(exam), 0):.0%} of the target"
    return f"; {shares}, a few steps that reach beyond {max(far(exam), 0):.0%}"
