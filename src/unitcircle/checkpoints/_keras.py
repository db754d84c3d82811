"""Keras files: the ``.keras`` archive of Keras 3, and HDF5 of every age, weights alone or whole models."""

from __future__ import annotations

import math
import re
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._coverage import UNKNOWN_EQUATION, Coverage, Entry
from unitcircle.checkpoints._hdf5 import Hdf5File, Hdf5Process
from unitcircle.checkpoints._keras_cells import (
    CustomCell,
    custom_cell,
    family_of,
    homes,
    inside,
    is_of_keras,
    keras_1_stacks,
    parts_of,
    relative_leaves,
    sounds_recurrent,
)
from unitcircle.checkpoints._keras_config import KerasLayer, KerasModel
from unitcircle.checkpoints._keras_conv_lstm import conv_lstm
from unitcircle.checkpoints._keras_ncps import ncps_layer
from unitcircle.checkpoints._layer_names import natural_order
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._unknown import marked
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import Cell, RecurrentLayer, from_keras

_OPTIMIZER = re.compile(r"(^|/)(optimizer_weights|optimizer|_optimizer)/")
_CELL_OF_GATES = {1: Cell.RNN, 3: Cell.GRU, 4: Cell.LSTM}
Shape = tuple[int, ...]


def read_keras(path: str | Path, /, *, process: Hdf5Process | None = None) -> tuple[list[RecurrentLayer], Coverage]:
    """Read the recurrent layers of a ``.keras`` archive; its configuration is read as text, never deserialized."""
    path = Path(path)
    archive = Archive(path)
    with _weights(archive, process) as file:
        version = re.search(rb'"keras_version":\s*"(\d+)', archive.read("metadata.json"))
        model = KerasModel.parse(
            str(archive.read("config.json"), "utf-8", "replace"), version[1].decode() if version else "3"
        )
        return _read(file, model, path)


@contextmanager
def _weights(archive: Archive, process: Hdf5Process | None) -> Generator[Hdf5File]:
    with ExitStack() as stack:
        weights = Path("model.weights.h5")
        content = archive.read(weights.name)
        try:
            # libhdf5 needs a file of its own.
            weights = Path(stack.enter_context(tempfile.TemporaryDirectory())) / weights
            weights.write_bytes(content)
        except OSError as error:
            message = (
                f"{archive.path} is not read: its weights of {len(content) >> 10} KB cannot be unpacked into the "
                f"temporary folder ({error.strerror}). Make room there, or set TMPDIR to a folder that has it."
            )
            raise CheckpointError(message) from error
        yield Hdf5File(weights, process=process, shown=archive.path)


def read_hdf5(path: str | Path, /, *, process: Hdf5Process | None = None) -> tuple[list[RecurrentLayer], Coverage]:
    """Read the recurrent layers of a Keras HDF5 file: ``.h5`` of a model or of weights, or ``.weights.h5``."""
    file = Hdf5File(path, process=process)
    if not _is_keras(file):
        return assemble(_tensors(file), file=str(path))
    text, version = file.attributes.get("model_config", ""), file.attributes.get("keras_version", "")
    return _read(file, KerasModel.parse(text, version), Path(path))


def keras_tensors(path: str | Path, /, *, process: Hdf5Process | None = None) -> dict[str, StoredTensor]:
    """Return the floating-point arrays of a ``.keras`` or HDF5 file, to choose recurrent weights from."""
    if not zipfile.is_zipfile(path):
        return _tensors(Hdf5File(path, process=process))
    with _weights(Archive(Path(path)), process) as file:
        # The file is gone when they are asked for.
        arrays = {name: file[name] for name in file}
        return {
            name: replace(tensor, values=partial(arrays.__getitem__, name)) for name, tensor in _tensors(file).items()
        }


def _tensors(file: Hdf5File) -> dict[str, StoredTensor]:
    return {
        name: StoredTensor(file.shapes[name] or (), file.dtype(name), partial(file.__getitem__, name)) for name in file
    }


