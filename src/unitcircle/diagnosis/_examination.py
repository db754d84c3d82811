"""The measurements of every layer that rules use, each made once and only when a rule asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from unitcircle.diagnosis._driven import DrivenDynamics, DrivenTogether, drive, reason_not_to_drive
from unitcircle.diagnosis._finding import Place
from unitcircle.diagnosis._head_memory import listed
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._optimizer import Regularization
from unitcircle.diagnosis._remedies import chrono_for
from unitcircle.diagnosis._training import TrainingEvidence, training_evidence
from unitcircle.diagnosis._trial import Trials
from unitcircle.recurrence import LinearRecurrence, RecurrentLayer
from unitcircle.spectra import Spectrum, power_norm, spectrum

if TYPE_CHECKING:
    from unitcircle.dynamics import TokenMemory

DEFAULT_STEPS = 64
"""The length (steps) if the user passes none: the report then answers for it, and no finding is about it."""


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
    tokens
        The transitions of a linear recurrence inside its model, on a batch; None for a layer from a file.
    together
        All layers of the model, of which those that are equal in kind and size are driven together.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> examination = LayerExamination(from_torch(0.5 * np.eye(4), cell="linear"), steps=20)
    >>> examination.size, examination.driven.first_below(1e-3)
    ('4', 10)
    """

    layer: RecurrentLayer
    steps: int
    data: np.ndarray | None = None
    seed: int = 0
    live: LiveLayer | None = None
    tokens: TokenMemory | None = None
    together: DrivenTogether | None = None

    @property
    def kind(self) -> str:
        """The family of a linear recurrence, or the kind of the cell."""
        return str(self.layer.cell) if self.layer.linear is None else self.layer.linear.family.name

    @property
    def gated(self) -> bool:
        """Whether its gates decide what a step keeps: of a GRU or LSTM, or as measured in a live model."""
        return self.layer.cell.gated or (self.live is not None and self.live.gated)

    @property
    def size(self) -> str:
        """The number of units, or of the heads or channels of a linear recurrence."""
        return str(self.layer.hidden_size) if self.layer.linear is None else self.layer.linear.size

    def heads_on_tokens(self, heads: Sequence[int], holds: Callable[[TokenMemory], np.ndarray], /) -> Sequence[int]:
        """Return the heads of which what holds at rest also holds on the tokens of a batch; all without a batch."""
        # Where the scan has other heads than the layer, all of them must agree.
        if self.tokens is None or self.layer.linear is None:
            return heads
        true = holds(self.tokens)
        if len(true) == self.layer.linear.units:
            return [head for head in heads if true[head]]
        return heads if true.all() else []

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
        if layer.linear is not None and (damaged := _damaged_heads(layer.linear)):
            return damaged
        if layer.diagonal is not None:
            blocks["diagonal"] = layer.diagonal
        bad = {name: int(block.size - np.isfinite(block).sum()) for name, block in blocks.items()}
        return {name: count for name, count in bad.items() if count}

    @cached_property
    def blocks(self) -> Mapping[str, np.ndarray]:
        """Gate → ``(n, n)`` recurrent weight in double precision; a diagonal recurrence has none."""
        with np.errstate(over="ignore"):  # of a long double
            return {gate: np.asarray(block, dtype=float) for gate, block in self.layer.gates.items()}

    @cached_property
    def stack(self) -> np.ndarray:
        """The gate blocks one below the other, ``(k·n, n)``, in the cell's order; empty without blocks."""
        return np.concatenate([np.empty((0, self.layer.hidden_size)), *self.blocks.values()])

    @cached_property
    def spectra(self) -> Mapping[str, Spectrum]:
        """Gate → its spectrum; empty where the layer is not finite."""
        return {gate: spectrum(block) for gate, block in self.layer.gates.items()} if self.finite else {}

    @cached_property
    def log_norms(self) -> Mapping[str, np.ndarray]:
        """Gate → log ‖Wᵗ‖₂ for t = 0..T (nats)."""
        return {gate: np.asarray(s.power_norms(self.steps)) for gate, s in self.spectra.items()}

    def log_norm(self, gate: str, /) -> float:
        """Return log ‖W^T‖₂ of a gate (nats), by repeated squaring: one singular value instead of T."""
        if gate not in self._final_norms:
            logs = self.__dict__.get("log_norms")
            self._final_norms[gate] = (
                power_norm(self.blocks[gate], self.steps) if logs is None else float(logs[gate][-1])
            )
        return self._final_norms[gate]

    @cached_property
    def _final_norms(self) -> dict[str, float]:
        """Gate → its log ‖W^T‖₂, once it was asked for."""
        return {}

    @cached_property
    def unmeasured(self) -> str:
        """Why the dynamics over the length are not known, as a clause; empty where they are."""
        if not self.finite:
            return "its weights are not finite"
        if self.live is not None:
            return self.live.unmeasured
        if self.layer.diagonal is not None:
            return ""
        return reason_not_to_drive(self.layer, self.steps)

    @property
    def fitting_data(self) -> np.ndarray | None:
        """The inputs given, where they have as many features as the layer; otherwise None."""
        return self.data if self.data is not None and self.data.shape[-1] == self.layer.input_size else None

    @cached_property
    def driven(self) -> DrivenDynamics | None:
        """The driven dynamics of the layer; None where they are not known, or were measured in its model."""
        if self.unmeasured or self.live is not None or self.layer.diagonal is not None:
            return None
        if self.together is not None:
            return self.together.of(self.layer, self.fitting_data)
        return drive(self.layer, steps=self.steps, data=self.fitting_data, rng=self.seed)

    def measure(self) -> None:
        """Make the measurements that take long, and that every table of layers shows."""
        _ = self.driven
        for found in self.spectra.values():
            _ = found.radius, found.norm, found.departure_from_normality

    @cached_property
    def slowest_rate(self) -> float:
        """Of a linear recurrence: log |λ| of its slowest eigenvalue (nats per step)."""
        values = self.layer.diagonal if self.layer.diagonal is not None else self.spectra["h"].eigenvalues
        largest = float(np.abs(np.asarray(values)).max())
        return math.log(largest) if largest > 0 else -math.inf

    @cached_property
    def training(self) -> TrainingEvidence:
        """Whether the layer was trained, from its own weights."""
        if not self.finite:
            return TrainingEvidence(True, "its weights are not finite")
        return training_evidence(self.layer)

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
    optimizer_state
        Whether the file holds the state of an optimizer, which only training makes.
    optimizer
        Name of a parameter → what the optimizer that the user passed does to it; None without one.
    """

    layers: Sequence[LayerExamination]
    steps: int
    steps_given: bool = True
    trials: Trials | None = None
    optimizer_state: bool = False
    optimizer: Mapping[str, Regularization] | None = None

    def trained(self, layer: LayerExamination, /) -> bool | None:
        """Return whether a layer was trained; None where nothing shows it."""
        return True if layer.training.trained is None and self.optimizer_state else layer.training.trained

    @property
    def chrono(self) -> str:
        """The specification of forget biases spread over T."""
        return chrono_for(self.steps)


def _damaged_heads(linear: LinearRecurrence) -> Mapping[str, int]:
    """Return the number of NaN and infinite entries of each stored parameter, under its name and the heads."""
    found: dict[str, int] = {}
    for name, values in linear.parameters.items():
        bad = ~np.isfinite(values)
        if bad.any():
            stored, unit = linear.names.get(name, name), linear.family.unit
            # Parameters of a head lie together; one that is shared by all is of no head.
            by_head = bad.reshape(linear.units, -1).any(1) if bad.size % linear.units == 0 else bad.ravel()
            found[f"{stored} ({unit} {listed(np.flatnonzero(by_head).tolist())})"] = int(bad.sum())
    return found
