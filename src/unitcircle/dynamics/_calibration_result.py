"""The result of a calibration: a status, a gain or bias and the measured curve of every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

Criterion = Literal["gradient_ratio", "typical_direction"]


class CalibrationStatus(StrEnum):
    """Outcome of calibrating one layer; all members except the first two are refusals.

    Attributes
    ----------
    meaning
        A sentence: what the status means, and what to do about it.
    """

    meaning: str

    CALIBRATED = "calibrated", "The recurrent weight times this gain is ready to be trained."
    SPREAD_BIASES = "spread biases", "The layer is gated: its biases set its time scales, so it gets no gain."
    IDENTITY_LIKE = (
        "identity-like",
        "A weight close to the identity keeps the gradient as it is: train it unscaled, or initialize another weight.",
    )
    NOT_MONOTONE = (
        "not monotone",
        'The criterion does not single out one gain: initialize another weight, such as "orthogonal".',
    )
    OUT_OF_RANGE = (
        "out of range",
        "No gain of the range is right: pass a wider range as gains=, or initialize a larger or smaller weight.",
    )
    NOT_FINITE = (
        "not finite",
        "The criterion cannot be computed: use shorter or smaller inputs, a narrower gains=, or another nonlinearity.",
    )
    NO_BIASES = "no biases", "Build the layer with bias=True, or train it as it is."

    def __new__(cls, value: str, meaning: str) -> CalibrationStatus:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    @property
    def refused(self) -> bool:
        """Whether the layer was not calibrated."""
        return self not in {CalibrationStatus.CALIBRATED, CalibrationStatus.SPREAD_BIASES}


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
    gain
        Factor by which the original recurrent weight is multiplied; NaN where there is none.
    bias
        Specification of the new biases of an LSTM or GRU: ``"chrono(max_steps=64)"``; else empty.
    gains
        ``(G,)``, ascending: every gain that was measured; empty for a gated layer.
    values
        ``(G,)`` in nats over the whole length: log-ratio of gradient norms, or mean log singular value.
    stderr
        ``(G,)``: standard error of the values over the batch.
    steps
        T.
    """

    name: str
    status: CalibrationStatus
    reason: str
    gain: float
    bias: str
    gains: np.ndarray
    values: np.ndarray
    stderr: np.ndarray
    steps: int

    def __str__(self) -> str:
        return f"{self.name}: {self.status}: {self.reason}. {self.status.meaning}"


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
