"""A zip archive that is read without trusting what it declares."""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

from unitcircle.checkpoints._room import admit, take, work
from unitcircle.checkpoints._stream import Stream
from unitcircle.errors import CheckpointError

MAX_DIRECTORY = 8 << 20
"""Bytes of a central directory: some 100,000 members. Python keeps ten times as much memory for it."""
STEPS_OF_OPENING = 50
"""Steps of work that opening a compressed member takes."""
PIECE = 1 << 16
"""Bytes that are unpacked at a time."""
SMALL = 1 << 20
"""Bytes of a file that is read in whole: a map keeps a descriptor, of which a call over many files has a thousand."""
_MAP: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_END, _END64, _LOCATOR, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x03\x04"


def map_file(path: Path, /) -> memoryview:
    """Return a file as read-only memory, of which, unless it is small, only what is looked at is loaded."""
    admit(path)
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= SMALL:
            return memoryview(file.read())
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **_MAP))


class Archive:
    """The members of a zip archive: stored ones as views of the file, compressed ones within the room of the file."""

    def __init__(self, path: Path, content: memoryview | None = None) -> None:
        """Open the archive that a file is, or that some bytes inside of it are."""
        self.path = path
        self._file = map_file(path) if content is None else content
        self._sound: set[str] = set()
        self._check_directory()
        try:
            self._zip = zipfile.ZipFile(Stream(self._file))  # type: ignore[arg-type]  # all that zipfile calls is there
            self._members = {info.filename: info for info in self._zip.infolist()}
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
            message = f"damaged or truncated zip archive ({error!s:.200})"
            raise CheckpointError(message) from error

    @property
    def length(self) -> int:
        """The length of the whole archive in bytes, packed."""
        return len(self._file)

    @property
    def names(self) -> list[str]:
        """The names of the members, in the order of the directory."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def is_stored(self, name: str, /) -> bool:
        """Return whether the bytes of a member stand in the file as they are."""
        return self._members[name].compress_type == zipfile.ZIP_STORED

    def size(self, name: str, /) -> int:
        """Return the declared size of a member in bytes, unpacked."""
        return self._members[name].file_size

    def read(self, name: str, /) -> memoryview:
        """Return the content of a member, after checking its checksum."""
        if name not in self._members:
            message = f"the archive has no member {name!r:.200}"
            raise CheckpointError(message)
        info = self._members[name]
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            content = self._view(info)
            if info.CRC and name not in self._sound and zlib.crc32(content) != info.CRC:
                message = f"the checksum of member {name!r:.200} is wrong: the file is damaged"
                raise CheckpointError(message)
            self._sound.add(name)
            return content
        if info.compress_type != zipfile.ZIP_DEFLATED:
            message = f"member {name!r:.200} is encrypted or compressed in an unusual way; pack it again"
            raise CheckpointError(message)
        take(info.file_size, "what its archive unpacks to")
        work(info.file_size >> 10, "unpacking its archive")
        return memoryview(self._unpack(info, info.file_size)).toreadonly()

    def head(self, name: str, /, length: int) -> bytes:
        """Return the first bytes of a member, without a look at the rest."""
        info = self._members[name]
        if info.compress_type == zipfile.ZIP_STORED:
            return bytes(self._view(info)[:length])
        work(STEPS_OF_OPENING, "opening the members of its archive")
        return bytes(self._unpack(info, min(length, info.file_size)))

    def _unpack(self, info: zipfile.ZipInfo, length: int) -> bytearray:
        # One read of all would join pieces in memory that the library holds twice.
        content = bytearray()
        try:
            with self._zip.open(info) as member:
                while len(content) < length and (piece := member.read(min(PIECE, length - len(content)))):
                    content += piece
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
            ValueError,
        ) as error:
            message = f"member {info.filename!r:.200} is damaged or encrypted ({error!s:.200})"
            raise CheckpointError(message) from error
        if len(content) != length:
            message = f"member {info.filename!r:.200} is truncated"
            raise CheckpointError(message)
        return content

    def _view(self, info: zipfile.ZipInfo) -> memoryview:
        # The local header has its own name and extra field, whose lengths the directory does not tell.
        start = info.header_offset
        header = bytes(self._file[start : start + 30])
        if len(header) < 30 or not header.startswith(_LOCAL):
            message = f"member {info.filename!r:.200} is not where the directory says"
            raise CheckpointError(message)
        start += 30 + sum(struct.unpack("<HH", header[26:30]))
        content = self._file[start : start + info.file_size]
        if len(content) != info.file_size or info.file_size != info.compress_size:
            message = f"member {info.filename!r:.200} is truncated"
            raise CheckpointError(message)
        return content

    def _check_directory(self) -> None:
        tail_start = max(0, len(self._file) - (1 << 16) - 22)
        tail = bytes(self._file[tail_start:])
        end = tail.rfind(_END)
        if end < 0 or len(tail) < end + 22:
            message = "truncated zip archive: its directory, which is at the end, is missing"
            raise CheckpointError(message)
        size = struct.unpack_from("<I", tail, end + 12)[0]
        if end >= 20 and tail[end - 20 : end - 16] == _LOCATOR:
            # Python believes a 64-bit record whenever there is a locator: some versions the record just before the
            # locator, others the one it points to.
            pointed, before = struct.unpack_from("<Q", tail, end - 12)[0], tail_start + end - 20 - 56
            for start in {pointed, max(before, 0)}:
                record = bytes(self._file[start : start + 56])
                if record.startswith(_END64) and len(record) == 56:
                    size = max(size if size != 0xFFFFFFFF else 0, struct.unpack_from("<Q", record, 40)[0])
        if size > MAX_DIRECTORY:
            message = f"the directory of the zip archive claims {size} bytes, more than {MAX_DIRECTORY}"
            raise CheckpointError(message)
