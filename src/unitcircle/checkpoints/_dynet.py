"""DyNet's text files: parameters in the order in which builders add them, their values in words."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import COST_OF_TENSOR, Contents
from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer, from_keras, from_torch

_HEADER = re.compile(rb"#(Lookup)?Parameter# (\S{1,500}) \{([\d,]{1,80})(?:X\d+)?\}[^\n]*(?:\n|$)")
_FORGET = 1.0
"""What VanillaLSTMBuilder adds to the forget gate in its code, unless it is told otherwise."""
MAX_PARAMETERS = 100_000


def read_dynet(path: Path, /) -> Contents:
    """Return the parameters of a DyNet text file, and the layers of its builders."""
    memory = map_file(path)
    # Values are digits: a number sign starts the next parameter.
    found = re.finditer(rb"^#", memory, re.MULTILINE)
    starts = [match.start() for match in itertools.islice(found, MAX_PARAMETERS + 1)]
    if len(starts) > MAX_PARAMETERS:
        message = f"it is a DyNet text file of more than {MAX_PARAMETERS} parameters: damaged or hostile"
        raise CheckpointError(message)
    tensors: dict[str, StoredTensor] = {}
    collections: dict[str, list[str]] = defaultdict(list)
    for start, end in zip(starts, [*starts[1:], len(memory)], strict=True):
        match = _HEADER.match(memory, start, end)
        if match is None:
            message = f"it is a DyNet text file whose parameter at byte {start} has no name or shape: damaged"
            raise CheckpointError(message)
        name = match[2].decode("utf-8", "replace")
        take(len(name) + COST_OF_TENSOR, "its parameters")
        tensors[name] = _parameter(name, match[3], memory[match.end() : end])
        if match[1] is None:
            collections[name.rpartition("/")[0]].append(name)
    layers: list[RecurrentLayer] = []
    unread: list[str] = []
    for collection, names in collections.items():
        found = _layers(collection, names, tensors, str(path))
        layers += found
        if not found and re.search(r"lstm|gru|rnn", collection):
            unread.append(f"{collection or '/'} is a builder of DyNet whose parameters are of no known cell: not read")
    lstm = any(layer.cell == "lstm" for layer in layers)
    notes = ["the forget bias of DyNet's LSTM includes the 1 that its code adds"] if lstm else []
    return Contents(tensors, layers=layers, notes=tuple(notes), unread=tuple(unread), by_name=False)


def _parameter(name: str, sides: bytes, text: memoryview) -> StoredTensor:
    extents = [int(side) for side in sides.split(b",") if side]
    count = math.prod(extents)
    if 2 * count - 1 > len(text):
        message = (
            f"it is a DyNet text file whose parameter {name!r:.80} of shape {{{sides.decode()}}} has {len(text)} bytes "
            f"for {count} numbers: truncated or damaged"
        )
        raise CheckpointError(message)
    return StoredTensor(tuple(extents), "float32", partial(_values, name, tuple(extents), text))


def _values(name: str, shape: tuple[int, ...], text: memoryview) -> np.ndarray:
    count = math.prod(shape)
    try:
        values = np.fromstring(str(text, "latin-1"), np.float32, count, sep=" ")
    except ValueError:  # older NumPy warns and returns what came before
        values = np.empty(0)
    if values.size != count:
        message = f"it is a DyNet text file whose parameter {name!r:.80} does not hold {count} numbers: damaged"
        raise CheckpointError(message)
    return values.reshape(shape, order="F")


def _layers(collection: str, names: list[str], tensors: dict[str, StoredTensor], file: str) -> list[RecurrentLayer]:
    """Return the layers of a builder, all of whose parameters must be those of one kind of cell."""
    triples = [names[place : place + 3] for place in range(0, len(names), 3)]
    shapes = [tuple(tensors[name].shape for name in triple) for triple in triples]
    if len(names) % 3 or any(tuple(map(len, shape)) != (2, 2, 1) for shape in shapes):
        return []
    stacks = {_gates(*shape) for shape in shapes}
    builder = collection.rpartition("/")[2]
    if stacks == {4} and not re.search(r"gru|rnn", builder):
        return [_lstm(triple, tensors, file) for triple in triples]
    if stacks != {1}:
        return []
    same_inputs = all(shapes[place] == shapes[place - place % 3] for place in range(len(shapes)))
    unlike = shapes[0][0] != shapes[0][1]
    if len(triples) % 3 == 0 and same_inputs and ("gru" in builder or unlike):
        return [_gru(names[place : place + 9], tensors, file) for place in range(0, len(names), 9)]
    if "rnn" in builder:
        return [_plain(triple, tensors, file) for triple in triples]
    return []


def _gates(inputs: tuple[int, ...], recurrent: tuple[int, ...], bias: tuple[int, ...]) -> int:
    """Return how many square blocks a recurrent weight stacks, or 0 where its companions do not fit."""
    rows, units = recurrent
    return rows // units if units > 1 and rows % units == 0 and inputs[0] == rows == bias[0] else 0


def _lstm(names: list[str], tensors: dict[str, StoredTensor], file: str) -> RecurrentLayer:
    W, U, b = (_reordered(tensors[name].load()) for name in names)
    n = U.shape[1]
    b = b.astype(np.float64)
    b[n : 2 * n] += _FORGET
    return from_torch(U, cell="lstm", weight_ih=W, bias_ih=b, **_options(names, file))


def _reordered(stack: np.ndarray) -> np.ndarray:
    """Return a stack in torch's order of gates, i f g o, from DyNet's i f o g."""
    i, f, o, g = np.split(stack, 4)
    return np.concatenate([i, f, g, o])


def _gru(names: list[str], tensors: dict[str, StoredTensor], file: str) -> RecurrentLayer:
    # DyNet's z lets the new state in, ours keeps the old one: 1 - sigmoid(a) = sigmoid(-a). Its reset comes first.
    arrays = [tensors[name].load() for name in names]
    W, U, b = (np.concatenate([-z, r, h]) for z, r, h in (arrays[part::3] for part in range(3)))
    return from_keras(U.T, cell="gru", kernel=W.T, bias=b, reset_after=False, **_options(names, file))


def _plain(names: list[str], tensors: dict[str, StoredTensor], file: str) -> RecurrentLayer:
    W, U, b = (tensors[name].load() for name in names)
    return from_torch(U, cell="rnn_tanh", weight_ih=W, bias_ih=b, **_options(names, file))


def _options(names: list[str], file: str) -> dict[str, Any]:
    tensors = (names[1], *(name for name in names if name != names[1]))
    return {"name": names[1], "source": source_of(file, tensors, "dynet", "float32")}
