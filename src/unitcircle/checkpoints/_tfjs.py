"""TensorFlow.js models: a ``model.json`` that says where in its ``.bin`` files which weight lies."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._keras_config import KerasModel
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, by_blocks, elements
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer, from_keras


def read_tfjs(path: Path, document: Any, /) -> Contents:
    """Return the weights of a TensorFlow.js model, and the layers that its configuration names."""
    tensors: dict[str, StoredTensor] = {}
    groups = document["weightsManifest"]
    seen: set[str] = set()
    for group in groups if isinstance(groups, list) else [None]:
        match group:
            case {"paths": list(paths), "weights": list(weights)}:
                data = memoryview(b"".join(_shard(path.parent, name, seen) for name in paths))
            case _:
                message = "the weightsManifest of this TensorFlow.js model names no files or no weights: damaged"
                raise CheckpointError(message)
        start = 0
        for entry in weights:
            name, tensor, length = _weight(entry, data[start:])
            tensors[name] = tensor
            start += length
    layers = _layers(tensors, _configuration(document), str(path))
    named = sorted({match[0].lower() for name in tensors if (match := re.search(r"lstm|gru|rnn", name, re.IGNORECASE))})
    suspects = [f"weights named {', '.join(named)} were not recognised: not read"] if named else []
    return Contents(tensors, layers=layers, suspects=tuple(suspects))


def _shard(folder: Path, name: Any, seen: set[str]) -> memoryview:
    sound = isinstance(name, str) and 0 < len(name) < 256 and not any(mark in name for mark in "/\\\0:")
    if not sound or name in {".", ".."}:
        message = f"its weightsManifest names a file outside of its folder, {name!r:.80}"
        raise CheckpointError(message)
    if name in seen:
        message = f"its weightsManifest names {name!r} twice: damaged or hostile"
        raise CheckpointError(message)
    seen.add(name)
    if not (folder / name).is_file():
        message = f"its weightsManifest names {name!r}, which is not there; put it beside model.json"
        raise CheckpointError(message)
    take((folder / name).stat().st_size, "the values of its files")
    return map_file(folder / name) if (folder / name).stat().st_size else memoryview(b"")


def _weight(entry: Any, data: memoryview) -> tuple[str, StoredTensor, int]:
    """Return the name of a weight, the weight, and how many bytes it takes."""
    match entry:
        case {"name": str(name), "shape": list(sides), "dtype": str(kind)} if all(type(side) is int for side in sides):
            shape = tuple(sides)
        case _:
            message = f"its weightsManifest has an entry without name, shape or dtype, {entry!r:.80}: damaged"
            raise CheckpointError(message)
    coded = entry.get("quantization")
    coded = coded if isinstance(coded, dict) else {}
    stored = str(coded.get("dtype", kind))
    length = math.prod(shape) * ITEMSIZE.get(stored, 0)
    scale, least = coded.get("scale", 1.0), coded.get("min", 0.0)
    numbers = all(isinstance(number, int | float) and abs(number) < 1e300 for number in (scale, least))
    if stored not in ITEMSIZE or min(shape, default=0) < 0 or len(shape) > 32 or length > len(data) or not numbers:
        message = f"weight {name!r:.80} of shape {shape!s:.80} and type {stored:.20} does not lie inside its files"
        raise CheckpointError(message)
    load = partial(elements, data[:length], stored, shape)
    if "int" in stored and coded:
        return (
            name,
            StoredTensor(shape, "float32", partial(_dequantized, load, float(scale), float(least))),
            length,
        )
    return name, StoredTensor(shape, stored, load), length


def _dequantized(load: Callable[[], np.ndarray], scale: float, least: float) -> np.ndarray:
    return by_blocks(load(), np.dtype(np.float32), lambda codes: codes * scale + least)


def _configuration(document: Any) -> KerasModel:
    topology = document.get("modelTopology")
    topology = topology if isinstance(topology, dict) else {}
    config = topology.get("model_config", topology)
    return KerasModel.parse(json.dumps(config), str(topology.get("keras_version", "2"))[:20])


def _layers(tensors: dict[str, StoredTensor], model: KerasModel, file: str) -> list[RecurrentLayer]:
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in tensors:
        group, _, leaf = name.rpartition("/")
        groups[group][leaf] = name
    layers: list[RecurrentLayer] = []
    for group, leaves in groups.items():
        keras, recurrent = model.layer(group), leaves.get("recurrent_kernel")
        if keras is None or keras.cell is None or recurrent is None or not leaves.keys() <= _LEAVES:
            continue  # names may still tell
        used = tuple(leaves[leaf] for leaf in ("recurrent_kernel", "kernel", "bias") if leaf in leaves)
        try:
            layer = from_keras(
                tensors[recurrent].load(),
                cell=keras.cell,
                kernel=tensors[leaves["kernel"]].load() if "kernel" in leaves else None,
                bias=tensors[leaves["bias"]].load() if "bias" in leaves else None,
                reset_after=keras.reset_after,
                activation=keras.activation,
                recurrent_activation=keras.recurrent_activation,
                name=keras.name,
                direction="reverse" if keras.reverse else "forward",
                source=source_of(file, used, "keras", tensors[recurrent].dtype),
            )
        except ArgumentError:
            continue
        layers.append(layer)
    return layers


_LEAVES = {"kernel", "recurrent_kernel", "bias"}
