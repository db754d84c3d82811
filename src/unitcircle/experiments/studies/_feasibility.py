"""Whether runs can be trained: checked when a study is read, instead of in a worker an hour later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.models import Parameter, Role, TrainableCell
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Run, build_network
from unitcircle.initializers import GateBias, Initializer

LARGEST = 256**2
"""Entries of the largest block of which one is drawn to check its law; takes milliseconds."""


def check_options(options: Mapping[str, Any], /) -> None:
    """Raise if torch would refuse a run in a worker, or an option would have no effect."""
    for name in ("momentum", "weight_decay", "omega", "norm_stabilizer", "soft_orthogonality"):
        if not 0 <= options.get(name, 0) < math.inf:
            raise ArgumentError(name, "must be finite and not negative", str(options[name]))
    if options.get("momentum") and options.get("optimizer") != "sgd":
        raise ArgumentError("momentum", "must be 0 for an optimizer other than sgd", str(options["momentum"]))
    if (patience := options.get("patience")) is not None and patience < 1:
        raise ArgumentError("patience", "must be at least 1 evaluation", str(patience))
    if options.get("device", "cpu") == "cpu":
        return
    try:
        torch.device(options["device"])
    except RuntimeError as error:
        raise ArgumentError("device", "must be a torch device, such as cpu or cuda", repr(options["device"])) from error


def check_setting(setting: Run, task: Task, /) -> None:
    """Raise if a task, its cell and the options of a run exclude each other."""
    cell = TrainableCell.parse(setting.cell)
    translates = task.architecture == "encoder_decoder"
    if not cell.recurrent and (translates or task.every_step):
        raise ArgumentError("cells", f"must be recurrent for {task.name}, which has an output at every step", str(cell))
    of_states = "omega" if setting.omega else "norm_stabilizer"
    if getattr(setting, of_states) and (translates or not cell.recurrent):
        rule = "must be 0 for a network without a single sequence of states"
        raise ArgumentError(of_states, rule, f"{getattr(setting, of_states)} for {task} with {cell}")
    if setting.soft_orthogonality and not _has_recurrent_weights(cell):
        rule = "must be 0 for a cell without recurrent weights"
        raise ArgumentError("soft_orthogonality", rule, f"{setting.soft_orthogonality} for {cell}")
    if outside := [step for step in setting.measure_at if not -1 <= step <= setting.steps]:
        rule = f"must hold steps from 0 to {setting.steps}, or -1 for the last"
        raise ArgumentError("measure_at", rule, str(outside[0]))
    # The widths of inputs and outputs may depend on data, which need not be on this machine.
    if not task.places or isinstance(getattr(type(task), "inputs", None), int):
        parameters = build_network(task, cell).parameters().values()
        _check("input", setting.input, cell, [p for p in parameters if p.role is Role.INPUT])
        _check("readout", setting.readout, cell, [p for p in parameters if p.role is Role.READOUT])


def check_laws(run: Run, /) -> None:
    """Raise if the recurrent weight or the bias of a run cannot be drawn."""
    cell = TrainableCell.parse(run.cell)
    parameters = cell.parameters(1).values()
    _check("initializers", run.recurrent, cell, [p for p in parameters if p.role is Role.RECURRENT])
    _check("bias", run.bias, cell, [p for p in parameters if p.role is Role.BIAS])


def _check(argument: str, text: str, cell: TrainableCell, parameters: Sequence[Parameter]) -> None:
    init = Initializer.parse(text)
    gated = isinstance(init, GateBias)
    for parameter in parameters:
        shape = (parameter.shape[0] // len(parameter.gates), *parameter.shape[1:])
        if gated and argument == "bias":
            if cell.gated is None:
                rule = f"must be zeros or constant for {cell.name}, which has no gates"
                raise ArgumentError("bias", rule, text)
        elif gated:
            raise ArgumentError(argument, "must be a law of weights, not of biases", text)
        elif math.prod(shape) <= LARGEST and (reason := _refusal(init, shape)):
            rule = f"must be a law that the blocks {shape} of {cell.name} can have"
            raise ArgumentError(argument, rule, f"{text} ({reason})")


@lru_cache(1024)
def _refusal(init: Initializer, shape: tuple[int, ...]) -> str:
    """Return why a block of some shape cannot be drawn; an empty text if it can."""
    try:
        block = init(np.random.default_rng(0).standard_normal(shape))
    except ArgumentError as error:
        return str(error).removesuffix(".")
    return "it is complex" if np.iscomplexobj(block) else ""


def _has_recurrent_weights(cell: TrainableCell) -> bool:
    small = replace(cell, size=1)
    return bool(small.recurrent_weights({name: torch.ones(1, *p.shape) for name, p in small.parameters(1).items()}))
