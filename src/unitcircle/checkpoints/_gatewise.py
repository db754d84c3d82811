"""Cells that their authors wrote by hand with one matrix for each gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from unitcircle.checkpoints._gate_blocks import layer_of_blocks, vector
from unitcircle.checkpoints._gate_names import GateNames, gate_names
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.recurrence import Cell, RecurrentLayer

_EVIDENCE = 10.0
"""Nats by which the data must favour one order of state and input over the other."""


@dataclass(frozen=True)
class _Weights:
    """The weights of a cell, which act on columns, and the tensors that they come from."""

    recurrent: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    used: tuple[str, ...]
    layout: str
    peepholes: Mapping[str, np.ndarray]


def gatewise_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer whose forget or reset gate a tensor is, with all its gates."""
    if not work.is_matrix(name):
        return None
    for names in gate_names(name, work.free):
        if all(work.is_matrix(full) for full in (*names.recurrent.values(), *names.inputs.values())):
            layer = _joint_layer(work, names) if names.joint else _pair_layer(work, names)
            if layer is not None or name not in work.free:
                return layer
    return None


def _shape(work: Inventory, parts: Mapping[str, str]) -> tuple[int, ...] | None:
    """Return the one shape that all gates have, or None."""
    shapes = {work.shape(full) for full in parts.values()}
    return shapes.pop() if len(shapes) == 1 else None


def _pair_layer(work: Inventory, names: GateNames) -> RecurrentLayer | None:
    recurrent, inputs = names.recurrent, names.inputs
    own, entering = _shape(work, recurrent), _shape(work, inputs)
    if own is None or entering is None:
        return None
    if names.exchangeable and len(set(own)) == 1 == len(set(entering)):
        pair = next(f"{full} and {inputs[gate]}" for gate, full in recurrent.items())
        return _refuse(work, names, f"which of {pair} acts on the state the file does not tell, both are square")
    if names.exchangeable and len(set(own)) != 1:
        recurrent, inputs, own, entering = inputs, recurrent, entering, own
    n = own[0]
    if own != (n, n) or n not in entering or n < 2:
        return None
    rows = names.rows or (entering[0] != n and not names.is_module)
    if entering == (n, n) and not (names.is_module or names.rows):
        work.notes[_assumed_columns(work, names)] = None
    peepholes: dict[str, Any] = {}
    for gate, full in names.peepholes.items():
        if (weight := vector(work, full, n)) is None:
            return _refuse(work, names, f"its peephole {full} {work.shape(full)} is no vector of {n} units")
        peepholes[gate] = weight

    def blocks(parts: Mapping[str, str]) -> dict[str, np.ndarray]:
        return {gate: work.load(full).T if rows else work.load(full) for gate, full in parts.items()}

    used = (*recurrent.values(), *inputs.values(), *names.peepholes.values())
    weights = _Weights(blocks(recurrent), blocks(inputs), used, "rows" if rows else "columns", peepholes)
    return _layer(work, names, weights)


def _assumed_columns(work: Inventory, names: GateNames) -> str:
    return f"layer {_name(work, names)}: its weights are taken to act on columns; their spectra are the same either way"


