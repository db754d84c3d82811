"""The measurements of every layer that rules use, each made once and only when a rule asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unitcircle.diagnosis._driven import DrivenDynamics, drive
from unitcircle.diagnosis._finding import Place, Severity
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._trial import Trials
from unitcircle.recurrence import RecurrentLayer
from unitcircle.spectra import Spectrum, power_norms, spectrum

DEFAULT_STEPS = 64
"""The length (steps) if the user passes none: findings about the length are then notes, not warnings."""


def chrono_for(steps: int, /) -> str:
    """Return the specification of forget biases spread over a length; their law needs at least 3 steps."""
    return f"chrono(max_steps={max(steps, 3)})"


@dataclass(frozen=True, eq=False)
class LayerExamination:
    """The measurements of one layer.

    Attributes
    ----------
    layer
        The layer.
    steps
        The length T (steps).
    data
        Inputs ``(time, batch, m)`` to drive it with, or None for standard-normal ones.
    seed
        Seed of inputs and probes.
    live
        The measurements of the layer inside its model, on a batch; None for a layer from a file.
    """

    layer: RecurrentLayer
    steps: int
    data: np.ndarray | None = None
    seed: int = 0
    live: LiveLayer | None = None

    @cached_property
    def finite(self) -> bool:
        """Whether every weight and bias of the layer is finite."""
        return not self.not_finite

    @cached_property
    def not_finite(self) -> Mapping[str, int]:
        """The number of NaN and infinite entries of each block that has any."""
        layer = self.layer
        blocks = {f"recurrent weight {gate}": block for gate, block in layer.gates.items()}
        blocks |= {f"input weight {gate}": block for gate, block in layer.inputs.items()}
        blocks |= {f"bias {gate}": block for gate, block in layer.biases.items()}
        if layer.diagonal is not None:
            blocks["diagonal"] = layer.diagonal
        bad = {name: int(block.size - np.isfinite(block).sum()) for name, block in blocks.items()}
        return {name: count for name, count in bad.items() if count}

    @cached_property
    def blocks(self) -> Mapping[str, np.ndarray]:
        """Gate → ``(n, n)`` recurrent weight in double precision; a diagonal recurrence has none."""
        return {gate: np.asarray(block, dtype=float) for gate, block in self.layer.gates.items()}

    @cached_property
    def stack(self) -> np.ndarray:
        """The gate blocks one below the other, ``(k·n, n)``, in the cell's order."""
        return np.concatenate(list(self.blocks.values()))

    @cached_property
    def spectra(self) -> Mapping[str, Spectrum]:
        """Gate → its spectrum; empty where the layer is not finite."""
        return {gate: spectrum(block) for gate, block in self.layer.gates.items()} if self.finite else {}

    @cached_property
    def log_norms(self) -> Mapping[str, np.ndarray]:
        """Gate → log ‖Wᵗ‖₂ for t = 0..T (nats)."""
        if not self.finite:
            return {}
        return {gate: np.asarray(power_norms(block, steps=self.steps)) for gate, block in self.blocks.items()}

    @cached_property
    def driven(self) -> DrivenDynamics | None:
        """The driven dynamics of the layer; None where it is too large, not finite, or measured in its model."""
        if not self.finite or self.live is not None:
            return None
        data = self.data if self.data is not None and self.data.shape[-1] == self.layer.input_size else None
        return drive(self.layer, steps=self.steps, data=data, rng=self.seed)

    def place(self, gate: str = "") -> Place:
        """Return the place of a finding in this layer."""
        tensors = self.layer.source.tensors
        return Place(self.layer.label, gate, tensors[0] if tensors else "")


@dataclass(frozen=True, eq=False)
class Examination:
    """The measurements of a model.

    Attributes
    ----------
    layers
        One examination per recurrent layer.
    steps
        The length T that is judged (steps).
    steps_given
        Whether the user passed T; otherwise a memory shorter than T is only a note.
    trials
        The ranking of the initializers that were tried on a live model; None if none was.
    """

    layers: Sequence[LayerExamination]
    steps: int
    steps_given: bool = True
    trials: Trials | None = None

    @property
    def chrono(self) -> str:
        """The specification of forget biases spread over T."""
        return chrono_for(self.steps)

    @property
    def length_severity(self) -> Severity:
        """Severity of findings about T: a warning if the user passed T, otherwise a note."""
        return Severity.WARNING if self.steps_given else Severity.NOTE
