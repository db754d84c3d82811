"""The recurrences that a live model computes in loops of its own (imports torch; imported only for such a model)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from unitcircle.dynamics import HandWritten, HandWrittenLayer, hand_written, prepared
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer, Source
from unitcircle.torch import RecurrentTensors

Names = Sequence[str | nn.Parameter]
"""Modules or parameters that a person names: qualified names, or the parameters themselves."""


@dataclass(frozen=True, eq=False)
class LoopLayers:
    """The hand-written recurrences of a model, how they were found, and what was not recognised."""

    layers: tuple[tuple[RecurrentLayer, HandWrittenLayer], ...]
    notes: tuple[str, ...]
    unread: tuple[str, ...]


def loop_layers(
    model: nn.Module,
    batch: Any,
    loss: Any,
    at: Names,
    /,
    *,
    known: Collection[str],
    explained: Collection[str],
    probes: int,
    seed: int,
) -> LoopLayers:
    """Return the hand-written recurrences of a model; every name of ``at`` is one, or is refused."""
    # Parameters that are known are measured otherwise; explained ones need no sentence if no loop is found.
    named = {name: parameters_of(model, name) for name in names_of(model, at)}
    found, _ = prepared(model, batch, loss).in_double(
        lambda dtype: hand_written(model, batch, loss, known=known, probes=probes, rng=seed, dtype=dtype)
    )
    titles: dict[str, str] = {}
    for name, parameters in named.items():
        matches = [layer for layer in found.layers if parameters & set(layer.parameters)]
        if not matches and not parameters & set(known):
            rule = "must name what acts on the state of a loop that takes three steps or more"
            others = ", ".join(layer.name for layer in found.layers) or "none"
            remedy = f"Found on this batch: {others}. Measure a step function with unitcircle.dynamics.as_recurrence."
            raise ArgumentError("at", rule, repr(name), remedy)
        titles |= {layer.name: name for layer in matches}
    layers = [(_as_layer(model, layer, titles.get(layer.name)), layer) for layer in found.layers]
    notes = [_how(layer, titles.get(layer.name, layer.name)) for layer in found.layers]
    return LoopLayers(tuple(layers), (*notes, *found.notes), _unrecognised(found, explained))


def names_of(model: nn.Module, at: Names, /) -> list[str]:
    """Return the qualified names that a person gives, also of parameters given as objects."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = [item for item in at if not isinstance(item, str)]
    if any(id(tensor) not in names for tensor in tensors):
        raise ArgumentError("at", "must hold names, or parameters of the model", "another tensor")
    return [item if isinstance(item, str) else names[id(item)] for item in at]


def parameters_of(model: nn.Module, name: str, /) -> set[str]:
    """Return the parameters and buffers that a name stands for: its own, or those of the module."""
    everything = dict([*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)])
    if name in everything:
        return {name}
    modules = dict(model.named_modules())
    if name not in modules:
        raise UnknownNameError("at", name, (key for key in (*modules, *everything) if key))
    return {parameter for parameter in everything if not name or parameter.startswith(f"{name}.")}


def square(model: nn.Module, name: str, /) -> RecurrentTensors | None:
    """Return the plain layer whose recurrent weight is a square parameter, or that of a module; None without one."""
    modules = dict(model.named_modules())
    if name in modules:
        return RecurrentTensors.of_square(modules[name], name)
    parameters_of(model, name)
    tensor = dict([*model.named_parameters(), *model.named_buffers()]).get(name)
    if tensor is None or tensor.ndim != 2 or tensor.shape[0] != tensor.shape[1]:
        return None
    return RecurrentTensors("", "Parameter", Cell.RNN_TANH, {"weight_hh": tensor}, {"weight_hh": name}, name)


def _as_layer(model: nn.Module, layer: HandWrittenLayer, title: str | None) -> RecurrentLayer:
    """Return a layer without weights, or where a person named a square weight the plain layer with it."""
    if title is not None and (tensors := square(model, title)) is not None:
        return replace(tensors.as_layer(), name=title)
    first = next(iter(model.parameters()), torch.empty(0))
    source = Source(tensors=layer.parameters, layout="torch", dtype=str(first.dtype).removeprefix("torch."))
    return RecurrentLayer(name=title or layer.name, cell=Cell.HAND_WRITTEN, units=layer.state_size, source=source)


def _how(layer: HandWrittenLayer, name: str) -> str:
    """Return how a recurrence was found."""
    shapes = " and ".join(str(shape) for shape in layer.shapes)
    acting = ", ".join(layer.parameters) or "no parameter"
    return (
        f"{name} is a loop of {layer.gradient.steps} steps, found in the autograd graph of one forward pass: it "
        f"carries a state of shape {shapes}, on which {acting} act{'s' * (len(layer.parameters) < 2)}"
        f"{', through gates' * layer.gated}"
    )


def _unrecognised(found: HandWritten, explained: Collection[str]) -> tuple[str, ...]:
    by_module: dict[str, int] = {}
    for name, uses in ((name, uses) for name, uses in found.unrecognised.items() if name not in explained):
        owner = name.rpartition(".")[0] or name
        by_module[owner] = max(uses, by_module.get(owner, 0))
    parallel = [
        f"{name} runs what may be a linear recurrence as one operation along time: not measured (write the recurrence "
        "as a loop to have it measured)"
        for name in found.parallel
    ]
    steps = [
        f"{name} is applied {uses} times, each time to what the time before gave, and no loop that does it was "
        "recognised: not measured (pass a step function to unitcircle.dynamics.as_recurrence)"
        for name, uses in by_module.items()
    ]
    return (*steps, *parallel)