def _joint_layer(work: Inventory, names: GateNames) -> RecurrentLayer | None:
    shape = _shape(work, names.recurrent)
    if shape is None or shape[0] == shape[1] or min(shape) < 2:
        return None
    rows, n = shape[0] > shape[1], min(shape)
    if names.is_module and rows:
        return None
    # One square matrix for each gate beside them: then these act on the input alone.
    if (names.prefix, n) not in work.squares:
        square = (full for full in work.free_below(names.prefix) if work.shape(full) == (n, n))
        work.squares[names.prefix, n] = list(islice(square, 4))
    beside = work.squares[names.prefix, n]
    if len(beside) >= len(names.recurrent):
        return _refuse(work, names, f"which of {', '.join(beside)} belongs to which gate its names do not tell")
    if any(vector(work, full, n) is None for parts in names.biases.values() for full in parts):
        return None
    blocks = {gate: work.load(full).T if rows else work.load(full) for gate, full in names.recurrent.items()}
    leads = _state_leads(list(blocks.values()), n)
    if leads is None:
        if names.is_module:
            return _refuse(
                work, names, f"which {n} of the {max(shape)} columns act on the state the file does not tell"
            )
        # The two wide-spread sources of such cells: Wf Wi Wc Wo on [h, x], and wf wi wg wo on [x, h].
        leads = not ("g" in blocks and names.recurrent["g"].endswith("wg"))
        place = "first" if leads else "last"
        work.notes[
            f"layer {_name(work, names)}: the {place} {n} columns of its gates are taken as those that act on the state"
        ] = None
    m = max(shape) - n
    state, entering = (slice(0, n), slice(n, None)) if leads else (slice(m, None), slice(0, m))
    recurrent = {gate: block[:, state] for gate, block in blocks.items()}
    inputs = {gate: block[:, entering] for gate, block in blocks.items()}
    layout = "joint rows" if rows else "joint columns"
    return _layer(work, names, _Weights(recurrent, inputs, tuple(names.recurrent.values()), layout, {}))


def _state_leads(blocks: list[np.ndarray], n: int) -> bool | None:
    """Whether the first n columns act on the state, by a step in the size of the columns; None where there is none."""
    sums = [np.einsum("ij,ij->j", block, block, dtype=np.float64) for block in blocks]
    size = np.log(np.sum(sums, axis=0) / sum(map(len, blocks)) + 1e-300)
    m = len(size) - n
    if m == n:
        return None

    def gain(split: int) -> float:
        within = sum(float(np.sum((part - part.mean()) ** 2)) for part in (size[:split], size[split:]))
        return 0.5 * len(size) * float(np.log(np.sum((size - size.mean()) ** 2) + 1e-30) - np.log(within + 1e-30))

    favour = gain(n) - gain(m)
    return bool(favour > 0) if abs(favour) > _EVIDENCE else None


def _layer(work: Inventory, names: GateNames, weights: _Weights) -> RecurrentLayer:
    n = len(next(iter(weights.recurrent.values())))
    biases: dict[str, np.ndarray] = {}
    for gate, parts in names.biases.items():
        vectors = [value for full in parts if (value := vector(work, full, n)) is not None]
        if vectors:
            biases[gate] = vectors[0] if len(vectors) == 1 else np.asarray(vectors, dtype=np.float64).sum(axis=0)
    if biases.keys() != names.recurrent.keys():
        biases = {gate: biases.get(gate, np.zeros(n)) for gate in names.recurrent} if biases else {}
    added = tuple(full for parts in names.biases.values() for full in parts if vector(work, full, n) is not None)
    name = _name(work, names)
    options: dict[str, Any] = {"peepholes": weights.peepholes}
    if names.cell is Cell.GRU:
        options = {"unknown": frozenset({"gating"})}
        work.notes[
            f"layer {name}: whether its update gate keeps the state or replaces it, and whether the reset gate acts "
            "before the recurrent product, is not in the file"
        ] = None
    own = re.sub(r"^[hxi]2", "", next(iter(names.recurrent.values()))[len(names.prefix) :])  # hidden "to", no number
    number = re.search(r"\d+", own)
    return layer_of_blocks(
        names.cell,
        weights.recurrent,
        weights.inputs,
        biases,
        name=name,
        layer=int(number[0]) if number else 0,
        source=work.source((*weights.used, *added), weights.layout),
        **options,
    )


def _name(work: Inventory, names: GateNames) -> str:
    return work.layer_name(names.prefix, names.cell)


def _refuse(work: Inventory, names: GateNames, reason: str) -> None:
    listed = ", ".join(full[len(names.prefix) :] for full in names.recurrent.values())
    name = _name(work, names)
    work.unread[f"{name} looks like {_ARTICLE[names.cell]} ({listed}), but {reason}: not read"] = None
    for full in (*names.recurrent.values(), *names.inputs.values()):
        work.skip(full, f"a gate of {name}, which is not read", undecided=False)


_ARTICLE = {Cell.LSTM: "an LSTM", Cell.GRU: "a GRU"}