@dataclass(frozen=True)
class _Group:
    """The arrays of one group of the tree: leaf -> path."""

    path: str
    leaves: Mapping[str, str]
    model: KerasModel

    @property
    def object(self) -> str:
        """The path without what the file format, not the model, put there."""
        path = self.path.removeprefix("model_weights/").removesuffix("/vars")
        return path.replace("_layer_checkpoint_dependencies/", "layers/")

    @property
    def keras_layer(self) -> KerasLayer:
        """The layer, from the configuration or else from the names of the groups."""
        if (layer := self.model.layer(self.object)) is not None:
            return layer
        # "lstm/lstm/lstm_cell_1" and "layers/lstm/cell" are the layer lstm.
        parts = parts_of(self.object)
        if len(parts) > 1 and re.fullmatch(r"cell|.*_cell(_\d+)?", parts[-1]):
            parts.pop()
        cudnn = True if re.search(r"cu_?dnn", self.object) else None
        reverse = any(part.startswith("backward_") for part in parts)
        return KerasLayer("/".join(parts) or "/", reverse=reverse, cudnn=cudnn)


def _read(file: Hdf5File, model: KerasModel, path: Path) -> tuple[list[RecurrentLayer], Coverage]:
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    moments, other = 0, 0
    for name in file.shapes:
        if _OPTIMIZER.search(name):
            moments += 1
            continue
        group, _, leaf = name.rpartition("/")
        # "kernel:0", and "kernel_1:0" where TensorFlow 1 met the name twice.
        groups[group][re.sub(r"(_\d+)?:\d+$", "", leaf)] = name
    custom = _custom_cells(groups, model)
    places: dict[str, RecurrentLayer | None] = {}
    layers: list[RecurrentLayer] = []
    analysed: list[Entry] = []
    skipped: list[Entry] = []
    unread: list[str] = []
    if moments:
        skipped.append(Entry("optimizer", (moments,), "tensors of an optimizer: moments and counters, not weights"))
    for group in sorted((_Group(name, leaves, model) for name, leaves in groups.items()), key=_order(file, model)):
        if (keras_layer := model.conv_lstm(group.object)) is not None and group.leaves:
            layer = conv_lstm(file, group.leaves, keras_layer, str(path))
            if isinstance(layer, RecurrentLayer):
                layers.append(layer)
                analysed += [Entry(name, _shape(file, name), layer.name) for name in layer.source.tensors]
            else:
                unread.append(f"{keras_layer.name} looks like a ConvLSTM: not read ({layer})")
                skipped += [Entry(name, _shape(file, name), layer) for name in group.leaves.values()]
            continue
        if (cell := custom.get(group.path)) is not None:
            if cell.place not in places:
                places[cell.place] = _of_ncps(file, cell, group, path)
                layers += [layer] if (layer := places[cell.place]) is not None else []
            if (layer := places[cell.place]) is not None:
                analysed += [Entry(name, _shape(file, name), layer.name) for name in group.leaves.values()]
                continue
            unread.append(cell.sentence)
            skipped += [_of_custom_cell(file, name) for name in group.leaves.values()]
            continue
        layer = _layer(file, group, path)
        if isinstance(layer, RecurrentLayer):
            layers.append(layer)
            mentioned = [Entry(name, file.shapes[name] or (), layer.name) for name in layer.source.tensors]
            analysed += mentioned
            unread += _around(group)
        else:
            skipped += (mentioned := layer)
            unread += _unread(group, layer)
        other += len(group.leaves) - len(mentioned)
    notes = tuple(_notes(model, layers))
    return layers, Coverage(tuple(analysed), tuple(skipped), notes, other, tuple(dict.fromkeys(unread)))


def _custom_cells(groups: Mapping[str, Mapping[str, str]], model: KerasModel) -> dict[str, CustomCell]:
    """Return, for every group that belongs to a cell which is none of Keras' own, that cell."""
    objects = {path: _Group(path, leaves, model).object for path, leaves in groups.items()}
    known = homes(objects.values())
    below: dict[str, list[str]] = defaultdict(list)
    for name in objects.values():
        parts = name.split("/")
        for count in range(1, len(parts)):
            below["/".join(parts[:count])].append("/".join(parts[count:]))
    cells: dict[str, CustomCell] = {}
    of_classes: set[str] = set()
    found: dict[str, CustomCell] = {}
    # Outer groups first: what is below a cell belongs to it, unless it is a cell that Keras has.
    for path, name in sorted(objects.items(), key=lambda item: item[1]):
        if model.layer(name) is not None:
            continue
        kind = model.custom_class(name)
        recurrent = "recurrent_kernel" in groups[path] or name.endswith("/cell")
        # A layer of a class that does not sound recurrent may use a cell of Keras.
        if kind and recurrent and (sounds_recurrent(kind) or not is_of_keras(name)):
            place = "/".join(parts_of(name))
            of_classes.add(place)
        else:
            place = inside(of_classes, name, known) or custom_cell(name, groups[path], below[name], known)
            place = place or inside(cells, name, known)
        if place:
            cell = cells.setdefault(place, CustomCell(place, kind or model.custom_class(place)))
            cell.arrays |= relative_leaves(place, name, groups[path])
            found[path] = cell
    return found


