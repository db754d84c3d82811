"""Folders and the sharded checkpoints of Hugging Face: an index that says which file holds which tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._refusals import refused_folder
from unitcircle.errors import CheckpointError

MAX_FILES = 1000
"""Files of one folder that are looked at."""
READABLE = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".npz",
    ".npy",
    ".h5",
    ".hdf5",
    ".keras",
    ".onnx",
    ".jit",
    ".tar",
    ".eqx",
    ".msgpack",
    ".gguf",
    ".nam",
    ".tflite",
    ".mat",
    ".pkl",
    ".pickle",
    ".pt2",
)
"""Ends of the names of files that may hold weights."""


def shards_of(index: Path, content: Any, /) -> list[Path]:
    """Return the files that an index, and what its text holds, name; they all lie in its own folder."""
    names = shard_names(content)
    for name in names:
        if not (index.parent / name).is_file():
            message = f"its index names {name!r}, which is not there"
            raise CheckpointError(message)
    return [index.parent / name for name in names]


def shard_names(content: Any, /) -> list[str]:
    """Return the names of the files that an index names, all without a folder."""
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        message = "it is JSON without a weight_map; name the file that holds the weights"
        raise CheckpointError(message)
    names: list[str] = list(dict.fromkeys(shards.values()))
    for name in names:
        if not name or name in {".", ".."} or len(name) > 255 or any(mark in name for mark in "/\\\0:"):
            message = f"its index names a file outside of its folder, {name!r:.80}"
            raise CheckpointError(message)
    return names


def files_of(folder: Path, /) -> tuple[list[Path], bool]:
    """Return the checkpoint files of a folder, and whether an index names them or only their own names do."""
    indices = sorted(path for path in folder.glob("*.index.json") if path.is_file())  # a pipe or a device never ends
    for index in [path for path in indices if "safetensors" in path.name] or indices:
        return shards_of(index, parse_json(index.read_bytes(), kept=False)), True
    names = sorted(path for path in folder.iterdir() if path.is_file())
    files = [path for path in names if path.suffix.lower() in READABLE][:MAX_FILES]
    if not files:
        what = refused_folder(folder)
        message = f"the folder holds no checkpoint file{f'; it is {what}' if what else ''}"
        raise CheckpointError(message)
    return files, False
