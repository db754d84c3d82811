"""Checkpoint files inside a zip archive, such as the ``policy.pth`` of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._bare_pickle import read_pickle
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._format import NESTED, Format, recognise_archive, recognise_bytes
from unitcircle.checkpoints._numpy import read_npz
from unitcircle.checkpoints._pytorch import read_legacy, read_zip
from unitcircle.checkpoints._safetensors import Source, tensors_of
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError

MAX_MEMBERS = 100
"""Members of one archive that are looked into."""
_OTHERS = (".h5", ".hdf5", ".keras", ".onnx", ".tflite", ".gguf", ".msgpack", ".eqx", ".zip", ".tar", ".gz")


def read_members(archive: Archive, /, names: Sequence[str] | None = None) -> Contents:
    """Return the tensors of the checkpoint files in an archive, one level deep, or of those that are named."""
    chosen = [name for name in archive.names if name.lower().endswith(NESTED)] if names is None else list(names)
    optimizers = [name for name in chosen if "optim" in name.lower()]
    chosen = [name for name in chosen if name not in optimizers]
    notes = [f"{name:.200}: the state of an optimizer, left out" for name in optimizers]
    unopened = [*chosen[MAX_MEMBERS:], *(name for name in archive.names if name.lower().endswith(_OTHERS))]
    unread = [f"{name:.200}: unpack the archive and diagnose this file: not read" for name in unopened]
    read: dict[str, Contents] = {}
    failures: list[CheckpointError] = []
    for name in chosen[:MAX_MEMBERS]:
        try:
            read[name] = _contents(archive, name)
        except CheckpointError as error:
            failures.append(CheckpointError(f"{name:.200}: {error}"))
    if failures and not any(contents.tensors for contents in read.values()):
        raise failures[0]
    unread += [f"{failure}: not read" for failure in failures]
    full = {name: contents for name, contents in read.items() if contents.tensors}
    tensors: dict[str, StoredTensor] = {}
    texts: dict[str, str] = {}
    for name, contents in full.items():
        prefix = "" if len(full) == 1 else name.rpartition(".")[0].replace("/", ".") + "."
        tensors |= {f"{prefix}{key}": tensor for key, tensor in contents.tensors.items()}
        texts |= {f"{prefix}{key}": text for key, text in contents.texts.items()}
        notes += contents.notes
        unread += contents.unread
    return Contents(tensors, texts, notes=tuple(notes[:MAX_MEMBERS]), unread=tuple(unread[:MAX_MEMBERS]))


def _contents(archive: Archive, name: str) -> Contents:
    content, alone = archive.read(name), name.rpartition("/")[2].rpartition(".")[0]
    kind = recognise_bytes(content, name) if len(content) else None
    inner = Archive(Path(alone), content) if kind is Format.ZIP else None
    match recognise_archive(inner) if inner else kind:
        case Format.PYTORCH | Format.TORCHSCRIPT if inner:
            return read_zip(inner)
        case Format.NPZ if inner:
            return Contents(read_npz(inner))
        case Format.PYTORCH_LEGACY:
            return read_legacy(content, alone=alone)
        case Format.PICKLE:
            return read_pickle(content, alone=alone)
        case Format.SAFETENSORS:
            return Contents(tensors_of(Source(len(content), lambda begin, end: content[begin:end])))
        case other:
            message = f"{other.value if other else 'an empty file'} inside of an archive; unpack it first"
            raise CheckpointError(message)