def _of_ncps(file: Hdf5File, cell: CustomCell, group: _Group, path: Path) -> RecurrentLayer | None:
    """Return the layer of a cell of ncps, or None, and why in the cell."""
    known = group.model.ncps_cell(group.object)
    if known is None:
        return None
    found = ncps_layer(file, cell.arrays, known, group.keras_layer.name, str(path))
    if isinstance(found, RecurrentLayer):
        return marked(found)
    cell.reason = found
    return None


def _of_custom_cell(file: Hdf5File, name: str) -> Entry:
    shape = _shape(file, name)
    return Entry(name, shape, UNKNOWN_EQUATION, undecided=len(shape) == 2)


def _around(group: _Group) -> Iterator[str]:
    """Say what a cell that was read is only a part of."""
    for part in parts_of(group.object)[:-1] if group.model.layer(group.object) is None else ():
        if family_of(part) == "an LMU":
            yield f"{part} looks like an LMU: only its hidden cell is read, and not the memory that feeds it"
            return


def _unread(group: _Group, skipped: list[Entry]) -> Iterator[str]:
    """Say what looks recurrent in a group that gave no layer."""
    name = group.keras_layer.name
    kind = group.model.custom_class(group.object)
    undecided = any(entry.undecided for entry in skipped)
    named = "recurrent_kernel" in group.leaves or keras_1_stacks(group.leaves)[0]
    if (skipped and named) or (undecided and sounds_recurrent(f"{name}/{kind}")):
        yield f"{name} looks recurrent ({', '.join(group.leaves)}): not read ({skipped[0].reason})"


