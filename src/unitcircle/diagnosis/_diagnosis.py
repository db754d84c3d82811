"""The result of a diagnosis: measurements, findings, coverage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._card import card
from unitcircle._json import to_json
from unitcircle._keywords import right_keywords
from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._answer import Answer, answer
from unitcircle.diagnosis._apply import apply_remedies
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import head_memory
from unitcircle.diagnosis._page import diagnosis_page
from unitcircle.diagnosis._remedy import Remedy, merged_remedy
from unitcircle.diagnosis._text import diagnosis_text
from unitcircle.errors import MissingExtraError

if TYPE_CHECKING:
    from unitcircle.initializers import Initialization

SCHEMA = 1
"""Version of the JSON form; a change that breaks a reader raises it."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The measurements of a model and the defects found.

    Attributes
    ----------
    subject
        What was diagnosed: a file's path, a model's class, or ``"layers"``.
    format
        The file's format, or empty.
    examination
        The measurements of every layer.
    findings
        The worst first, then by code and place.
    coverage
        Which tensors of a file or model were analysed, which were not, and why; None for layers.
    """

    subject: str
    format: str
    examination: Examination
    findings: tuple[Finding, ...]
    coverage: Coverage | None = None

    @property
    def layers(self) -> Sequence[LayerExamination]:
        """The measurements of every layer."""
        return self.examination.layers

    @property
    def answer(self) -> Answer:
        """The answer to whether the network carries a signal over the length."""
        return answer(self.examination, self.coverage)

    @property
    def remedy(self) -> Remedy | None:
        """The one remedy of all findings that an initialization remedies; None where there are none."""
        return self._remedy

    @cached_property
    def _remedy(self) -> Remedy | None:
        return merged_remedy(self.findings, self.examination)

    @property
    def worst(self) -> Severity | None:
        """The worst severity among the findings, or None where there is none."""
        return max((finding.severity for finding in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain values; the form of :meth:`to_json`."""
        return {
            "schema": SCHEMA,
            "subject": self.subject,
            "format": self.format,
            "steps": self.examination.steps,
            "answer": self.answer.to_dict(),
            "layers": [_layer_dict(layer) for layer in self.layers],
            "findings": [finding.to_dict() for finding in self.findings],
            "remedy": None if self.remedy is None else vars(self.remedy),
            "trials": None if self.examination.trials is None else self.examination.trials.to_dict(),
            "coverage": None if self.coverage is None else _coverage_dict(self.coverage),
        }

    def to_json(self) -> str:
        """Return the diagnosis as strict JSON of schema version 1; infinities and NaN are strings."""
        return to_json(self.to_dict())

    def to_html(self, path: str | os.PathLike[str], /) -> Path:
        """Write the diagnosis as one self-contained HTML page.

        Parameters
        ----------
        path
            Where to write; the file is replaced only when it is complete.

        Returns
        -------
        pathlib.Path
            The path written.
        """
        return diagnosis_page(self, path)

    @right_keywords
    def apply_(self, model: Any, /, *, trained: bool = False, rng: Any = None) -> tuple[Initialization, ...]:
        """Initialize the layers that have findings which an initialization remedies, in place.

        Parameters
        ----------
        model
            The model that was diagnosed: a ``torch.nn.Module``, a Keras model or an nnx module, of which only the
            layers with such findings are filled. Of a torch module, lost parameters of a decay are drawn again too.
        trained
            Whether to initialize layers too that are trained, or of which nothing shows that they are not. They lose
            what they have learned.
        rng
            Seed or generator of the framework's ``initialize_``.

        Returns
        -------
        tuple of Initialization
            What was filled, with certificates; empty where no finding asks for it.

        Raises
        ------
        ArgumentError
            A layer may be trained, or the model is not one that can be filled.

        Examples
        --------
        >>> import torch, unitcircle as uc
        >>> model = torch.nn.LSTM(3, 8)
        >>> _ = torch.nn.init.eye_(model.weight_hh_l0)
        >>> uc.diagnose(model).findings[0].name
        'zeroed-gate'
        >>> filled = uc.diagnose(model).apply_(model, rng=0)
        >>> [finding.name for finding in uc.diagnose(model).findings if finding.name == "zeroed-gate"]
        []
        """
        return apply_remedies(self, model, trained=trained, rng=rng)

    def to_frame(self) -> Any:
        """Return the measurements as a ``pandas.DataFrame``, one row for every gate of every layer.

        Returns
        -------
        pandas.DataFrame
            Columns ``layer``, ``cell``, ``n``, ``gate``, ``radius`` and, but for a diagonal recurrence, ``norm``,
            ``departure_from_normality`` and ``log_norm``.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415  (optional)
        except ImportError as error:
            raise MissingExtraError("to_frame()", "pandas", "experiments") from error
        rows = [
            {"layer": layer.layer.label, "cell": str(layer.layer.cell), "n": layer.layer.hidden_size, "gate": gate}
            | values
            for layer in self.layers
            for gate, values in _gates_dict(layer).items()
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        return diagnosis_text(self)

    def _repr_html_(self) -> str:
        rows = [
            (layer.layer.label, layer.layer.cell, layer.layer.hidden_size, gate, radius)
            for layer in self.layers
            for gate, radius in _radii(layer).items()
        ]
        lines = [str(finding) for finding in self.findings] or ["no findings"]
        lines += [] if self.remedy is None else [f"remedy: {self.remedy.text}"]
        unread = [] if self.coverage is None else [f"unread: {sentence}" for sentence in self.coverage.unread]
        columns = ("layer", "cell", "n", "gate", "ρ")
        return card(self.answer.sentence, columns=columns, rows=rows, lines=[*unread, *lines])


def _radii(layer: LayerExamination) -> dict[str, float]:
    """Return the spectral radius of every gate, or of λ."""
    diagonal = layer.layer.diagonal
    if diagonal is not None and layer.finite:
        return {"λ": float(np.abs(diagonal).max())}
    return {gate: float(spectrum.radius) for gate, spectrum in layer.spectra.items()}


def _gates_dict(layer: LayerExamination) -> dict[str, dict[str, float]]:
    """Return what is measured of the weight of every gate, without what it does."""
    gates = {gate: {"radius": radius} for gate, radius in _radii(layer).items()}
    if "λ" in gates:
        return gates
    for gate, s in layer.spectra.items():
        gates[gate] |= {
            "norm": float(s.norm),
            "departure_from_normality": float(s.departure_from_normality),
            "log_norm": layer.log_norm(gate),
        }
    return gates


def _layer_dict(layer: LayerExamination) -> dict[str, Any]:
    recurrent = layer.layer
    driven = layer.driven
    return {
        "name": recurrent.name,
        "cell": str(recurrent.cell),
        "hidden_size": recurrent.hidden_size,
        "input_size": recurrent.input_size,
        "direction": recurrent.direction,
        "layer": recurrent.layer,
        "tensors": list(recurrent.source.tensors),
        "layout": recurrent.source.layout,
        "dtype": recurrent.source.dtype,
        "gates": _gates_dict(layer),
        "driven": None
        if driven is None
        else {
            "inputs": driven.inputs,
            "growth_rate": driven.growth_rate,
            "log_growth": driven.log_growth.tolist(),
            "saturation": driven.saturation,
        },
        "linear": None if recurrent.linear is None else _linear_dict(layer),
        "unmeasured": layer.unmeasured,
        "unknown": sorted(recurrent.unknown),
        "trained": layer.training.trained,
        "training": layer.training.reason,
        "live": None if layer.live is None else layer.live.to_dict(),
    }


def _linear_dict(layer: LayerExamination) -> dict[str, Any] | None:
    """Return the family of a linear recurrence and the memory of its heads."""
    linear = layer.layer.linear
    if linear is None:
        return None
    memory, family = head_memory(layer.layer), linear.family
    return {
        "family": family.name,
        "transition": family.transition,
        "range": None if linear.range is None else list(linear.range),
        "unit": family.unit,
        "units": linear.units,
        "parameters": dict(linear.names),
        "memory": None if memory is None else memory.to_dict(),
        "tokens": None if layer.tokens is None else layer.tokens.to_dict(),
        "source": family.source,
    }


def _coverage_dict(coverage: Coverage) -> dict[str, Any]:
    def entries(tensors: Iterable[Any]) -> list[dict[str, Any]]:
        return [{"name": e.name, "shape": list(e.shape), "reason": e.reason, "undecided": e.undecided} for e in tensors]

    return {
        "analysed": entries(coverage.analysed),
        "skipped": entries(coverage.skipped),
        "other": coverage.other,
        "notes": list(coverage.notes),
        "unread": list(coverage.unread),
    }
