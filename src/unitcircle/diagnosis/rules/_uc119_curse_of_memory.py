"""Rule UC119, curse-of-memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell, RecurrentLayer

LARGE = 100.0
"""Above it, a step of 0.01 in the parameter changes the state by more than its own size."""
STEP = 1e-6
COMPUTED = frozenset({"units", "lower_bound"})
"""What a layer computes, or only counts, and does not store."""


@rule("UC119", "curse-of-memory", status="preview")
def curse_of_memory(exam: Examination) -> Iterator[Finding]:
    """The state of a linear recurrence depends so steeply on a parameter of its decay that no step size fits it.

    ## What was found
    For white inputs the state of `h' = λh + x` has E h² = 1/(1 − |λ|²), and its derivative with respect to λ has
    E s² = (1 + |λ|²)/(1 − |λ|²)³. The finding states √(E s²/E h²) for the parameter that is stored, where it is above
    100: a step of 0.01 then changes the state by more than its own size. With `--steps` T it is at most T/√3.

    ## Why it matters
    As |λ| → 1 this grows like 1/(1 − |λ|), although neither state nor gradient explodes: the units that remember
    longest are those that a common learning rate throws about, or, where it is lowered for them, that nothing else
    learns (Zucchet and Orvieto, arXiv 2405.21064, section 2).

    ## Remedy
    Store ν with |λ| = exp(−exp(ν)), or log Δ and log A with λ = exp(−ΔA): the derivative is then 1/√2 of the state at
    every memory. Scaling the inputs by √(1 − |λ|²) keeps the state at 1, and does not cure this. Angles keep it: for
    λ = |λ| exp(iθ), θ has θ times that of λ in its logarithm. LRU, S4D and Mamba start with angles that steep and learn
    them, so that angles are no finding.
    """
    for layer in exam.layers:
        if layer.layer.cell is not Cell.DIAGONAL or not layer.finite or layer.layer.diagonal is None:
            continue
        moduli = np.abs(layer.layer.diagonal)
        gain = _gain(moduli, exam.steps if exam.steps_given else math.inf)
        for name, slope in _slopes(layer.layer).items():
            steepness = slope * gain
            if not (steep := int((steepness > LARGE).sum())):
                continue
            worst = int(steepness.argmax())
            modulus = float(moduli[worst])
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"a unit of {name} changes the state by {steepness[worst]:.3g} times its size where |λ| = "
                f"{modulus:.6g}; above {LARGE:.0f} for {steep} of {moduli.size} eigenvalues",
                "the longer a unit remembers, the steeper its state depends on this parameter: no learning rate fits "
                "all units",
                "store ν with |λ| = exp(-exp(ν)); scale the inputs by (1 - |λ|²)^(1/2)",
                {
                    "parameter": name,
                    "steepness": float(steepness[worst]),
                    "steep": steep,
                    "modulus": modulus,
                    "steepness_of_nu": float(-modulus * math.log(modulus) * gain[worst]) if modulus < 1 else 0.0,
                },
            )


def _gain(moduli: np.ndarray, steps: float) -> np.ndarray:
    """Return √(E s²/E h²) for λ; over T steps it is at most that of |λ| = 1, T/√3."""
    endless = 0.0 if math.isinf(steps) else math.inf  # UC112 and UC116 are about them
    with np.errstate(divide="ignore"):
        still = np.where(moduli < 1, np.sqrt(1 + moduli**2) / np.abs(1 - moduli**2), endless)
    return np.minimum(still, steps / math.sqrt(3))


def _slopes(layer: RecurrentLayer) -> Mapping[str, np.ndarray]:
    """Return ∂|λ|/∂p for every parameter p that is stored; each λ depends on one entry of each."""
    linear = layer.linear
    if linear is None:
        # λ itself is what such a layer holds; other conventions without parameters do not say what they store.
        return {"λ": np.ones(layer.hidden_size)} if layer.source.layout == "diagonal" else {}
    if linear.family.fixed or linear.family.nonlinear or linear.family.coupled:
        return {}
    values = {name: np.asarray(value) for name, value in linear.parameters.items()}
    values = {n: v.astype(complex if np.iscomplexobj(v) else float) for n, v in values.items()}
    found: dict[str, np.ndarray] = {}
    for name in linear.family.parameters:
        if name in COMPUTED:
            continue
        with np.errstate(all="ignore"):
            ends = [linear.family.log_rest({**values, name: values[name] + side * STEP}) for side in (1, -1)]
            moved = np.abs(np.real(ends[0] - ends[1])) / (2 * STEP) * np.exp(np.real(linear.log_eigenvalues))
        found[linear.names.get(name, name)] = np.nan_to_num(moved).ravel()
    return found
