"""The calls that remedy findings: one by one, and merged into the one line that a person should run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from unitcircle._filling import biases_of
from unitcircle.diagnosis._driven import LOST, DrivenDynamics, drive
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._remedies import Action, name_of, remedies
from unitcircle.diagnosis._trial import Trials
from unitcircle.initializers import decay_law, parse
from unitcircle.recurrence import RecurrentLayer
from unitcircle.report import factor

SHORT = 10
"""Nearer steps are learned as it is: tanh networks learned one 9 steps back (.04), and hardly one 11 back (.61, with a
remedy .04; docs/results/verdicts.md)."""
BY_HAND = {"UC209", "UC210"}
"""Findings that the code of the model must mend before an initialization does what it should."""
LOST_DECAY = "UC114"
"""The code of the finding that a new draw of a decay remedies, which no action of ``initialize_`` does."""
_CALLS = {
    "keras": "unitcircle.keras.initialize_(model, {})",
    "flax": "unitcircle.jax.initialize_(model, {}, key=0)",
    "flax-tree": "params, done = unitcircle.jax.initialize(params, {}, key=0)",
    "equinox": "model, done = unitcircle.jax.initialize(model, {}, key=0)",
}


@dataclass(frozen=True)
class Remedy:
    """What to do about the findings of a model, all at once.

    Attributes
    ----------
    text
        A line of code to run, or a sentence where no line of code can help.
    codes
        The codes of the findings it remedies.
    effect
        What it was seen to do, or why that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.diagnosis import diagnose
    >>> from unitcircle.recurrence import from_torch
    >>> weight = np.vstack([np.eye(4), np.zeros((12, 4))])
    >>> remedy = diagnose([from_torch(weight, cell="lstm", bias_ih=np.zeros(16), name="lstm")], steps=20).remedy
    >>> remedy.codes
    ('UC102', 'UC106', 'UC110')
    >>> print(remedy.text)
    unitcircle.torch.initialize_(model, recurrent='identity', bias='chrono(max_steps=20)')
    """

    text: str
    codes: tuple[str, ...]
    effect: str


def initialize_call(layer: LayerExamination, /, **arguments: str) -> str:
    """Return the call that initializes a layer in the framework of its weights' layout, torch by default."""
    layout = layer.layer.source.layout
    call = _CALLS.get(layout) or _CALLS.get(layout.partition("-")[0], "unitcircle.torch.initialize_(model, {})")
    return call.format(", ".join(f"{name}={value!r}" for name, value in arguments.items()))


