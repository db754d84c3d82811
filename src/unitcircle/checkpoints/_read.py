"""``uc.read``: the recurrent layers of a file, without executing anything in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._choice import chosen_layers
from unitcircle.checkpoints._coverage import Coverage
from unitcircle.checkpoints._folder import files_of, shards_of
from unitcircle.checkpoints._format import Format, recognise
from unitcircle.checkpoints._numpy import read_npy, read_npz
from unitcircle.checkpoints._pytorch import read_legacy, read_zip
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

    def __init__(self, layers: Iterable[RecurrentLayer], *, coverage: Coverage, format: str, path: Path) -> None:  # noqa: A002
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
        safetensors, PyTorch (state dict, TorchScript, whole module; zip or legacy), npz, npy, Keras, HDF5, ONNX, a
        folder, or a Hugging Face index.
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
    kind = recognise(path)
    if kind is not Format.NPY:
        _require_tensors_of(layout, chosen)
    if kind in {Format.FOLDER, Format.SHARDED}:
        return _read_many(path, kind, chosen, layout)
    archive = Archive(path) if kind is Format.ZIP else None
    texts: dict[str, str] = {}
    if archive is not None:
        kind = _kind_of(archive)
    if kind is Format.SAFETENSORS:
        named = read_safetensors(path)
    elif archive is not None and kind in {Format.PYTORCH, Format.TORCHSCRIPT}:
        named, texts = read_zip(path, archive)
    elif kind is Format.PYTORCH_LEGACY:
        named, texts = read_legacy(path)
    elif archive is not None and kind is Format.NPZ:
        named = read_npz(archive)
    elif kind is Format.NPY:
        named = read_npy(path)
    else:
        if not chosen:
            return _read_graph(path, kind)
        named = _tensors_of_graph(path, kind)
    if kind is Format.NPY and _only_square(named):
        chosen = tuple(named)
    _require_tensors_of(layout, chosen)
    layers, coverage = assemble(
        named, file=str(path), texts=texts, chosen=chosen_layers(named, chosen, layout, file=str(path))
    )
    if kind is Format.NPY and layers and layout is None:
        note = "a bare matrix is taken as the weight of a tanh cell that acts on columns; pass layout= if it is not"
        coverage = replace(coverage, notes=(*coverage.notes, note))
    return Layers(layers, coverage=coverage, format=kind.value, path=path)


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
        return Layers(layers, coverage=coverage, format=Format.SHARDED.value, path=path)
    if chosen:
        raise ArgumentError("tensors", "must belong to one file, or to one set of shards", f"the folder {path}")
    parts: list[Layers] = []
    for file in files:
        if recognise(file) in {Format.FOLDER, Format.SHARDED}:
            message = f"its shard {file.name!r} is no file of weights"
            raise CheckpointError(message)
        parts.append(_read(file, (), None))
    coverage = Coverage.merged(part.coverage for part in parts)
    layers = [layer for part in parts for layer in part]
    return Layers(layers, coverage=coverage, format=kind.value, path=path)


def _read_graph(path: Path, kind: Format) -> Layers:
    # Imported here: users of the other formats do not wait for these readers.
    if kind is Format.ONNX:
        from unitcircle.checkpoints._onnx import read_onnx as reader  # noqa: PLC0415
    elif kind is Format.KERAS:
        from unitcircle.checkpoints._keras import read_keras as reader  # noqa: PLC0415
    else:
        from unitcircle.checkpoints._keras import read_hdf5 as reader  # noqa: PLC0415
    layers, coverage = reader(path)
    return Layers(layers, coverage=coverage, format=kind.value, path=path)


def _tensors_of_graph(path: Path, kind: Format) -> dict[str, StoredTensor]:
    if kind is Format.ONNX:
        from unitcircle.checkpoints._onnx import onnx_tensors as tensors  # noqa: PLC0415
    else:
        from unitcircle.checkpoints._keras import keras_tensors as tensors  # noqa: PLC0415
    return tensors(path)


def _kind_of(archive: Archive) -> Format:
    names = archive.names
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        scripted = any(name.rpartition("/")[2] == "constants.pkl" for name in names)
        return Format.TORCHSCRIPT if scripted else Format.PYTORCH
    if "config.json" in names or "model.weights.h5" in names:
        return Format.KERAS
    if any(name.endswith(".npy") for name in names):
        return Format.NPZ
    if any(name.rpartition("/")[2] in {"model.json", "archive_format"} for name in names):
        message = (
            "a TorchScript file of torch 1.3 or older, or a torch.export program; save a state_dict with torch.save"
        )
        raise CheckpointError(message)
    listed = ", ".join(repr(name) for name in names[:5]) or "nothing"
    message = f"a zip archive that is no checkpoint: it holds {listed:.200}"
    raise CheckpointError(message)


def _only_square(named: dict[str, StoredTensor]) -> bool:
    (tensor,) = named.values()
    return tensor.is_matrix and tensor.shape[0] == tensor.shape[1]
