"""The one list of initializations that may remedy a layer, for findings and for trials, the best first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unitcircle.errors import UnknownNameError
from unitcircle.initializers import Critical, GateBias, parse
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
    if live is not None:
        steps -= live.padding  # which no weight should have to bridge
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
        if live is not None and mostly_dead(live):
            # Where no unit lives, no recurrent weight acts on anything.
            free = freeing(layer, live)
            actions = [free, *({**action, **free} for action in actions)]
    return [action for action in actions if not has(layer, action)]


def mostly_dead(live: LiveLayer, /) -> bool:
    """Return whether at least half of the units are constant, most of which change where no bias holds them."""
    return 2 * len(live.dead) >= live.units and 2 * live.revived > len(live.dead)


def freeing(layer: RecurrentLayer, live: LiveLayer, /) -> Action:
    """Return the biases that free units which their biases hold."""
    if layer.cell is not Cell.RNN_RELU or live.drive is None:
        return {"bias": "zeros"}
    # At 0 half of the drive is lost, and the sum that an identity takes ends at 0. One standard deviation of it is not.
    return {"bias": f"constant(value={live.drive[0]:.2g})"}


def critical_for(layer: RecurrentLayer, live: LiveLayer, /) -> str:
    """Return the specification of the critical weight for the inputs of a batch; empty where it is not known."""
    if live.drive is None or layer.cell not in ONE_ACTIVATION:
        return ""
    from unitcircle.ensembles import MeanField  # noqa: PLC0415  (half a second of start-up)

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
    of_gate = "bias" in action and isinstance(parse(action["bias"]), GateBias)
    names = {"recurrent": "{}", "bias": "{}" if of_gate else "bias={}"}
    return " + ".join(name.format(action[role]) for role, name in names.items() if role in action)
