"""Closed-form continuous-time cells at rest: h = 0, no input, one second a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from unitcircle.recurrence._activations import ACTIVATIONS, activation
from unitcircle.recurrence._cells_at_rest import log_eigenvalues

Parameters = Mapping[str, np.ndarray]
Affine = tuple[np.ndarray, np.ndarray]
"""The value of a function of h at 0, and its Jacobian."""
_LECUN, _NAMED = "scaled_tanh(1.7159, 0.666)", "activation "
"""The activation of a backbone unless a parameter is named after another one: ``activation relu``."""
_sigmoid = ACTIVATIONS["sigmoid"].value


def of_torch(p: Parameters) -> np.ndarray:
    """Return log λ of a CfC of ncps.torch: (1 − s) tanh f₁ + s tanh f₂, s = σ(t_a + t_b)."""
    one, two, a, b = _heads(p, "ff1", "ff2", "time_a", "time_b")
    return log_eigenvalues(_between(_tanh(one), _tanh(two), (a[0] + b[0], a[1] + b[1])))


def of_keras(p: Parameters) -> np.ndarray:
    """Return log λ of a CfC of ncps.keras: (1 − s) f₁ + s f₂, s = σ(t_b − t_a); f₁ + s f₂ without its first gate."""
    one, two, a, b = _heads(p, "ff1", "ff2", "time_a", "time_b")
    return log_eigenvalues(_between(one, two, (b[0] - a[0], b[1] - a[1]), gated="no_gate" not in p))


def pure(p: Parameters) -> np.ndarray:
    """Return log λ of a CfC in its pure mode: A (1 − exp(−|w| − |f|) f)."""
    ((value, slope),) = _heads(p, "ff1")
    decay = np.exp(-np.abs(p["w_tau"].ravel()) - np.abs(value))
    return log_eigenvalues((p["A"].ravel() * decay * (np.abs(value) - 1))[:, None] * slope)


def _between(one: Affine, two: Affine, time: Affine, *, gated: bool = True) -> np.ndarray:
    """Return the Jacobian of (1 − s) f₁ + s f₂, s = σ(t), or of f₁ + s f₂."""
    s = _sigmoid(time[0])
    near, far = (1 - s, two[0] - one[0]) if gated else (np.ones_like(s), two[0])
    return near[:, None] * one[1] + s[:, None] * two[1] + (s * (1 - s) * far)[:, None] * time[1]


def _tanh(of: Affine) -> Affine:
    value = np.tanh(of[0])
    return value, (1 - value**2)[:, None] * of[1]


def _heads(p: Parameters, *names: str) -> Iterator[Affine]:
    """Yield linear functions of the backbone of [x, h], and where there is none of [x, h] itself."""
    value, slope = _backbone(p)
    for name in names:
        weight = p[f"{name}.weight"]
        if "sparsity_mask" in p and name.startswith("ff"):
            weight = weight * p["sparsity_mask"]
        yield weight @ value + p[f"{name}.bias"], weight @ slope


def _backbone(p: Parameters) -> Affine:
    units = len(p["ff1.weight"])
    layers = sum(name.startswith("backbone") and name.endswith("weight") for name in p)
    size = (p["backbone.0.weight"] if layers else p["ff1.weight"]).shape[1]
    value, slope = np.zeros(size), np.eye(size)[:, size - units :]
    function = activation(next((name.removeprefix(_NAMED) for name in p if name.startswith(_NAMED)), _LECUN))
    for k in range(layers):
        weight = p[f"backbone.{k}.weight"]
        before = weight @ value + p[f"backbone.{k}.bias"]
        value, slope = function.value(before), function.slope(before)[:, None] * (weight @ slope)
    return value, slope
