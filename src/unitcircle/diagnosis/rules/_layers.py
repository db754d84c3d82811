"""What several rules share: which layers they are about, and how many units or steps make a judgement possible."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedies import ONE_ACTIVATION
from unitcircle.recurrence import LinearRecurrence

MANY = 8
"""Fewer units than this are too few for a statistical test."""


def linear_layers(exam: Examination) -> Iterator[tuple[LayerExamination, LinearRecurrence]]:
    """Yield the layers that are linear recurrences of a known family, without entries that are not finite."""
    for layer in exam.layers:
        if layer.layer.linear is not None and layer.finite:
            yield layer, layer.layer.linear


def powers_of_one_weight(exam: Examination) -> Iterator[LayerExamination]:
    """Yield the layers whose state is taken through powers of their one weight: plain cells without a leak."""
    for layer in exam.layers:
        if layer.layer.cell in ONE_ACTIVATION and "leak" not in layer.layer.unknown:
            yield layer


def live_layers(exam: Examination) -> Iterator[tuple[LayerExamination, LiveLayer]]:
    """Yield the layers that were measured inside their model."""
    for layer in exam.layers:
        if layer.live is not None:
            yield layer, layer.live