def _layer(file: Hdf5File, group: _Group, path: Path) -> RecurrentLayer | list[Entry]:
    """Return the layer of a group, or the entries of its arrays that might be taken for recurrent weights."""
    gates, stacks = keras_1_stacks(group.leaves)
    if gates and all(group.leaves[leaf] in file for names in stacks.values() for leaf in names):
        return _layer_of_keras_1(file, group, path, stacks)
    leaves = group.leaves
    numbered = group.path.rpartition("/")[2] == "vars"
    names = ("1", "0", "2") if numbered else ("recurrent_kernel", "kernel", "bias")
    recurrent, kernel, bias = (leaves.get(name) for name in names)
    shape = _shape(file, recurrent)
    if recurrent is None or (numbered and not _is_stack(shape, _shape(file, kernel))):
        return [_square(file, group, name) for name in leaves.values() if _is_square(_shape(file, name))]
    reason, undecided = _reason_to_skip(file, group, recurrent), False
    if not reason and numbered and not _is_cell(group):
        reason, undecided = "of the shape of a recurrent kernel, in a layer that is not known to be recurrent", True
    if reason:
        return [Entry(recurrent, shape or (), reason, undecided)]
    keras_layer = group.keras_layer
    tensors = tuple(name for name in (recurrent, kernel, bias) if name is not None)
    try:
        with np.errstate(all="ignore"):  # what is not finite in a damaged weight is for a finding to say
            layer = from_keras(
                file[recurrent],
                cell=keras_layer.cell or _CELL_OF_GATES[shape[1] // shape[0]],
                kernel=None if kernel is None else file[kernel],
                bias=None if bias is None else file[bias],
                reset_after=keras_layer.reset_after,
                activation=keras_layer.activation,
                recurrent_activation=keras_layer.recurrent_activation,
                cudnn=keras_layer.cudnn,
                name=keras_layer.name,
                direction="reverse" if keras_layer.reverse else "forward",
                source=source_of(str(path), tensors, dtype=file.dtype(recurrent)),
            )
            return marked(layer)
    except ArgumentError as error:
        return [Entry(recurrent, shape, f"its layer does not fit together: {error}")]


def _layer_of_keras_1(
    file: Hdf5File, group: _Group, path: Path, stacks: Mapping[str, list[str]]
) -> RecurrentLayer | list[Entry]:
    """Return a layer of Keras 1, which has one array for every gate."""
    names = {part: [group.leaves[leaf] for leaf in leaves] for part, leaves in stacks.items()}
    keras_layer = group.keras_layer
    known = group.model.layer(group.object) is not None
    try:
        with np.errstate(all="ignore"):
            for name in (name for one in names.values() for name in one):
                take(4 * math.prod(_shape(file, name)), "the gates of its layers")
            whole = {part: np.concatenate([file[name] for name in one], axis=-1) for part, one in names.items()}
            layer = from_keras(
                whole["U"],
                cell=keras_layer.cell or _CELL_OF_GATES[len(names["U"])],
                kernel=whole["W"],
                bias=whole["b"],
                reset_after=False,
                cudnn=False,
                activation=keras_layer.activation,
                # Without a configuration: what Keras 1 does unless it is asked otherwise.
                recurrent_activation=keras_layer.recurrent_activation if known else "hard_sigmoid",
                name=keras_layer.name,
                direction="reverse" if keras_layer.reverse else "forward",
                source=source_of(str(path), (*names["U"], *names["W"], *names["b"]), dtype=file.dtype(names["U"][0])),
            )
    except (ArgumentError, ValueError) as error:
        reason = f"its layer does not fit together: {error}"
        return [Entry(name, _shape(file, name), reason) for name in names["U"]]
    return marked(layer)


def _reason_to_skip(file: Hdf5File, group: _Group, recurrent: str) -> str:
    """Return why a recurrent kernel is not one we can read; empty if it is."""
    shape = file.shapes[recurrent] or ()
    if any(name not in file for name in group.leaves.values()):
        return "its layer holds arrays of no floating type"
    if len(shape) > 2:
        return "the kernel of a convolutional recurrence, not a matrix that acts on units"
    if len(shape) < 2 or not shape[0] or shape[1] not in {shape[0] * k for k in _CELL_OF_GATES}:
        return "neither one block, nor the three of a GRU, nor the four of an LSTM"
    return ""


def _is_stack(recurrent: Shape, kernel: Shape) -> bool:
    return len(recurrent) == len(kernel) == 2 and recurrent[1] == kernel[1] and recurrent[1] % (recurrent[0] or 1) == 0


def _is_cell(group: _Group) -> bool:
    return group.model.layer(group.object) is not None or bool(re.search(r"cell(_\d+)?$", group.object))


def _is_square(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] > 1


def _square(file: Hdf5File, group: _Group, name: str) -> Entry:
    undecided = _is_cell(group)
    reason = "square, and the file does not say what it is" if undecided else "square, in a layer that is not recurrent"
    return Entry(name, _shape(file, name), reason, undecided)


def _is_keras(file: Hdf5File) -> bool:
    return bool(file.attributes) or any(re.search(r"(^|/)vars/0$|:\d+$", name) for name in file.shapes)


def _shape(file: Hdf5File, name: str | None) -> Shape:
    return () if name is None else file.shapes[name] or ()


def _order(file: Hdf5File, model: KerasModel) -> Callable[[_Group], Any]:
    names = {name: place for place, name in enumerate(file.attributes.get("layer_names", []))}
    paths = {path: place for place, path in enumerate(model.order)}

    def key(group: _Group) -> Any:
        first = group.object.partition("/")[0]
        # The forward direction comes first.
        natural = natural_order(group.object.replace("backward", "forward~"))
        return paths.get(group.object, len(paths)), names.get(first, len(names)), natural

    return key


def _notes(model: KerasModel, layers: list[RecurrentLayer]) -> list[str]:
    notes = [
        f"the Lambda layer {name!r} holds Python code, which is never run, so that what it computes is not known; "
        "replace it by a layer of Keras and save again"
        for name in model.code
    ]
    return notes if layers else [*notes, "no recurrent layer found"]
