"""Layers among arrays without names, where their order and shapes leave no doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.recurrence import Cell, RecurrentLayer, from_keras, from_torch

Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Run:
    """Arrays that follow each other and are one layer: the place of the first, the cell, the number of arrays."""

    start: int
    cell: Cell
    count: int


def _gated_cell(stacked: int, units: int) -> Cell | None:
    return {3: Cell.GRU, 4: Cell.LSTM}.get(stacked // units) if units > 1 and stacked % units == 0 else None


def column_run(shapes: Shapes, start: int, /) -> Run | None:
    """Return the cell of Equinox or torch whose arrays start at a place: weight_ih, weight_hh, and biases."""
    # Equinox: GRU (3n, m) (3n, n) (3n,) (n,), gates r z n; LSTM (4n, m) (4n, n) (4n,), gates i f g o, as in torch,
    # which has a second bias of the same size. Without biases, two matrices with the same number of rows are a cell
    # only if no third has it: attention has three.
    first, second, *rest = [*shapes[start : start + 4], (), (), (), ()][:4]
    if len(first) != 2 or len(second) != 2 or first[0] != second[0] or min(*first, *second) < 1:
        return None
    rows, units = second
    biases = {Cell.GRU: ((rows,), (units,)), Cell.LSTM: ((rows,),)}
    cell = _gated_cell(rows, units)
    if cell is None:
        return None
    for expected in (((rows,), (rows,)), biases[cell]):
        if tuple(rest[: len(expected)]) == expected:
            return Run(start, cell, 2 + len(expected))
    others = [shape for shape in (*shapes[max(start - 1, 0) : start], rest[0]) if shape[:1] == (rows,)]
    return Run(start, cell, 2) if not others and first[1] != units else None


def keras_run(shapes: Shapes, start: int, /) -> Run | None:
    """Return the Keras layer whose weights start at a place: kernel ``(m, kn)``, recurrent kernel ``(n, kn)``, bias."""
    # The bias is (kn,), or (2, 3n) of a GRU that resets after the product.
    first, second, third = [*shapes[start : start + 3], (), (), ()][:3]
    if len(first) != 2 or len(second) != 2 or first[1] != second[1] or min(*first, *second) < 1:
        return None
    units, columns = second
    cell = _gated_cell(columns, units)
    if cell is None or not (third == (columns,) or (cell is Cell.GRU and third == (2, columns))):
        return None
    return Run(start, cell, 3)


def listed_layers(
    lists: Iterable[Sequence[str]], tensors: Mapping[str, StoredTensor], file: str, /
) -> Iterator[RecurrentLayer]:
    """Yield the layers in lists of arrays, such as those of get_weights of Keras, or of parameters() of torch."""
    kinds: tuple[tuple[Callable[..., Run | None], Callable[..., RecurrentLayer]], ...] = (
        (keras_run, row_layer),
        (column_run, column_layer),
    )
    for names in lists:
        shapes, place = [tensors[name].shape for name in names], 0
        while place < len(names):
            found = ((run(shapes, place), make) for run, make in kinds)
            run, make = next(((run, make) for run, make in found if run is not None), (None, row_layer))
            if run is not None:
                yield make(run, names, tensors, file)
            place += 1 if run is None else run.count


def lists_of_places(names: Iterable[str], /) -> list[list[str]]:
    """Return the names of a file list by list where all are places of a list: ``arr_0``, ``arr_1`` or ``weights.0``."""
    lists: dict[str, dict[int, str]] = {}
    for name in names:
        match = re.fullmatch(r"(|.*[._/])(?:arr_)?(\d{1,6})", name, re.DOTALL)
        if match is None:
            return []
        lists.setdefault(match[1], {})[int(match[2])] = name
    return [[places[place] for place in sorted(places)] for places in lists.values()]


def column_layer(run: Run, names: Sequence[str], tensors: Mapping[str, StoredTensor], file: str, /) -> RecurrentLayer:
    """Return the layer of a run of arrays that act on columns."""
    inputs, recurrent, *biases = names[run.start : run.start + run.count]
    bias = tensors[biases[0]].load() if biases else None
    second = _of_all_gates(tensors[biases[1]].load(), len(bias)) if bias is not None and len(biases) > 1 else None
    source = source_of(file, (recurrent, inputs, *biases), "torch", tensors[recurrent].dtype)
    return from_torch(
        tensors[recurrent].load(),
        cell=run.cell,
        weight_ih=tensors[inputs].load(),
        bias_ih=bias,
        bias_hh=second,
        name=recurrent,
        source=source,
    )


def row_layer(run: Run, names: Sequence[str], tensors: Mapping[str, StoredTensor], file: str, /) -> RecurrentLayer:
    """Return the layer of a run of arrays of Keras, which act on rows."""
    inputs, recurrent, bias = names[run.start : run.start + run.count]
    source = source_of(file, (recurrent, inputs, bias), "keras", tensors[recurrent].dtype)
    return from_keras(
        tensors[recurrent].load(),
        cell=run.cell,
        kernel=tensors[inputs].load(),
        bias=tensors[bias].load(),
        name=recurrent,
        source=source,
    )


def stack_layer(name: str, tensors: Mapping[str, StoredTensor], file: str, /) -> RecurrentLayer:
    """Return the layer of one stack ``(kn, n)`` alone, of which nothing else is known."""
    tensor = tensors[name]
    cell = {3: Cell.GRU, 4: Cell.LSTM}[tensor.shape[0] // tensor.shape[1]]
    layer = from_torch(tensor.load(), cell=cell, name=name, source=source_of(file, (name,), "torch", tensor.dtype))
    return replace(layer, unknown=frozenset({"bias", "input"}))


def _of_all_gates(bias: np.ndarray, rows: int) -> np.ndarray:
    """Return a bias of the whole stack, or of its last gate alone, as one of the whole stack."""
    return np.concatenate([np.zeros(rows - len(bias), bias.dtype), bias])
