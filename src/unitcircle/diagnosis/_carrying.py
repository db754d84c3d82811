"""How much of a gradient a plain cell carries back to one step, in the same way for all sequences of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitcircle.recurrence import RecurrentLayer, jacobian, step

COTANGENTS = 8
"""Random cotangents of the last state, the same for all sequences."""
COST = 1e9
"""Above B·T·n² of this, some seconds, nothing is measured."""


@dataclass(frozen=True, eq=False)
class Carrying:
    """Measures, for a layer with other weights, ‖mean_b J_bᵀv‖/‖v‖ of the state ``lag`` steps before the last.

    J_b is the Jacobian of sequence b. What training changes is shared by the sequences: it follows the mean of their
    gradients, which vanishes where they disagree, though none of them does.
    """

    inputs: np.ndarray
    lag: int

    def cost(self, units: int) -> float:
        """Return the number of multiplications, about."""
        return float(self.inputs.shape[1]) * len(self.inputs) * units**2

    def __call__(self, layer: RecurrentLayer) -> float:
        """Return the natural logarithm, root mean square over cotangents; −inf where nothing arrives."""
        n = layer.hidden_size
        states = [np.zeros((self.inputs.shape[1], n))]
        for x in self.inputs:
            states.append(step(layer, x, states[-1]))
        v = np.random.default_rng(0).standard_normal((COTANGENTS, n))
        rows = np.repeat(v[None], self.inputs.shape[1], axis=0)  # (B, K, n)
        for t in range(len(self.inputs) - 1, len(self.inputs) - 1 - self.lag, -1):
            rows = rows @ jacobian(layer, self.inputs[t], states[t])
        with np.errstate(divide="ignore"):
            return 0.5 * float(np.log(np.square(rows.mean(0)).sum()) - np.log(np.square(v).sum()))
