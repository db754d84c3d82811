"""What kind of file it is, by its content."""

from __future__ import annotations

import stat
from enum import StrEnum
from pathlib import Path

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
    NPY = "NumPy array"
    NPZ = "NumPy archive"
    HDF5 = "HDF5"
    KERAS = "Keras"
    ONNX = "ONNX"


_REFUSED = [
    (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
    (0, b"7z\xbc\xaf", "a 7-zip archive; unpack it first"),
    (0, b"BZh", "a bzip2 archive; unpack it first"),
    (0, b"\xfd7zXZ", "an xz archive; unpack it first"),
    (0, b"GGUF", "a GGUF file, which holds no recurrent layer this reader knows; convert it to safetensors"),
    (4, b"TFL3", "a TensorFlow Lite model; convert the model it was made from to ONNX"),
    (257, b"ustar", "a tar archive; unpack it first, or load and save it with a newer torch"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself; run git lfs pull"),
]
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def recognise(path: Path, /) -> Format:
    """Return the format of a file or folder."""
    head, at_user_block, size = _head_of(path)
    for place, magic, what in _REFUSED:
        if head[place : place + len(magic)] == magic:
            message = f"it is {what}"
            raise CheckpointError(message)
    claimed = int.from_bytes(head[:8], "little")
    signs = {
        Format.FOLDER: size < 0,
        Format.HDF5: head.startswith(_HDF5) or at_user_block,
        Format.ZIP: head.startswith((b"PK\x03\x04", b"PK\x05\x06")),
        Format.NPY: head.startswith(b"\x93NUMPY"),
        Format.SAFETENSORS: head[8:9] == b"{" and (claimed <= size or head[5:8] == b"\0\0\0"),
        Format.PYTORCH_LEGACY: head[:1] == b"\x80" and _LEGACY in head[:32],
        Format.SHARDED: head.lstrip().startswith(b"{") and b"\0" not in head,
        # An ONNX file has no magic number: it starts with its first field, the version of the format.
        Format.ONNX: head.startswith(b"\x08"),
    }
    sign = next((format_ for format_, holds in signs.items() if holds), None)
    if sign is not None:
        return sign
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        message = "a bare pickle that torch.save did not write is not read; save the weights with numpy.savez"
        raise CheckpointError(message)
    message = (
        f"its first bytes {head[:8]!r} are those of no format that is read here: "
        "safetensors, PyTorch, TorchScript, npz, npy, Keras, HDF5, ONNX"
    )
    raise CheckpointError(message)


def _head_of(path: Path) -> tuple[bytes, bool, int]:
    """Return the first bytes of a file, whether HDF5 starts behind a user block, and its size (of a folder: -1)."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return b"", False, -1
        if not stat.S_ISREG(status.st_mode):
            message = "it is neither a file nor a folder"
            raise CheckpointError(message)
        with path.open("rb") as file:
            head = file.read(4096)
            at_user_block = any(file.seek(place) and file.read(8) == _HDF5 for place in (512, 1024, 2048, 4096))
    except (OSError, ValueError) as error:
        message = f"it cannot be opened ({error.strerror if isinstance(error, OSError) else error})"
        raise CheckpointError(message) from error
    if not head:
        message = "it is empty"
        raise CheckpointError(message)
    return head, at_user_block, status.st_size
