"""Cells by the names of torch, Equinox, Keras and flax, whose layouts are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unitcircle.checkpoints._choice import cell_of_stack
from unitcircle.checkpoints._families import Family, Match, gated_families, keras_family
from unitcircle.checkpoints._gate_blocks import vector
from unitcircle.checkpoints._impostors import is_of_optimizer
from unitcircle.checkpoints._inventory import ASSUMED_TANH, Inventory
from unitcircle.checkpoints._plain_cells import plain_layer
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._room import work as count
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import Cell, RecurrentLayer, from_flax, from_keras, from_torch

_KERAS_LEAF = re.compile(r"(?:kernel|recurrent_kernel|bias)(?::0)?")
_RULE = "must stack 1, 3 or 4 square blocks"


def matched(work: Inventory, families: Sequence[Family], name: str, /) -> Match | None:
    """Return the layer whose recurrent weight a matrix is by the first family that fits its name."""
    if not work.is_matrix(name):
        return None
    matches = (family.match(name, work.free) for family in families)
    return next((match for match in matches if match is not None), None)


def torch_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer of a stack named as torch names it."""
    match = matched(work, gated_families, name)
    if match is None:
        return None
    rows, columns = work.shape(name)
    if match.projection is not None and not work.is_matrix(match.projection):
        raise ArgumentError(match.projection, "must be the matrix of a projection", f"{work.shape(match.projection)}")
    cell = cell_of_stack(rows, columns if match.projection is None else work.shape(match.projection)[-1])
    if cell is None and columns in {3 * rows, 4 * rows}:
        return None  # a stack that acts on rows is not torch's: its author chose the order
    if cell is None:
        raise ArgumentError(name, _RULE, f"shape {(rows, columns)}")
    if cell is Cell.RNN_TANH:
        return plain_layer(work, match)
    if match.family.by_hand and match.recurrent_bias is None:
        work.notes["stacks of gates that their authors named W_hh or w_hh are taken in torch's order"] = None
    if match.projection is not None:
        units = work.shape(match.projection)[-1]
        take(8 * rows * units, "the products with its projections")
        count(rows * units * columns >> 10, "the products with its projections")
    biases = [vector(work, full, rows) for full in match.biases]
    misfits = [full for full, bias in zip(match.biases, biases, strict=True) if full and bias is None]
    if strict := [full for full in misfits if re.search(r"b(?:ias)?_(?:ih|hh)", full)]:
        raise ArgumentError(strict[0], f"must have {rows} entries", f"shape {work.shape(strict[0])}")
    inner = vector(work, match.inner_bias, columns) if cell is Cell.GRU else None
    used = [full for full in match.tensors if full not in match.biases or vector(work, full, rows) is not None]
    layer = from_torch(
        work.load(name),
        cell=cell,
        weight_ih=work.load(match.inputs),
        bias_ih=biases[0],
        bias_hh=biases[1],
        weight_hr=work.load(match.projection),
        name=work.layer_name(match.prefix, cell),
        layer=match.layer,
        direction="reverse" if match.reverse else "forward",
        unknown=frozenset({"bias"} if misfits else ()),
        source=work.source([*used, *([match.inner_bias] if match.inner_bias and inner is not None else [])]),
    )
    return layer if inner is None else replace(layer, recurrent_biases={"n": inner})


def keras_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer of a stack named as Keras names it; its group must hold nothing that the cell does not have."""
    match = matched(work, [keras_family], name)
    if match is None:
        return None
    units, columns = work.shape(name)
    cell = cell_of_stack(columns, units)
    if cell is None:
        raise ArgumentError(name, _RULE, f"shape {(units, columns)}")
    others = [
        leaf
        for full in (work.free_below(match.prefix) if match.prefix.endswith(("/", ".")) else ())
        if not _KERAS_LEAF.fullmatch(leaf := full[len(match.prefix) :]) and not is_of_optimizer(full)
    ]
    if others:
        rule = "must belong to a cell of Keras, which holds kernel, recurrent_kernel and bias"
        raise ArgumentError(name, rule, f"a group that also holds {', '.join(others[:4])}")
    if cell is Cell.RNN_TANH:
        work.notes[ASSUMED_TANH] = None
    return from_keras(
        work.load(name),
        cell=cell,
        kernel=work.load(match.inputs),
        bias=work.load(match.bias),
        name=work.layer_name(match.prefix, cell),
        source=work.source(match.tensors),
    )


def flax_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer of kernels named as flax names them."""
    if not name.endswith("kernel"):
        return None
    match = re.fullmatch(r"(?P<prefix>(?:.*[./])?)(?:hi|hr|h|dense_h)(?P<dot>[./])kernel", name, re.DOTALL)
    if match is None:
        return None
    prefix, dot = match["prefix"], match["dot"]
    parts = ("dense_h", "dense_i", "h", "i", "if_", *(f"{side}{gate}" for side in "hi" for gate in "ifgorzn"))
    names = {
        (part, leaf): f"{prefix}{part}{dot}{leaf}"
        for part in parts
        for leaf in ("kernel", "bias")
        if f"{prefix}{part}{dot}{leaf}" in work.free
    }
    parameters: dict[str, dict[str, Any]] = {}
    for (part, leaf), full in names.items():
        parameters.setdefault(part, {})[leaf] = work.load(full)
    if parameters.keys() == {"hi", "ii"}:  # a cell of one gate, named as those of several
        parameters = {"h": parameters["hi"], "i": parameters["ii"]}
    used = [name, *(full for full in names.values() if full != name)]
    layer = from_flax(parameters, source=work.source(used))
    return replace(layer, name=work.layer_name(prefix, layer.cell))
