"""``uc.read``: the recurrent layers of a file, without executing anything in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._choice import chosen_layers
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._coverage import Coverage
from unitcircle.checkpoints._folder import files_of, shards_of
from unitcircle.checkpoints._format import Format, recognise, recognise_archive, recognise_document
from unitcircle.checkpoints._readers import READERS, File, Found, layers_of
from unitcircle.checkpoints._safetensors import read_safetensors
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer


class Layers(Sequence[RecurrentLayer]):
    """The recurrent layers of a file, and its coverage.

    Attributes
    ----------
    coverage : Coverage
        Which tensors were analysed, which were skipped, and why.
    format : str
        Format of the file: ``"safetensors"``, ``"TorchScript"``, ...
    path : Path
        The file or folder.
    """

    def __init__(self, layers: Iterable[RecurrentLayer], coverage: Coverage, *, format: str, path: Path) -> None:  # noqa: A002
        self._layers = tuple(layers)
        self.coverage = coverage
        self.format = format
        self.path = path

    @overload
    def __getitem__(self, index: int) -> RecurrentLayer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RecurrentLayer, ...]: ...
    def __getitem__(self, index: int | slice) -> RecurrentLayer | tuple[RecurrentLayer, ...]:
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        names = ", ".join(layer.name for layer in self._layers)
        return f"<Layers of {self.path.name} ({self.format}): {names or 'none'}>"


def read(path: str | os.PathLike[str], /, *, tensors: Sequence[str] | str = (), layout: str | None = None) -> Layers:
    """Read the recurrent layers of a file, recognised by its content; nothing in the file is executed.

    Parameters
    ----------
    path
        safetensors, PyTorch (state dict, TorchScript, whole module; zip or legacy), plain pickles of arrays, npz, npy,
        Keras, HDF5, ONNX, a folder, or a Hugging Face index.
    tensors
        Names of tensors to read as recurrent weights although the reader does not recognise them as such.
    layout
        Layout of these tensors: ``"torch"`` or ``"keras"``, followed by a colon and a cell if the shape does not
        determine one, such as ``"torch:linear"``. The one tensor of an ``.npy`` file need not be named.

    Returns
    -------
    Layers
        A sequence of :class:`~unitcircle.recurrence.RecurrentLayer` with ``coverage``, ``format`` and ``path``; empty
        if none is recognised.

    Raises
    ------
    CheckpointError
        The file is truncated, damaged or hostile, or can only be read by running code.
    MissingExtraError
        The format needs a package that is not installed.
    ArgumentError
        ``tensors`` or ``layout`` do not fit the file or its format.
    """
    path = Path(path)
    chosen = (tensors,) if isinstance(tensors, str) else tuple(tensors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parsers warn of damaged headers; whether that is an error is decided here
            return _read(path, chosen, layout)
    except CheckpointError as error:
        text = str(error)
        message = text if text.startswith(str(path)) else f"{path}: {text}"
        raise CheckpointError(message) from error.__cause__
    except (OSError, RecursionError, MemoryError) as error:
        message = f"{path}: it cannot be read ({type(error).__name__}: {error})"
        raise CheckpointError(message) from error


def _read(path: Path, chosen: tuple[str, ...], layout: str | None) -> Layers:
    kind, file = recognise(path), File(path)
    if kind is not Format.NPY:
        _require_tensors_of(layout, chosen)
    if kind is Format.ZIP:
        kind = recognise_archive(file.archive)
    elif kind is Format.JSON:
        kind = recognise_document(file.document)
    if kind in {Format.FOLDER, Format.SHARDED}:
        return _read_many(path, kind, chosen, layout)
    reader = READERS[kind]
    if kind is Format.NPY:
        return _read_array(file, reader.contents(file), chosen, layout)
    found = _read_chosen(file, reader.contents(file), chosen, layout) if chosen else reader.read(file)
    return Layers(*found, format=kind.value, path=path)


def _read_chosen(file: File, contents: Contents, chosen: tuple[str, ...], layout: str | None) -> Found:
    layers = chosen_layers(contents.tensors, chosen, layout, file=str(file.path))
    return layers_of(contents, file, layers)


def _read_array(file: File, contents: Contents, chosen: tuple[str, ...], layout: str | None) -> Layers:
    if _only_square(contents.tensors):
        chosen = tuple(contents.tensors)
    _require_tensors_of(layout, chosen)
    layers, coverage = _read_chosen(file, contents, chosen, layout)
    if layers and layout is None:
        note = "a bare matrix is taken as the weight of a tanh cell that acts on columns; pass layout= if it is not"
        coverage = replace(coverage, notes=(*coverage.notes, note))
    return Layers(layers, coverage, format=Format.NPY.value, path=file.path)


def _require_tensors_of(layout: str | None, chosen: tuple[str, ...]) -> None:
    if layout is not None and not chosen:
        raise ArgumentError("layout", "must come with the tensors it is the layout of", repr(layout))


def _read_many(path: Path, kind: Format, chosen: tuple[str, ...], layout: str | None) -> Layers:
    files = files_of(path) if kind is Format.FOLDER else shards_of(path)
    if all(recognise(file) is Format.SAFETENSORS for file in files):
        # The tensors of one layer may lie in two shards.
        named: dict[str, StoredTensor] = {}
        for file in files:
            named |= read_safetensors(file)
        layers, coverage = assemble(named, file=str(path), chosen=chosen_layers(named, chosen, layout, file=str(path)))
        return Layers(layers, coverage, format=Format.SHARDED.value, path=path)
    if chosen:
        raise ArgumentError("tensors", "must belong to one file, or to one set of shards", f"the folder {path}")
    parts: list[Layers] = []
    for file in files:
        if recognise(file) in {Format.FOLDER, Format.JSON}:
            message = f"its shard {file.name!r} is no file of weights"
            raise CheckpointError(message)
        parts.append(_read(file, (), None))
    coverage = Coverage.merged(part.coverage for part in parts)
    layers = [layer for part in parts for layer in part]
    return Layers(layers, coverage, format=kind.value, path=path)


def _only_square(named: Mapping[str, StoredTensor]) -> bool:
    (tensor,) = named.values()
    return tensor.is_matrix and tensor.shape[0] == tensor.shape[1]