def initialized(layer: RecurrentLayer, action: Action, rng: np.random.Generator, /) -> RecurrentLayer:
    """Return a layer with the recurrent weights and biases that an ``initialize_`` would give it.

    Returns
    -------
    RecurrentLayer
        A new layer; what the action does not name stays.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> before = from_torch(np.zeros((2, 2)), cell="rnn_tanh")
    >>> initialized(before, {"recurrent": "identity"}, np.random.default_rng(0)).gates["h"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    changes: dict[str, Mapping[str, np.ndarray]] = {}
    n = layer.hidden_size
    if "recurrent" in action:
        init = parse(action["recurrent"])
        # In the precision that the layer has, but for half precision, in which nothing is computed.
        changes["gates"] = {
            gate: np.asarray(init(rng.standard_normal((n, n)).astype(np.result_type(block, np.float32))))
            for gate, block in layer.gates.items()
        }
    if "bias" in action:
        z = rng.standard_normal(n)
        values = biases_of(parse(action["bias"]), z, layer.cell.gates, keeping=layer.cell.keeping)
        changes["biases"] = {gate: np.zeros(n) for gate in layer.biases} | values
        changes["recurrent_biases"] = {gate: np.zeros(n) for gate in layer.recurrent_biases}
    return replace(layer, **changes, bias_parts={})


def drawn_decay(
    layers: Sequence[LayerExamination], finding: Finding, rng: np.random.Generator, /
) -> tuple[np.ndarray, str, str]:
    """Return a new draw of the parameter of a decay that a finding calls lost, its stored name, and its law.

    Returns
    -------
    tuple
        Values in the shape of the parameter, its stored name, the text of its law.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.diagnosis import diagnose
    >>> from unitcircle.recurrence import from_linear
    >>> lost = from_linear("Mamba-2", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": np.zeros(16)})
    >>> diagnosis = diagnose([lost], steps=50, select=["UC114"])
    >>> values, name, law = drawn_decay(diagnosis.layers, diagnosis.findings[0], np.random.default_rng(0))
    >>> values.shape, name
    ((16,), 'dt_bias')
    """
    place = [layer.layer.label for layer in layers].index(finding.place.layer)
    linear, parameter = layers[place].layer.linear, finding.evidence["parameter"]
    assert linear is not None
    law = linear.family.laws[parameter]
    drawn = decay_law(law, layer=place, layers=len(layers))
    values = drawn.shaped(rng.standard_normal(np.shape(linear.parameters[parameter])))
    return values, linear.names.get(parameter, parameter), law


def best_action(layer: LayerExamination, exam: Examination, /) -> Action:
    """Return the initialization of the one list for a layer: the best that was tried, else the first; {} without."""
    if exam.trials is not None and len(exam.trials.ranking) > 1:
        return exam.trials.better[0].action if exam.trials.better else {}
    if (carried := carried_best(layer, exam.steps)) is not None:
        return carried[0]
    actions = remedies(layer.layer, exam.steps, layer.live)
    # Free biases alone lengthen no memory.
    return next((action for action in actions if layer.layer.cell.gated or "recurrent" in action), {})


def carried_best(layer: LayerExamination, steps: int, /) -> tuple[Action, float] | None:
    """Return the remedy that best carries a shared gradient to the steps that tell the target, and how far off."""
    # None where it is not measured: in a gated cell, or where no few steps tell the target, or they are near.
    live = layer.live
    carrying = None if live is None else live.carrying
    if live is None or carrying is None or not carrying.lag - live.padding >= SHORT or carrying.lag > steps:
        return None
    if not carrying.affordable(live.units):
        return None
    best: tuple[Action, float] | None = None
    for action in remedies(layer.layer, steps, live):
        away = carrying.distance(name_of(action), partial(initialized, layer.layer, action), layer.seed)
        if best is None or away < best[1]:
            best = action, away
    return best


def helpful_action(layer: LayerExamination, steps: int, /) -> Action | None:
    """Return the initialization that brings a layer closest to keeping its norm over the length, or None."""
    # Each is tried on the rebuilt cell, and one that leaves as little as there is now is no remedy.
    driven = layer.driven
    if driven is None:
        return None
    actions = remedies(layer.layer, steps)
    outcomes = [(distance(driven_by(layer, action)), place) for place, action in enumerate(actions)]
    best, place = min(outcomes, default=(math.inf, 0))
    return actions[place] if best < distance(driven) - math.log(10) else None


def driven_by(layer: LayerExamination, action: Action, /) -> DrivenDynamics | None:
    """Return the driven dynamics of a layer after an initialization."""
    rng = np.random.default_rng(layer.seed)
    return drive(initialized(layer.layer, action, rng), steps=layer.steps, data=layer.fitting_data, rng=layer.seed)


def distance(driven: DrivenDynamics | None) -> float:
    """Return how far the norm is from unchanged at the end of the length (nats)."""
    end = math.inf if driven is None else float(driven.log_growth[-1])
    return abs(end) if not math.isnan(end) else math.inf


def merged_action(findings: Iterable[Finding], /) -> dict[str, str]:
    """Return the one initialization that findings ask for; empty where none does.

    Returns
    -------
    dict
        Argument of ``initialize_`` → specification; of two findings that disagree the worse decides.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.diagnosis import diagnose
    >>> from unitcircle.recurrence import from_torch
    >>> weight = np.vstack([np.eye(4), np.zeros((12, 4))])
    >>> diagnosis = diagnose([from_torch(weight, cell="lstm", bias_ih=np.zeros(16), name="lstm")], steps=20)
    >>> merged_action(diagnosis.findings)
    {'bias': 'chrono(max_steps=20)', 'recurrent': 'identity'}
    """
    # The findings come the worst first, and of two that ask for different weights the first decides.
    action: dict[str, str] = {}
    for finding in findings:
        action = {**finding.action, **action}
    return action


def merged_remedy(findings: Sequence[Finding], exam: Examination, /) -> Remedy | None:
    """Return the one remedy of all findings that an initialization remedies; None where there are none."""
    chosen = [finding for finding in findings if finding.action]
    if not chosen:
        return None
    codes = tuple(dict.fromkeys(finding.code for finding in chosen))
    affected = {finding.place.layer for finding in chosen}
    layers = [layer for layer in exam.layers if layer.layer.label in affected] or list(exam.layers)
    action = merged_action(chosen)
    action = {name: action[name] for name in ("recurrent", "bias") if name in action}
    by_hand = [code for code in codes if code in BY_HAND]
    if exam.trials is not None and exam.trials.better:
        return Remedy(exam.trials.better[0].call, codes, effect_of_best(exam.trials, exam.steps))
    call = initialize_call(layers[0], **action)
    if by_hand:
        text = f"after mending what {' and '.join(by_hand)} says in the model's code: {call}"
        return Remedy(text, codes, "not measured: the model that it is for does not exist yet")
    if all(exam.trained(layer) for layer in layers):
        text = f"before the next training run: {call}"
        return Remedy(text, codes, "these weights are trained, and initializing them would erase what they learned")
    return Remedy(call, codes, _effect(layers, action))


def effect_of_best(trials: Trials, steps: int, /) -> str:
    """Return what the best of the initializers tried on copies of a model does to its gradient."""
    best, baseline = trials.better[0], trials.as_it_is
    low, high = best.interval("flow")
    return (
        f"measured over {best.seeds} seeds: the gradient over {steps} steps changes by "
        f"10^{best.mean('flow'):.2f} [{low:.2f}, {high:.2f}] instead of 10^{baseline.mean('flow'):.1f}"
    )


def _effect(layers: Sequence[LayerExamination], action: Action) -> str:
    """Return what an initialization does to the layer that it should help most."""
    driven = [layer for layer in layers if layer.driven is not None and layer.layer.projection is None]
    if not driven:
        live = any(layer.live is not None for layer in layers)
        return "try_initializers=['remedies'], or --try remedies, measures it on copies" if live else "not measured"
    worst = max(driven, key=lambda layer: distance(layer.driven))
    fits = {name: text for name, text in action.items() if name != "bias" or worst.layer.cell.gated}
    after = driven_by(worst, fits)
    if after is None or worst.driven is None:
        return "not measured"
    return (
        f"measured on the rebuilt {worst.layer.label}: over {worst.steps} steps the state's Jacobian changes by "
        f"{_change(after)} instead of {_change(worst.driven)}"
    )


def _change(driven: DrivenDynamics) -> str:
    lag = driven.first_below(LOST)
    return factor(float(driven.log_growth[-1])) + ("" if lag is None else f" (1/1000 after {lag} steps)")
