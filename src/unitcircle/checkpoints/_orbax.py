"""Orbax checkpoints: a folder of Zarr arrays, one for every leaf of a tree."""

from __future__ import annotations

from pathlib import Path

from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._refusals import OCDBT, is_ocdbt
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._zarr import DESCRIPTIONS, zarr_array
from unitcircle.errors import CheckpointError

MARKS = ("_METADATA", "_CHECKPOINT_METADATA", "commit_success.txt")
"""Files that orbax writes beside its arrays."""
MAX_FOLDERS = 20_000
MAX_LEVELS = 8


def is_orbax(folder: Path, /) -> bool:
    """Whether a folder is an orbax checkpoint, the steps of one, or a group of Zarr arrays."""
    children = [child for _, child in zip(range(1000), sorted(folder.iterdir()), strict=False) if child.is_dir()]
    marks = (*MARKS[:2], *DESCRIPTIONS)
    return any((place / mark).is_file() for place in (folder, *children) for mark in marks)


def read_orbax(folder: Path, /) -> Contents:
    """Return the arrays of an orbax checkpoint; of several steps, of the last."""
    notes: list[str] = []
    places: dict[str, Path] = {}
    level = [("", folder)]
    for _ in range(MAX_LEVELS):
        level = [entry for name, place in level for entry in _children(name, place, places, notes)]
        if len(level) + len(places) > MAX_FOLDERS:
            message = f"it holds more than {MAX_FOLDERS} folders: no checkpoint of orbax"
            raise CheckpointError(message)
    arrays = {name: zarr_array(place, name=name) for name, place in sorted(places.items())}
    tensors: dict[str, StoredTensor] = {name: array for name, array in arrays.items() if array is not None}
    if not tensors:
        message = "it is an orbax checkpoint without arrays: incomplete"
        raise CheckpointError(message)
    return Contents(tensors, notes=tuple(notes))


def _children(name: str, folder: Path, places: dict[str, Path], notes: list[str]) -> list[tuple[str, Path]]:
    """Take in the array of a folder, or return the folders below it that may hold arrays."""
    children = [child for child in sorted(folder.iterdir()) if child.is_dir() and not child.is_symlink()]
    if is_ocdbt({child.name for child in folder.iterdir()}):
        message = f"it is {OCDBT}"
        raise CheckpointError(message)
    if (folder / ".zarray").is_file() or ((folder / "zarr.json").is_file() and not _has_arrays(children)):
        places[name or folder.name] = folder
        return []
    steps = [child for child in children if child.name.isdecimal() and any((child / mark).exists() for mark in MARKS)]
    if steps:
        last = max(steps, key=lambda step: int(step.name))
        if len(steps) > 1:
            notes.append(f"of {len(steps)} steps the last, {last.name}, is read")
        return [(name, last)]
    return [("/".join(filter(None, (name, child.name))) if child.name != "default" else name, child)
            for child in children]  # fmt: skip


def _has_arrays(children: list[Path]) -> bool:
    return any((child / mark).is_file() for child in children for mark in DESCRIPTIONS)
