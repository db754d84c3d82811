"""Models in JSON: nested lists of numbers under any names, RTNeural's and Neural Amp Modeler's among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._contents import MAX_DEPTH, Contents, joined
from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._json_text import texts_of
from unitcircle.checkpoints._room import take, work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._unnamed import listed_layers
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer, from_keras, from_torch

_KINDS = ("type", "unit_type", "architecture", "class_name", "cell_type", "model_type", "rnn_type")
"""Keys whose text names a kind of layer."""
_WRAPPERS = ("state_dict", "model_state_dict")
STEPS_OF_LIST = 32
_FLAT = ("data", "values", "weights")
"""Keys of the numbers of an array whose shape stands beside them."""


def read_json(path: Path, document: Any, /) -> Contents:
    """Return the arrays of a JSON document, named by the keys on their way, joined by dots."""
    root = document
    if isinstance(document, dict):
        root = next((document[key] for key in _WRAPPERS if isinstance(document.get(key), dict)), document)
    tree = _Tree()
    tree.visit("", root, 0)
    if not any(tensor.shape for tensor in tree.tensors.values()):
        configuration = isinstance(document, dict) and "class_name" in document and "config" in document
        message = (
            "it is the configuration of a Keras model; name the file that holds its weights"
            if configuration
            else "it is JSON without a weight_map and without arrays of numbers; name the file that holds the weights"
        )
        raise CheckpointError(message)
    kinds = sorted(kind for kind in texts_of(document, _KINDS) if re.search(r"lstm|gru|rnn", kind, re.IGNORECASE))
    suspects = [f"its text names {', '.join(kinds)}, whose weights were not recognised: not read"] if kinds else []
    return Contents(
        tree.tensors,
        tree.texts,
        layers=list(listed_layers(tree.lists.values(), tree.tensors, str(path))),
        suspects=tuple(suspects),
    )


def read_rtneural(path: Path, document: Any, /) -> Contents:
    """Return the layers of an RTNeural (AIDA-X) model, whose weights lie as in Keras."""
    tree = _Tree()
    tree.visit("", document, 0)
    layers: list[RecurrentLayer] = []
    unread: list[str] = []
    for place, entry in enumerate(document["layers"]):
        kind = str(entry.get("type") if isinstance(entry, dict) else "")
        if kind not in {"lstm", "gru"}:
            continue
        names = [f"layers.{place}.weights.{part}" for part in (1, 0, 2)]
        try:
            recurrent, kernel, bias = (tree.tensors[name].load() for name in names)
            layer = from_keras(
                recurrent,
                cell=kind,
                kernel=kernel,
                bias=bias,
                reset_after=True if kind == "gru" else None,
                name=f"layers.{place}",
                source=source_of(str(path), tuple(names), "keras", tree.tensors[names[0]].dtype),
            )
        except (KeyError, ArgumentError) as error:
            unread.append(f"layers.{place} is a layer of type {kind} whose weights do not fit together: not read")
            unread[-1] += f" ({error})" if isinstance(error, ArgumentError) else ""
            continue
        layers.append(layer)
    return Contents(tree.tensors, tree.texts, layers=layers, unread=tuple(unread), by_name=False)


def read_amp_model(path: Path, document: Any, /) -> Contents:
    """Return the layers of a Neural Amp Modeler file, whose weights are one flat list."""
    # Every layer of an LSTM: [W U] of shape (4n, m + n), row by row, gates i f g o; its bias (4n); its initial state
    # (n) and cell (n). The weights and the bias of the head follow.
    kind = str(document["architecture"])[:40]
    flat = _array(document["weights"])
    if flat is None or flat.ndim != 1:
        message = f"its weights of architecture {kind!r} are no flat list of numbers: damaged"
        raise CheckpointError(message)
    tensors = {"weights": _stored(flat)}
    if "LSTM" not in kind.upper():
        note = f"its architecture is {kind}, which has no recurrent weight"
        return Contents(tensors, notes=(note,))
    config = document["config"] if isinstance(document.get("config"), dict) else {}
    sizes = [config.get(key, 1 if key == "input_size" else None) for key in ("input_size", "hidden_size", "num_layers")]
    if kind == "LSTM" and all(type(size) is int and 0 < size < 1 << 20 for size in sizes):
        m, n, count = sizes
        lengths = [4 * n * ((n if place else m) + n) + 4 * n + 2 * n for place in range(min(count, flat.size))]
        head = flat.size - sum(lengths)
        if len(lengths) == count and head > 0 and head % (n + 1) == 0:
            return _amp_layers(path, flat, m, n, lengths)
    unread = f"its {flat.size} weights do not fit an architecture {kind} of sizes {config!r:.100}: not read"
    return Contents(tensors, unread=(unread,))


def _amp_layers(path: Path, flat: np.ndarray, m: int, n: int, lengths: list[int]) -> Contents:
    tensors: dict[str, StoredTensor] = {}
    layers: list[RecurrentLayer] = []
    start = 0
    for place, length in enumerate(lengths):
        name, width = f"lstm.{place}", n if place else m
        end = start + 4 * n * (width + n)
        weight, bias = flat[start:end].reshape(4 * n, width + n), flat[end : end + 4 * n]
        names = (f"{name}.weight", f"{name}.bias")
        tensors |= {names[0]: _stored(weight), names[1]: _stored(bias)}
        source = source_of(str(path), names, "torch", tensors[names[0]].dtype)
        options: dict[str, Any] = {"weight_ih": weight[:, :width], "bias_ih": bias, "name": name, "source": source}
        layers.append(from_torch(weight[:, width:], cell="lstm", **options))
        start += length
    tensors["head"] = _stored(flat[start:])
    return Contents(tensors, layers=layers)


class _Tree:
    """The arrays and texts of a document by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.texts: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}  # The names of the arrays of every list of arrays

    def visit(self, name: str, node: Any, depth: int) -> None:
        """Take in a branch of the document."""
        if depth > MAX_DEPTH:
            message = f"it is JSON deeper than {MAX_DEPTH}: no model"
            raise CheckpointError(message)
        if isinstance(node, str):
            if len(node) < 100:
                self.texts[name] = node
        elif isinstance(node, float):
            self.tensors[name] = _stored(np.float64(node))
        elif (array := _array(node)) is not None:
            self.tensors[name] = _stored(array)
        elif isinstance(node, list) and any(isinstance(entry, list | dict) for entry in node):
            names = [joined(name, place, ".") for place in range(len(node))]
            for child, entry in zip(names, node, strict=True):
                self.visit(child, entry, depth + 1)
            if all(child in self.tensors for child in names):
                self.lists[name] = names
        elif isinstance(node, dict):
            for key, entry in node.items():
                self.visit(joined(name, key, "."), entry, depth + 1)


