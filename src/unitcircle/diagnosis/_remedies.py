"""The one list of initializations that may remedy a layer, for findings and for trials, the best first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unitcircle.ensembles import MeanField
from unitcircle.errors import UnknownNameError
from unitcircle.initializers import Critical, parse
from unitcircle.recurrence import Cell, RecurrentLayer

if TYPE_CHECKING:
    from unitcircle.diagnosis._live_layer import LiveLayer

Action = Mapping[str, str]
"""Arguments of ``initialize_``: ``{"recurrent": "orthogonal", "bias": "forget_bias"}``."""
ONE_ACTIVATION = {Cell.RNN, Cell.RNN_TANH, Cell.RNN_RELU, Cell.LINEAR}
"""Plain cells without a leak: a step is one activation of one affine map."""


def chrono_for(steps: int, /) -> str:
    """Return the specification of forget biases spread over a length; their law needs at least 3 steps."""
    return f"chrono(max_steps={max(steps, 3)})"


def remedies(layer: RecurrentLayer, steps: int, live: LiveLayer | None = None, /) -> list[Action]:
    """Return the initializations that may help a layer over a length, the best first, without what it already is."""
    if layer.projection is not None or layer.cell in {Cell.DIAGONAL, Cell.LOW_RANK_RNN, Cell.HAND_WRITTEN}:
        return []
    actions: list[Action]
    if layer.cell.gated:
        bias = {"bias": chrono_for(steps)}
        # Orthogonal weights alone helped no gated cell whose task needs memory (docs/results/verdicts.md).
        actions = [bias, {"recurrent": "orthogonal"} | bias] if layer.biases else []
    else:
        names = [*(["identity"] if layer.cell is Cell.RNN_RELU else []), "block_rotation", "orthogonal"]
        if live is not None and (critical := critical_for(layer, live)):
            # What grows needs it first; of what vanishes docs/results/critical-modulus.md found nothing better in it.
            names.insert(0 if live.grows else len(names), critical)
        actions = [{"recurrent": name} for name in names]
    return [action for action in actions if not has(layer, action)]


def critical_for(layer: RecurrentLayer, live: LiveLayer, /) -> str:
    """Return the specification of the critical weight for the inputs of a batch; empty where it is not known."""
    if live.drive is None or layer.cell not in ONE_ACTIVATION:
        return ""
    activation = layer.activations.get("h", "")
    try:
        MeanField(activation=activation)
    except UnknownNameError:
        return ""
    input_std, bias_std = (float(f"{std:.2g}") for std in live.drive)
    return str(Critical(input_std, activation, bias_std)).replace(", leak=1.0", "")


def has(layer: RecurrentLayer, action: Action, /) -> bool:
    """Return whether a layer already is what an initialization would make of it, by the initializer's certificate."""
    held: list[bool] = []
    if "recurrent" in action:
        held += [parse(action["recurrent"]).certificate(block).holds for block in layer.gates.values()]
    if "bias" in action:
        keeping = layer.biases.get(layer.cell.keeping)
        held.append(keeping is not None and parse(action["bias"]).certificate(keeping).holds)
    return all(held)


def name_of(action: Action, /) -> str:
    """Return an initialization as ``try_initializers`` takes it: ``"orthogonal + chrono(max_steps=100)"``."""
    return " + ".join(action[role] for role in ("recurrent", "bias") if role in action)
