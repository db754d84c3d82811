"""Diagnosing a file, layers or a live model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from unitcircle import checkpoints
from unitcircle._array import to_numpy
from unitcircle.checkpoints import Layers
from unitcircle.diagnosis._diagnosis import Diagnosis
from unitcircle.diagnosis._examination import DEFAULT_STEPS, Examination, LayerExamination
from unitcircle.diagnosis._rule import selected
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence import RecurrentLayer


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
        # It needs torch, which is here since the model is.
        from unitcircle.diagnosis import _live_examination as live  # noqa: PLC0415

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