def _array(node: Any) -> np.ndarray | None:
    """Return nested lists of numbers, or a flat list with its shape, as an array."""
    if isinstance(node, dict):
        return _shaped(node)
    first = node
    for _ in range(8):
        if not isinstance(first, list) or not first:
            break
        first = first[0]
    if not isinstance(node, list) or type(first) not in {int, float}:
        return None
    try:
        work(_entries(node, 8) >> 4, "its lists of numbers")
        return np.asarray(node, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None


def _entries(node: list[Any], depth: int) -> int:
    """Return how many entries nested lists have, each list as STEPS_OF_LIST of them."""
    inner = (_entries(entry, depth - 1) for entry in node if isinstance(entry, list)) if depth else ()
    return len(node) + STEPS_OF_LIST + sum(inner)


def _shaped(node: Mapping[str, Any]) -> np.ndarray | None:
    shape = node.get("shape", node.get("dims"))
    flat = next((array for key in _FLAT if (array := _array(node.get(key))) is not None), None)
    if flat is None or not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        return None
    return flat.reshape(shape) if len(shape) <= 32 and np.prod(shape, dtype=object) == flat.size else None


def _stored(values: Any) -> StoredTensor:
    """Return values as a tensor, in single precision where they are numbers of that."""
    single = np.asarray(values, np.float32)
    take(single.nbytes, "its lists of numbers")
    array = single if np.array_equal(single, values, equal_nan=True) else np.asarray(values)
    return StoredTensor(array.shape, array.dtype.name, partial(np.asarray, array))
