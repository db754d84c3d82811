"""How much of a gradient a plain cell carries back to one step, in the same way for all sequences of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from unitcircle.recurrence import RecurrentLayer, activation

COTANGENTS = 8
"""Random cotangents of the last state, the same for all sequences."""
COST = 3e8
"""Above B·T·n² of this, some seconds for a list of remedies, nothing is measured."""
DRAWS = 3
"""Draws of the weights of a remedy, over which its logarithm is averaged."""


@dataclass(frozen=True, eq=False)
class Carrying:
    """Measures, for a layer with other weights, ‖mean_b J_bᵀv‖/‖v‖ of the state ``lag`` steps before the last.

    J_b is the Jacobian of sequence b. What training changes is shared by the sequences: it follows the mean of their
    gradients, which vanishes where they disagree, though none of them does.
    """

    inputs: np.ndarray
    lag: int
    _known: dict[str, float] = field(default_factory=dict[str, float], repr=False)

    def affordable(self, units: int) -> bool:
        """Return whether remedies of a layer of so many units can be measured in a few seconds."""
        return self.inputs.shape[1] * len(self.inputs) * units**2 <= COST

    def distance(self, name: str, draw: Callable[[np.random.Generator], RecurrentLayer], seed: int) -> float:
        """Return how far the logarithm is from 0 for a remedy, mean over draws; each remedy is measured once."""
        if name not in self._known:
            # Not one draw, which by chance may carry all.
            rngs = (np.random.default_rng([seed, k]) for k in range(DRAWS))
            self._known[name] = float(np.mean([abs(self(draw(rng))) for rng in rngs]))
        return self._known[name]

    def __call__(self, layer: RecurrentLayer) -> float:
        """Return the natural logarithm, root mean square over cotangents; −inf where nothing arrives."""
        W, phi = np.asarray(layer.gates["h"], dtype=float), activation(layer.activations["h"])
        drive = self.inputs @ np.asarray(layer.inputs["h"], dtype=float).T + np.asarray(layer.biases.get("h", 0.0))
        before, h = [], np.zeros_like(drive[0])
        for u in drive:
            before.append(u + h @ W.T)
            h = phi.value(before[-1])
        v = np.random.default_rng(0).standard_normal((COTANGENTS, len(W)))
        rows = np.repeat(v[:, None], self.inputs.shape[1], axis=1)  # (K, B, n)
        for a in before[: -1 - self.lag : -1]:
            rows = (rows * phi.slope(a)) @ W
        with np.errstate(divide="ignore"):
            return 0.5 * float(np.log(np.square(rows.mean(1)).sum()) - np.log(np.square(v).sum()))
