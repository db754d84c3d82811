"""Diagnosing a file or layers, and what comes out."""

from __future__ import annotations

__all__ = ["Diagnosis", "diagnose", "is_live"]

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from unitcircle import checkpoints
from unitcircle._array import to_numpy
from unitcircle.checkpoints import Coverage, Layers
from unitcircle.diagnosis._examination import DEFAULT_STEPS, Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import selected
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence import RecurrentLayer

SCHEMA = 1
"""Version of the JSON form; a change that breaks a reader raises it."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was measured on a model, and what is wrong with it.

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
        What of a file or model was analysed, and what was not and why; None for layers.
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
            "layers": [_layer_dict(layer) for layer in self.layers],
            "findings": [finding.to_dict() for finding in self.findings],
            "trials": None if self.examination.trials is None else self.examination.trials.to_dict(),
            "coverage": None if self.coverage is None else _coverage_dict(self.coverage),
        }

    def to_json(self) -> str:
        """Return the diagnosis as strict JSON of schema version 1; infinities and NaN are strings."""
        return _report().to_json(self.to_dict())

    def to_html(self, path: str | os.PathLike[str], /) -> Path:
        """Write the diagnosis as one self-contained HTML page.

        Parameters
        ----------
        path
            Where to; written whole, then renamed.

        Returns
        -------
        pathlib.Path
            The path written.
        """
        return _report().diagnosis_page(self, path)

    def __str__(self) -> str:
        return _report().diagnosis_text(self)


def _report() -> Any:
    # The report stands above the diagnosis in the house: it knows this class, and this class finds it when asked.
    return import_module("unitcircle.report")


def _layer_dict(layer: LayerExamination) -> dict[str, Any]:
    made = layer.layer
    gates = {
        gate: {
            "radius": float(s.radius),
            "norm": float(s.norm),
            "departure_from_normality": float(s.departure_from_normality),
            "log_norm": float(layer.log_norms[gate][-1]),
        }
        for gate, s in layer.spectra.items()
    }
    if made.diagonal is not None and layer.finite:
        gates = {"λ": {"radius": float(np.abs(made.diagonal).max())}}
    driven = layer.driven
    return {
        "name": made.name,
        "cell": str(made.cell),
        "hidden_size": made.hidden_size,
        "input_size": made.input_size,
        "direction": made.direction,
        "layer": made.layer,
        "tensors": list(made.source.tensors),
        "layout": made.source.layout,
        "dtype": made.source.dtype,
        "gates": gates,
        "driven": None
        if driven is None
        else {
            "inputs": driven.inputs,
            "growth_rate": driven.growth_rate,
            "log_growth": driven.log_growth.tolist(),
            "saturation": driven.saturation,
        },
        "live": None if layer.live is None else layer.live.to_dict(),
    }


def _coverage_dict(coverage: Coverage) -> dict[str, Any]:
    def entries(found: Iterable[Any]) -> list[dict[str, Any]]:
        return [{"name": e.name, "shape": list(e.shape), "reason": e.reason, "undecided": e.undecided} for e in found]

    return {
        "analysed": entries(coverage.analysed),
        "skipped": entries(coverage.skipped),
        "other": coverage.other,
        "notes": list(coverage.notes),
    }


def diagnose(  # noqa: PLR0913  (the one door: what is diagnosed, over what, what is tried, what is reported)
    model: Any,
    batch: Any = None,
    /,
    *,
    steps: int | None = None,
    data: np.ndarray | None = None,
    loss: Callable[..., Any] | None = None,
    at: Sequence[str] = (),
    try_initializers: Sequence[Any] = (),
    seeds: int = 5,
    weights: Mapping[str, float] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> Diagnosis:
    """Find every recurrent layer, measure it, and report what is wrong as a linter does.

    A file or layers are rebuilt from their weights (findings UC1xx). A live PyTorch model is besides run on a batch,
    once forwards and backwards, and judged by what its gradient, states and gates do there (findings UC2xx); it is
    left as found: parameters, training mode, random state.

    Parameters
    ----------
    model
        A file that :func:`unitcircle.read` reads, what it returned, recurrent layers, or a ``torch.nn.Module``.
    batch
        For a module: inputs in its own layout, ``(inputs, target)``, or a dictionary of its arguments.
    steps
        The length T that the network must bridge (steps). Of a module by default the length of the batch, which it
        must not exceed. Of a file 64, and what depends on it is a note.
    data
        For a file: inputs ``(time, batch, m)`` to drive the layers with whose input size is m; standard-normal ones
        otherwise.
    loss
        For a module: ``loss(output)`` or ``loss(output, target)``; cross entropy or squared error by default if there
        is a target, else a random cotangent.
    at
        For a module: names of square Linear submodules that a hand-written recurrence calls with its state.
    try_initializers
        For a module: initializers to try on copies of it: texts such as ``"orthogonal"`` or ``"orthogonal +
        chrono(max_steps=64)"``, initializers, mappings of arguments of :func:`unitcircle.torch.initialize_`;
        ``"remedies"`` stands for those that fit the cells and the length.
    seeds
        Draws of each, at least 5.
    weights
        Weights of the ranking: criterion (``"flow"``, ``"typical_direction"``, ``"effective_dimension"``) → weight.
        By default each counts by its rank correlation with trained scores in our pilot.
    select, ignore
        Codes, or beginnings of codes, to run or to leave out.
    seed
        Seed of inputs, probes and draws: the same seed gives the same diagnosis.

    Returns
    -------
    Diagnosis
        Findings, measurements, coverage.

    Raises
    ------
    ArgumentError
        ``steps`` is not positive, or beyond the batch; an argument that does not go with this kind of model.
    CheckpointError
        The file cannot be read, or must not be.
    UnknownNameError
        A code that matches no rule.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> layer = from_torch(np.vstack([np.eye(4), np.zeros((12, 4))]), cell="lstm", name="lstm")
    >>> [finding.code for finding in diagnose([layer]).findings]
    ['UC102', 'UC110', 'UC106']
    """
    if steps is not None and steps < 1:
        raise ArgumentError("steps", "must be a positive number of steps", repr(steps))
    rules = list(selected(select, ignore))
    if is_live(model):
        if batch is None or data is not None:
            raise ArgumentError("batch", "must be what a module is run on", "none", "Pass diagnose(model, batch).")
        # Imported only now: it needs torch, which is here since the model is.
        live = import_module("unitcircle.diagnosis._live_examination")
        run = live.Run(batch, loss, tuple(at), seed)
        examination, coverage = live.examine(
            model, run, steps=steps, given=try_initializers, seeds=seeds, weights=weights
        )
        subject, kind = type(model).__name__, "live"
    else:
        if batch is not None or loss is not None or at or try_initializers:
            rule = "must be a torch.nn.Module for batch, loss, at and try_initializers"
            raise ArgumentError("model", rule, type(model).__name__, "Drive a file's layers with data=.")
        subject, kind, coverage = "layers", "", None
        if isinstance(model, str | os.PathLike):
            model = checkpoints.read(cast("str | os.PathLike[str]", model))
        if isinstance(model, Layers):
            subject, kind, coverage = str(model.path), str(model.format), model.coverage
        length = DEFAULT_STEPS if steps is None else steps
        layers = list(cast("Iterable[RecurrentLayer]", model))
        if data is not None:
            _check_data(data, layers)
        examined = [LayerExamination(layer, length, data, seed) for layer in layers]
        examination = Examination(examined, length, steps_given=steps is not None)
    findings = [finding for rule in rules for finding in rule.findings(examination)]
    findings.sort(key=lambda finding: -finding.severity)  # stable: within a severity by code, then by place
    return Diagnosis(subject, kind, examination, tuple(findings), coverage)


def _check_data(data: np.ndarray, layers: Sequence[RecurrentLayer]) -> None:
    data = to_numpy(data, argument="data")
    sizes = sorted({layer.input_size for layer in layers if layer.input_size})
    if data.ndim != 3 or not data.size or data.shape[-1] not in sizes:
        fits = " or ".join(map(str, sizes)) or "m; no layer here has input weights to drive"
        raise ShapeError("data", f"must have shape (time, batch, m) with m = {fits}", f"shape {data.shape}")


def is_live(model: object, /) -> bool:
    """Whether this is a ``torch.nn.Module``, found out without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
