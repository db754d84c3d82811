"""The result of a calibration: a status, a gain or bias and the measured curve of every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np

Criterion = Literal["gradient_ratio", "typical_direction"]


class CalibrationStatus(StrEnum):
    """Outcome of calibrating one layer; all members except the first three are refusals.

    Attributes
    ----------
    meaning
        A sentence: what the status means, and what to do about it.
    """

    meaning: str

    CALIBRATED = "calibrated", "The recurrent weight times this gain is ready to be trained."
    CRITICAL = (
        "critical",
        "No radius keeps the gradient in most directions: the weight has the one that is critical in mean field.",
    )
    SPREAD_BIASES = "spread biases", "The layer is gated: its biases set its time scales, so it gets no gain."
    IDENTITY_LIKE = (
        "identity-like",
        "A weight close to the identity keeps the gradient as it is: train it unscaled, or initialize another weight.",
    )
    NOT_MONOTONE = (
        "not monotone",
        'The criterion does not single out one radius: initialize another weight, such as "orthogonal".',
    )
    OUT_OF_RANGE = (
        "out of range",
        "No radius of the range is right: pass a wider range as radii=, or scale the inputs.",
    )
    NOT_FINITE = (
        "not finite",
        "The criterion cannot be computed: use shorter or smaller inputs, a narrower radii=, or another nonlinearity.",
    )
    CHAOTIC = (
        "chaotic",
        "A gradient that keeps its norm there is noise: pass a lower radii=, or use shorter or larger inputs.",
    )
    NILPOTENT = "nilpotent", 'Initialize another recurrent weight, such as "orthogonal".'
    NO_BIASES = "no biases", "Build the layer with bias=True, or train it as it is."

    def __new__(cls, value: str, meaning: str) -> CalibrationStatus:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    @property
    def refused(self) -> bool:
        """Whether the layer was not calibrated."""
        return self not in {CalibrationStatus.CALIBRATED, CalibrationStatus.CRITICAL, CalibrationStatus.SPREAD_BIASES}


@dataclass(frozen=True, eq=False)
class LayerCalibration:
    """Result for one layer, with the curve that was measured.

    Attributes
    ----------
    name
        The layer, as :func:`gradient_flow` names it.
    status
        Outcome; ``status.meaning`` says what it means and what to do.
    reason
        What was measured that led to it.
    steps
        T.
    gain
        Factor by which the original recurrent weight is multiplied; NaN where there is none.
    radius
        Spectral radius of the weight times the gain; NaN where there is none.
    start
        Radius that the grid includes: the critical one of the mean field, else 1; NaN for a gated layer.
    exponent, exponent_stderr
        λ, the leading Lyapunov exponent at the radius found, in nats per step over the second half of the length, mean
        over the batch, and its standard error; NaN where there is none.
    gradient_ratio, typical_direction
        Both criteria at the radius found, in nats over the whole length; NaN where there is none.
    bias
        Specification of the new biases of an LSTM or GRU: ``"chrono(max_steps=64)"``; else empty.
    gains
        ``(G,)``, ascending: every gain that was measured; empty for a gated layer.
    radii
        ``(G,)``: their spectral radii.
    values
        ``(G,)`` in nats over the whole length: log-ratio of gradient norms, or mean log singular value.
    stderr
        ``(G,)``: standard error of the values over the batch.
    """

    name: str
    status: CalibrationStatus
    reason: str
    steps: int
    gain: float = math.nan
    radius: float = math.nan
    start: float = math.nan
    exponent: float = math.nan
    exponent_stderr: float = math.nan
    gradient_ratio: float = math.nan
    typical_direction: float = math.nan
    bias: str = ""
    gains: np.ndarray = field(default_factory=lambda: np.zeros(0))
    radii: np.ndarray = field(default_factory=lambda: np.zeros(0))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stderr: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __str__(self) -> str:
        found = (
            ""
            if self.status.refused or math.isnan(self.gain)
            else (
                f" (leading exponent {self.exponent:+.2g} ± {self.exponent_stderr:.1g} per step, gradient ratio "
                f"{self.gradient_ratio:+.3g}, typical direction {self.typical_direction:+.3g} nats)"
            )
        )
        return f"{self.name}: {self.status}: {self.reason}{found}. {self.status.meaning}"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Result of :func:`calibrate_`.

    Attributes
    ----------
    criterion
        ``"gradient_ratio"`` or ``"typical_direction"``.
    layers
        One result per layer and direction, lowest first.
    applied
        Whether the model was changed, which it is only if no layer was refused.
    passes
        Number of runs of one layer over the batch.
    """

    criterion: Criterion
    layers: tuple[LayerCalibration, ...]
    applied: bool
    passes: int

    @property
    def status(self) -> CalibrationStatus:
        """The first refusal, else the status of the first layer."""
        return next((layer.status for layer in self.layers if layer.status.refused), self.layers[0].status)

    @property
    def gains(self) -> dict[str, float]:
        """Gain of every layer that has one, by name."""
        return {layer.name: layer.gain for layer in self.layers if not math.isnan(layer.gain)}

    def __str__(self) -> str:
        end = "applied" if self.applied else "the model is unchanged"
        return "\n".join([*map(str, self.layers), f"{end}; {self.passes} passes"])
