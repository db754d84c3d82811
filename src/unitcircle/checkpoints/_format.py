"""What kind of file it is, by its content."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._numpy import end_of_array
from unitcircle.checkpoints._orbax import is_orbax
from unitcircle.checkpoints._refusals import REFUSED, Head, starts_with
from unitcircle.errors import CheckpointError


class Format(StrEnum):
    """The kinds of file that can be read, and those that are told apart inside a zip archive."""

    FOLDER = "folder"
    SHARDED = "sharded index"
    SAFETENSORS = "safetensors"
    ZIP = "zip archive"
    PYTORCH = "PyTorch"
    TORCHSCRIPT = "TorchScript"
    PYTORCH_LEGACY = "PyTorch (legacy)"
    PICKLE = "pickle"
    EXPORT = "torch.export"
    DISTRIBUTED = "torch.distributed"
    ARCHIVE = "archive of checkpoints"
    NPY = "NumPy array"
    NPZ = "NumPy archive"
    EQUINOX = "Equinox"
    RTNEURAL = "RTNeural JSON"
    AMP_MODEL = "Neural Amp Modeler"
    TFJS = "TensorFlow.js"
    JSON = "JSON"
    GGUF = "GGUF"
    DYNET = "DyNet"
    TFLITE = "TensorFlow Lite"
    MATLAB = "MATLAB"
    MATLAB_HDF5 = "MATLAB 7.3"
    ORBAX = "orbax"
    MSGPACK = "flax msgpack"
    HDF5 = "HDF5"
    KERAS = "Keras"
    ONNX = "ONNX"


_HDF5 = b"\x89HDF\r\n\x1a\n"
_LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# Protocols 2 to 5 name themselves. Before them a container starts with its mark and its place in the memo, an object
# with the name of its class.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]|\(*(?:[\]}]q|\([dl]p\d+\n|\(?c[\w.]+\n[\w.]+\n[(pq)]|\(i[\w.]+\n\w+\n)", re.DOTALL
)


def _is_safetensors(head: Head) -> bool:
    claimed = int.from_bytes(head.start[:8], "little")
    return head.start[8:9] == b"{" and (claimed <= head.size or head.start[5:8] == b"\0\0\0")


def _is_msgpack(head: Head) -> bool:
    # A map of a few entries or of a counted number, whose first key is a text.
    return re.match(rb"(?:[\x81-\x8f]|\xde..|\xdf....)[\xa1-\xbf\xd9]", head.start, re.DOTALL) is not None


def _is_equinox(head: Head) -> bool:
    if head.start.startswith(b"{"):
        return b"\n\x93NUMPY" in head.start
    return head.start.startswith(b"\x93NUMPY") and end_of_array(head.start) < head.size


_SIGNS: tuple[tuple[Format, Callable[[Head], bool]], ...] = (
    (Format.MATLAB_HDF5, starts_with(b"MATLAB 7.3")),
    (Format.MATLAB, lambda head: head.start[124:128] in {b"\0\1IM", b"\1\0MI"}),
    (Format.HDF5, lambda head: head.start.startswith(_HDF5) or head.at_user_block),
    (Format.ZIP, lambda head: head.start.startswith((b"PK\x03\x04", b"PK\x05\x06"))),
    (Format.EQUINOX, _is_equinox),
    (Format.NPY, lambda head: head.start.startswith(b"\x93NUMPY")),
    (Format.SAFETENSORS, _is_safetensors),
    (Format.PYTORCH_LEGACY, lambda head: head.start[:1] == b"\x80" and _LEGACY in head.start[:32]),
    (Format.PICKLE, lambda head: _PICKLE.match(head.start) is not None),
    (Format.DYNET, lambda head: head.start.startswith((b"#Parameter# ", b"#LookupParameter# "))),
    (Format.TFLITE, starts_with(b"TFL3", at=4)),
    (Format.GGUF, starts_with(b"GGUF")),
    (Format.MSGPACK, _is_msgpack),
    (Format.JSON, lambda head: head.start.lstrip().startswith((b"{", b"[")) and b"\0" not in head.start),
    # An ONNX file has no magic number: it starts with its first field, the version of the format.
    (Format.ONNX, lambda head: head.start.startswith(b"\x08")),
)
"""The formats, and what the first bytes of a file in each have in common; the first that fits counts."""


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


EXPORTED = re.compile(r"(^|/)(serialized_state_dict\.\w+|data/weights/.+_weights_config\.json|data/weights/[^/]+\.pt)$")
"""The weights in an archive of torch.export: of torch up to 2.7, since 2.9, and of 2.8."""
NESTED = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".safetensors", ".npz")
_MEMBERS: tuple[tuple[Format, Callable[[list[str]], bool]], ...] = (
    (Format.EXPORT, lambda names: any(EXPORTED.search(name) for name in names)),
    (Format.TORCHSCRIPT, lambda names: {"data.pkl", "constants.pkl"} <= {_leaf(name) for name in names}),
    (Format.PYTORCH, lambda names: any(_leaf(name) == "data.pkl" for name in names)),
    (Format.KERAS, lambda names: "config.json" in names or "model.weights.h5" in names),
    (Format.NPZ, lambda names: any(name.endswith(".npy") for name in names)),
    (Format.ARCHIVE, lambda names: any(name.lower().endswith(NESTED) for name in names)),
)
"""The formats that are zip archives, and the members each has; the first that fits counts."""

_DOCUMENTS: tuple[tuple[Format, Callable[[dict[str, Any]], bool]], ...] = (
    (Format.SHARDED, lambda document: "weight_map" in document),
    (Format.TFJS, lambda document: "weightsManifest" in document),
    (Format.AMP_MODEL, lambda document: "architecture" in document and isinstance(document.get("weights"), list)),
    (Format.RTNEURAL, lambda document: "in_shape" in document and isinstance(document.get("layers"), list)),
)
"""The formats that are one JSON object, and the entries each has; the first that fits counts."""


def recognise(path: Path, /) -> Format:
    """Return the format of a file or folder; of a zip archive, :func:`recognise_archive` tells more."""
    head = _head_of(path)
    if head.size < 0:
        distributed = Format.DISTRIBUTED if (path / ".metadata").is_file() else None
        return distributed or (Format.ORBAX if is_orbax(path) else Format.FOLDER)
    return _recognise(head)


def recognise_bytes(content: memoryview, name: str, /) -> Format:
    """Return the format of a file that is a member of an archive."""
    return _recognise(Head(bytes(content[:4096]), len(content), at_user_block=False, name=name))


def _recognise(head: Head) -> Format:
    for holds, what in REFUSED:
        if holds(head):
            message = f"it is {what}"
            raise CheckpointError(message)
    sign = next((format_ for format_, holds in _SIGNS if holds(head)), None)
    if sign is not None:
        return sign
    message = (
        f"its first bytes {head.start[:8]!r} are those of no format that is read here; "
        "help(unitcircle.read) lists those that are"
    )
    raise CheckpointError(message)


def recognise_document(document: Any, /) -> Format:
    """Return the format of a JSON document, by its entries."""
    found = (kind for kind, holds in _DOCUMENTS if isinstance(document, dict) and holds(document))
    return next(found, Format.JSON)


def recognise_archive(archive: Archive, /) -> Format:
    """Return the format of a zip archive, by the names of its members."""
    names = archive.names
    kind = next((format_ for format_, holds in _MEMBERS if holds(names)), None)
    if kind is not None:
        return kind
    if any(_leaf(name) in {"model.json", "archive_format"} for name in names):
        message = (
            "a TorchScript file of torch 1.3 or older, or a compiled torch.export program without weights; "
            "save a state_dict with torch.save"
        )
        raise CheckpointError(message)
    listed = ", ".join(repr(name) for name in names[:5]) or "nothing"
    message = f"a zip archive that is no checkpoint: it holds {listed:.200}"
    raise CheckpointError(message)


def _head_of(path: Path) -> Head:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return Head(b"", -1, at_user_block=False)
        if not stat.S_ISREG(status.st_mode):
            message = "it is neither a file nor a folder"
            raise CheckpointError(message)
        with path.open("rb") as file:
            start = file.read(4096)
            at_user_block = any(file.seek(place) and file.read(8) == _HDF5 for place in (512, 1024, 2048, 4096))
    except (OSError, ValueError) as error:
        message = f"it cannot be opened ({error.strerror if isinstance(error, OSError) else error})"
        raise CheckpointError(message) from error
    if not start:
        message = "it is empty"
        raise CheckpointError(message)
    return Head(start, status.st_size, at_user_block, path.name)
