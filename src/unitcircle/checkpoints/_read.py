"""``uc.read``: the recurrent layers of a file, without executing anything in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, overload

from unitcircle._printable import sentence
from unitcircle.checkpoints._choice import Choice, Parts, stacked_blocks
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._folder import files_of, shards_of
from unitcircle.checkpoints._format import Format
from unitcircle.checkpoints._leak import with_leak
from unitcircle.checkpoints._memory import stored_array, stored_contents
from unitcircle.checkpoints._model_config import config_beside, configured
from unitcircle.checkpoints._readers import READERS, File, Found, layers_of
from unitcircle.checkpoints._remote import is_address, remote
from unitcircle.checkpoints._room import admit, next_file, room
from unitcircle.checkpoints._safetensors import read_safetensors
from unitcircle.checkpoints._sparse_archive import sparse_matrix
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer

MAX_FILES = 200_000
"""Files of a folder that may count towards what reading it may take."""


class Layers(Sequence[RecurrentLayer]):
    """The recurrent layers of a file, and its coverage.

    Attributes
    ----------
    coverage : Coverage
        Which tensors were analysed, which were skipped, and why.
    format : str
        Format of the file: ``"safetensors"``, ``"TorchScript"``, ...
    path : Path, str or None
        The file or folder, or its address; None for arrays in memory.
    """

    def __init__(
        self,
        layers: Iterable[RecurrentLayer],
        coverage: Coverage,
        *,
        format: str,  # noqa: A002
        path: Path | str | None,
    ) -> None:
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
        name = str(self.path).rpartition("/")[2] if self.path else "memory"
        return f"<Layers of {name} ({self.format}): {names or 'none'}>"


def read(
    source: Any,
    /,
    *,
    tensors: Parts | Sequence[Parts] = (),
    layout: str | None = None,
    leak: float | str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Layers:
    """Read the recurrent layers of a file, recognised by its content; nothing in the file is executed.

    Parameters
    ----------
    source
        A path: safetensors, PyTorch (state dict, TorchScript, whole module; zip or legacy), torch.export, a folder of
        torch.distributed.checkpoint, plain pickles of arrays, npz (also of ``scipy.sparse.save_npz``), npy, Keras,
        HDF5, ONNX, flax msgpack, Equinox, orbax, GGUF, TensorFlow Lite, TensorFlow.js, MATLAB, DyNet, JSON with the
        weights in it, a zip archive of such files, a folder, or a Hugging Face index. Or arrays in memory: a state
        dict, a mapping of arrays nested to any depth, or one array, whose library may be NumPy, SciPy (sparse),
        PyTorch or JAX.
    tensors
        What is recurrent although the reader does not recognise it: the name of a recurrent weight; or, for the whole
        layer, a mapping of its parts to names, ``{"recurrent": "cell.U", "input": "cell.W", "bias": "cell.b"}``, with
        ``"recurrent_bias"`` and ``"projection"`` where there are such; or a sequence of these, one for each layer. A
        part with the name None is one that the layer does not have; one that is left out is unknown.
    layout
        Layout of these tensors: ``"torch"``, ``"keras"``, ``"onnx"`` or ``"flax"``, after a colon a cell
        (``"torch:linear"``) or the order of the stacked gates (``"torch:ifog"``, ``"keras:zrh"``; c or j for g, h for
        n, u for z). An order alone (``"ifog"``) leaves the side on which the state stands to the shape. The one matrix
        of an ``.npy`` file need not be named.
    leak
        The share α in (0, 1] of its new value by which a unit of a plain cell moves in a step, ``h' = (1 − α) h + α φ(W
        h + U x + b)``: a number, or the name of a stored tensor. Without ``tensors`` it is that of the layers whose
        leak the source leaves unknown.
    config
        The configuration of the model, in the keys of Hugging Face's ``config.json``, from which is taken what the
        weights do not say: whether a delta rule doubles β, and the bound of the gate of KDA. By default that in the
        folder, or beside the file.

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
        ``tensors``, ``layout`` or ``leak`` do not fit the file or its format, or ``source`` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> arrays = {"U": np.zeros((12, 3)), "W": np.zeros((12, 2))}
    >>> layers = read(arrays, tensors={"recurrent": "U", "input": "W", "bias": None}, layout="ifog")
    >>> layers[0].cell, list(layers[0].gates), layers[0].input_size
    (<Cell.LSTM: 'lstm'>, ['i', 'f', 'g', 'o'], 2)
    """
    choice = Choice.of(tensors, layout, leak)
    if not isinstance(source, str | os.PathLike):
        return _with_config(_read_memory(source, choice), config or {})
    place = source if is_address(source) else Path(cast("str | os.PathLike[str]", source))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parsers warn of damaged headers; whether that is an error is decided here
            with room():
                found = _read(place, choice) if isinstance(place, Path) else _read_remote(place, choice)
                beside = config_beside(place) if config is None and isinstance(place, Path) and not choice.parts else {}
                return _with_config(found, beside if config is None else config)
    except CheckpointError as error:
        text = str(error)
        rest = text.removeprefix(str(place)) if text.startswith(str(place)) else f": {text}"
        message = f"{place}{sentence(rest)}"
        raise CheckpointError(message) from error.__cause__
    except (OSError, RecursionError, MemoryError) as error:
        message = f"{place}: {sentence(f'it cannot be read ({type(error).__name__}: {error})')}"
        raise CheckpointError(message) from error


def _read_remote(address: str, choice: Choice) -> Layers:
    """Read what an address names, under the name of the address."""
    with remote(address) as opened:
        if not isinstance(opened, Path):
            found = _of_contents(Contents(opened), choice, address)
            return Layers(*found, format=Format.SAFETENSORS.value, path=address)
        copy = _read(opened, choice)
        layers = [replace(layer, source=replace(layer.source, file=address)) for layer in copy]
        return Layers(layers, copy.coverage, format=copy.format, path=address)


def _read(path: Path, choice: Choice) -> Layers:
    _admit(path)
    return _read_file(File(path), choice)


def _with_config(found: Layers, config: Mapping[str, Any]) -> Layers:
    """Return layers as the configuration of their model says that they are run."""
    if not config:
        return found
    return Layers(*configured(found, found.coverage, config), format=found.format, path=found.path)


def _read_file(file: File, choice: Choice) -> Layers:
    path, kind = file.path, file.kind
    if kind in {Format.FOLDER, Format.SHARDED}:
        return _read_many(file, choice)
    reader = READERS[kind]
    if kind in {Format.NPY, Format.NPZ}:
        contents = reader.contents(file)
        matrix = contents.tensors if kind is Format.NPY else sparse_matrix(contents.tensors, path)
        found = _of_matrix(matrix, choice, str(path)) if matrix else _of_contents(contents, choice, str(path))
    elif choice.parts:
        found = _of_contents(reader.contents(file), choice, str(path))
    else:
        choice.check_use()
        layers, coverage = reader.read(file)
        if choice.leak is not None:
            layers = with_leak(layers, choice.leak, reader.contents(file).tensors)
        found = layers, coverage
    return Layers(*found, format=kind.value, path=path)


def _admit(path: Path) -> None:
    """Let a file, or all files of a folder, count as what is read."""
    if path.is_file():
        admit(path)
    elif path.is_dir():
        for _, file in zip(range(MAX_FILES), path.rglob("*"), strict=False):
            if file.is_file():
                admit(file)


def _read_memory(source: Any, choice: Choice) -> Layers:
    """Read arrays that are in memory already."""
    if isinstance(source, Mapping):
        layers, coverage = _of_contents(stored_contents(cast("Mapping[Any, Any]", source)), choice, "")
        return Layers(layers, replace(coverage, in_memory=True), format="arrays", path=None)
    named = {"W": stored_array(source)}
    # A person who passes one array says that it is recurrent; what does not fit is refused.
    return Layers(*_of_matrix(named, replace(choice, parts=choice.parts or ("W",)), ""), format="array", path=None)


def _of_contents(contents: Contents, choice: Choice, file: str) -> Found:
    choice.check_use()
    chosen = choice.layers(contents.tensors, file=file)
    layers, coverage = layers_of(contents, file, chosen)
    if choice.leak is not None and not chosen:
        layers = with_leak(layers, choice.leak, contents.tensors)
    return layers, coverage


def _of_matrix(named: Mapping[str, StoredTensor], choice: Choice, file: str) -> Found:
    """Read the one array of a source: if it is square, it is a recurrent weight."""
    ((name, tensor),) = named.items()
    square = tensor.is_matrix and tensor.shape[0] == tensor.shape[1]
    if not choice.parts and (square or (choice.layout is not None and tensor.is_matrix)):
        choice = replace(choice, parts=(name,))
    layers, coverage = _of_contents(Contents(named), choice, file)
    if layers and choice.layout is None:
        # Whoever passes one matrix asks for its powers: the assumption is said, and does not stop the answer.
        layers = [replace(layer, unknown=layer.unknown - {"activation", "leak"}) for layer in layers]
        note = (
            "a bare matrix is taken as the weight of h' = tanh(W h), without a leak, that acts on columns; read it "
            "with layout= and leak= (--layout, --leak) if it is not"
        )
        coverage = replace(coverage, notes=(*coverage.notes, note))
    elif not layers and stacked_blocks(tensor.shape) > 1 and not coverage.skipped:
        reason = "a stack of square blocks whose order the file does not tell"
        coverage = replace(coverage, skipped=(Entry(name, tensor.shape, reason, undecided=True),), other=0)
    return layers, coverage


def _read_part(file: File) -> Layers:
    if file.container in {Format.FOLDER, Format.JSON}:
        message = f"its shard {file.path.name!r} is no file of weights"
        raise CheckpointError(message)
    admit(file.path)
    return _read_file(file, Choice())


def _read_many(whole: File, choice: Choice) -> Layers:
    path, kind = whole.path, whole.kind
    paths, indexed = files_of(path) if kind is Format.FOLDER else (shards_of(path, whole.document), True)
    for one in paths:
        admit(one)
    files = [File(one) for one in paths]
    safe = [file for file in files if file.is_safetensors]
    if not indexed:
        files = safe or files  # a Hugging Face folder often has the same weights twice
    if len(safe) == len(files):
        # The tensors of one layer may lie in two shards.
        named: dict[str, StoredTensor] = {}
        for file in files:
            named |= read_safetensors(file.path)
        found = _of_contents(Contents(named), choice, str(path))
        return Layers(*found, format=Format.SHARDED.value, path=path)
    choice.check_use()
    if choice.parts:
        raise ArgumentError("tensors", "must belong to one file, or to one set of shards", f"the folder {path}")
    parts: list[Layers] = []
    errors: dict[str, CheckpointError] = {}
    for file in files:
        next_file()
        try:
            parts.append(_read_part(file))
        except CheckpointError as error:
            if kind is Format.SHARDED:  # a model without one of its parts is not that model
                raise
            errors[file.path.name] = error
    if not parts:
        name, error = next(iter(errors.items()))
        message = f"none of its {len(errors)} files can be read; {name}: {error}"
        raise CheckpointError(message) from error
    unread = Coverage(unread=tuple(f"{name} was not read: {error}" for name, error in errors.items()))
    coverage = Coverage.merged([*(part.coverage for part in parts), unread])
    layers = [layer for part in parts for layer in part]
    if choice.leak is not None:
        layers = with_leak(layers, choice.leak, {})
    return Layers(layers, coverage, format=kind.value, path=path)
