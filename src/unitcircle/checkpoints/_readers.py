"""The reader of each format: a module of its own that opens a file, and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from unitcircle.checkpoints._archive import Archive, map_file
from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._bare_pickle import read_pickle
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._distributed import read_distributed
from unitcircle.checkpoints._dynet import read_dynet
from unitcircle.checkpoints._equinox import read_equinox
from unitcircle.checkpoints._export import read_export
from unitcircle.checkpoints._format import Format, recognise, recognise_archive, recognise_document
from unitcircle.checkpoints._gguf import read_gguf
from unitcircle.checkpoints._json_model import read_amp_model, read_json, read_rtneural
from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._matlab import read_matlab, read_matlab_hdf5
from unitcircle.checkpoints._msgpack import read_msgpack
from unitcircle.checkpoints._nested import read_members
from unitcircle.checkpoints._numpy import read_npy, read_npz
from unitcircle.checkpoints._orbax import read_orbax
from unitcircle.checkpoints._pytorch import read_legacy, read_zip
from unitcircle.checkpoints._safetensors import read_safetensors
from unitcircle.checkpoints._tfjs import read_tfjs
from unitcircle.checkpoints._tflite import read_tflite
from unitcircle.checkpoints._unnamed import listed_layers, lists_of_places
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer

Found = tuple[list[RecurrentLayer], Coverage]


@dataclass(frozen=True)
class File:
    """A file that is read: its path, and the archive it is, opened once."""

    path: Path

    @cached_property
    def container(self) -> Format:
        """Its format by its first bytes."""
        return recognise(self.path)

    @property
    def is_safetensors(self) -> bool:
        """Whether it is safetensors by its content."""
        try:
            return self.container is Format.SAFETENSORS
        except CheckpointError:
            return False

    @cached_property
    def kind(self) -> Format:
        """Its format, by the content; of a zip archive and of a JSON text by what is inside."""
        kind = self.container
        if kind is Format.ZIP:
            return recognise_archive(self.archive)
        return recognise_document(self.document) if kind is Format.JSON else kind

    @cached_property
    def archive(self) -> Archive:
        """The members of a zip archive."""
        return Archive(self.path)

    @cached_property
    def document(self) -> Any:
        """What a JSON text holds."""
        return parse_json(self.path.read_bytes())


@dataclass(frozen=True)
class Reader:
    """How a format is read."""

    contents: Callable[[File], Contents]
    layers: Callable[[File], Found] | None = None  # Where the format says itself which tensors are which layer

    def read(self, file: File, /) -> Found:
        """Return the recurrent layers of a file, and what became of every tensor."""
        if self.layers is not None:
            return self.layers(file)
        return layers_of(self.contents(file), str(file.path))


def layers_of(contents: Contents, file: str, /, chosen: Sequence[RecurrentLayer] = ()) -> Found:
    """Return the layers that a person chose, those that the format describes, and those that names tell."""
    used = {name for layer in chosen for name in layer.source.tensors}
    listed = listed_layers(lists_of_places(contents.tensors), contents.tensors, file) if contents.by_name else ()
    described = [layer for layer in contents.layers or listed if used.isdisjoint(layer.source.tensors)]
    made = [*chosen, *described]
    layers, coverage = (
        assemble(contents.tensors, file=file, texts=contents.texts, chosen=made)
        if contents.by_name
        else (made, _coverage(contents, made))
    )
    unread = (*coverage.unread, *contents.unread, *(() if layers else contents.suspects))
    return layers, replace(coverage, notes=(*coverage.notes, *contents.notes), unread=unread)


def _coverage(contents: Contents, layers: Sequence[RecurrentLayer]) -> Coverage:
    """Return what became of the tensors of a format that says itself which of them are layers."""
    taken = {name: layer.name for layer in layers for name in layer.source.tensors}
    analysed = tuple(Entry(name, contents.tensors[name].shape, layer) for name, layer in taken.items())
    return Coverage(analysed, other=len(contents.tensors) - len(analysed))


# Imported in the body: users of the other formats do not wait for these readers.
def _onnx_tensors(file: File) -> Contents:
    from unitcircle.checkpoints._onnx import onnx_tensors  # noqa: PLC0415

    return Contents(onnx_tensors(file.path))


def _onnx_layers(file: File) -> Found:
    from unitcircle.checkpoints._onnx import read_onnx  # noqa: PLC0415

    return read_onnx(file.path)


def _keras_tensors(file: File) -> Contents:
    from unitcircle.checkpoints._keras import keras_tensors  # noqa: PLC0415

    return Contents(keras_tensors(file.path))


def _keras_layers(file: File) -> Found:
    from unitcircle.checkpoints._keras import read_keras  # noqa: PLC0415

    return read_keras(file.path)


def _hdf5_layers(file: File) -> Found:
    from unitcircle.checkpoints._keras import read_hdf5  # noqa: PLC0415

    return read_hdf5(file.path)


_PYTORCH = Reader(lambda file: read_zip(file.archive))
READERS: Mapping[Format, Reader] = {
    Format.SAFETENSORS: Reader(lambda file: Contents(read_safetensors(file.path))),
    Format.PYTORCH: _PYTORCH,
    Format.TORCHSCRIPT: _PYTORCH,
    Format.PYTORCH_LEGACY: Reader(lambda file: read_legacy(map_file(file.path), alone=file.path.stem)),
    Format.EXPORT: Reader(lambda file: read_export(file.archive)),
    Format.DISTRIBUTED: Reader(lambda file: read_distributed(file.path)),
    Format.ARCHIVE: Reader(lambda file: read_members(file.archive)),
    Format.PICKLE: Reader(lambda file: read_pickle(map_file(file.path), alone=file.path.stem)),
    Format.NPZ: Reader(lambda file: Contents(read_npz(file.archive))),
    Format.NPY: Reader(lambda file: Contents(read_npy(file.path))),
    Format.EQUINOX: Reader(lambda file: read_equinox(file.path)),
    Format.RTNEURAL: Reader(lambda file: read_rtneural(file.path, file.document)),
    Format.AMP_MODEL: Reader(lambda file: read_amp_model(file.path, file.document)),
    Format.TFJS: Reader(lambda file: read_tfjs(file.path, file.document)),
    Format.JSON: Reader(lambda file: read_json(file.path, file.document)),
    Format.GGUF: Reader(lambda file: read_gguf(file.path)),
    Format.DYNET: Reader(lambda file: read_dynet(file.path)),
    Format.TFLITE: Reader(lambda file: read_tflite(file.path)),
    Format.MATLAB: Reader(lambda file: read_matlab(file.path)),
    Format.MATLAB_HDF5: Reader(lambda file: read_matlab_hdf5(file.path)),
    Format.ORBAX: Reader(lambda file: read_orbax(file.path)),
    Format.MSGPACK: Reader(lambda file: read_msgpack(file.path)),
    Format.ONNX: Reader(_onnx_tensors, _onnx_layers),
    Format.KERAS: Reader(_keras_tensors, _keras_layers),
    Format.HDF5: Reader(_keras_tensors, _hdf5_layers),
}
"""The reader of every format, but of folders of several files that are read one by one."""
