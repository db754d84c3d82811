"""Copies of zip archives with other content in some of their members."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from unitcircle._files import written_whole
from unitcircle.checkpoints._note import KEY, Entries, joined
from unitcircle.checkpoints._tensor import bfloat16_bits

LONGEST_COMMENT = (1 << 16) - 1


def mend_archive(copy: IO[bytes], offsets: Sequence[int], note: Entries) -> None:
    """Write the new checksums of the members in which there are new values, and the comment."""
    copy.flush()
    with zipfile.ZipFile(copy) as archive:
        members, comment, start = archive.infolist(), archive.comment, archive.start_dir
    with mmap.mmap(copy.fileno(), 0) as memory:
        place = start
        for info in members:
            name, extra, text = struct.unpack_from("<HHH", memory, place + 28)
            begin = info.header_offset + 30 + sum(struct.unpack_from("<HH", memory, info.header_offset + 26))
            end = begin + info.compress_size
            if any(begin <= offset < end for offset in offsets):
                checksum = struct.pack("<I", zlib.crc32(memoryview(memory)[begin:end]))
                memory[place + 16 : place + 20] = checksum
                if info.flag_bits & 8:  # sizes and checksum stand behind the member, with or without a signature
                    behind = end + 4 * (memory[end : end + 4] == b"PK\x07\x08")
                    memory[behind : behind + 4] = checksum
                else:
                    memory[info.header_offset + 14 : info.header_offset + 18] = checksum
            place += 46 + name + extra + text
    if note:
        text = _comment(comment, note)
        copy.seek(-2 - len(comment), 2)
        copy.truncate()
        copy.write(struct.pack("<H", len(text)) + text)


def _comment(comment: bytes, note: Entries) -> bytes:
    """Return the comment of an archive with a note in its last line."""
    others, _, last = comment.rpartition(b"\n")
    if not last.startswith(f'{{"{KEY}":'.encode()):
        others, last = comment, b""
    others += b"\n" * bool(others)
    room = LONGEST_COMMENT - len(others)
    text = joined(last.decode(errors="replace"), note, longest=room).encode()
    return others + text if len(text) <= room else comment


def pack_again(path: Path, out: Path, values: Mapping[str, np.ndarray], note: Entries) -> None:
    """Write a copy of an archive of NumPy whose arrays are compressed."""
    with zipfile.ZipFile(path) as archive:
        arrays = {f"{name}.npy": _array(archive.read(f"{name}.npy"), value) for name, value in values.items()}
        copy_members(archive, out, arrays, _comment(archive.comment, note) if note else archive.comment)


def copy_members(archive: zipfile.ZipFile, out: Path, new: Mapping[str, bytes], comment: bytes) -> None:
    """Write a copy of an archive in which some members have other content; each is packed as it was."""
    with written_whole(out) as target, zipfile.ZipFile(target, "w") as copy:
        copy.comment = comment
        for info in archive.infolist():
            content = new[info.filename] if info.filename in new else archive.read(info)
            copy.writestr(info, content)


def _array(content: bytes, value: np.ndarray) -> bytes:
    """Return the content of an ``.npy`` file with other values, in its element type and order."""
    old = np.load(io.BytesIO(content), allow_pickle=False)
    new = bfloat16_bits(value).view(old.dtype) if old.dtype.kind == "V" else value.astype(old.dtype)
    order = "F" if old.flags.f_contiguous and not old.flags.c_contiguous else "C"
    return content[: len(content) - old.nbytes] + new.tobytes(order)
