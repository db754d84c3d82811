"""The leak of a plain cell that a person names: a number, or a stored tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer

_LISTED = 20


def with_leak(
    layers: Iterable[RecurrentLayer], leak: float | str, tensors: Mapping[str, StoredTensor], /
) -> list[RecurrentLayer]:
    """Return layers with a leak where their source leaves it unknown; one of them at least must."""
    layers = list(layers)
    if not any("leak" in layer.unknown for layer in layers):
        rule = "must be for a plain cell whose leak the file leaves unknown"
        raise ArgumentError("leak", rule, repr(leak), "Name the cell with tensors=, on the command line --tensor.")
    return [leaky(layer, leak, tensors) if "leak" in layer.unknown else layer for layer in layers]


def leaky(layer: RecurrentLayer, leak: float | str, tensors: Mapping[str, StoredTensor]) -> RecurrentLayer:
    """Return a plain layer whose state moves by a share α = Δt/τ in a step."""
    source = layer.source
    value: Any = leak
    try:
        value = float(leak)
    except ValueError:
        value = np.asarray(tensor_named(str(leak), tensors).load(), dtype=float).squeeze()
        source = replace(source, tensors=(*source.tensors, str(leak)))
    shape = np.shape(value)
    if shape not in {(), (layer.hidden_size,)}:
        rule = f"must be one number, or one for each of the {layer.hidden_size} units"
        raise ShapeError("leak", rule, f"shape {shape}")
    if not np.all((np.asarray(value) > 0) & (np.asarray(value) <= 1)):
        raise ArgumentError("leak", "must be above 0 and at most 1", f"{leak} = {value}" if shape else str(value))
    return replace(
        layer,
        cell=Cell.LEAKY_RNN,
        activations={"h": layer.activations["h"]},
        leak=value if shape else float(value),
        unknown=layer.unknown - {"leak"},
        source=source,
    )


def tensor_named(name: str, tensors: Mapping[str, StoredTensor], /) -> StoredTensor:
    """Return the tensor of a name, or raise."""
    if name in tensors:
        return tensors[name]
    if len(tensors) <= _LISTED:
        raise UnknownNameError("tensor", name, tensors)
    near = get_close_matches(name, tensors, n=3)
    remedy = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ArgumentError("tensor", f"must be one of the {len(tensors)} of the file", repr(name), remedy)
