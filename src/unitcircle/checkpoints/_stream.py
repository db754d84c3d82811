"""Bytes in memory as a read-only file, for readers that want one, without a copy."""

from __future__ import annotations

import os


class Stream:
    """A file over a buffer: ``read`` never allocates more than there is."""

    def __init__(self, memory: memoryview | bytes, /) -> None:
        self._memory = memoryview(memory)
        self._place = 0

    def read(self, count: int | None = -1, /) -> bytes:
        """Return at most so many bytes from where the file stands."""
        start = self._place
        end = len(self._memory) if count is None or count < 0 else min(start + count, len(self._memory))
        self._place = max(start, end)
        return bytes(self._memory[start:end])

    def readline(self) -> bytes:
        """Return the bytes up to and including the next line break."""
        parts: list[bytes] = []
        size = 256
        while part := self.read(size):
            end = part.find(b"\n") + 1
            if end:
                self._place -= len(part) - end
                return b"".join((*parts, part[:end]))
            parts.append(part)
            size *= 2
        return b"".join(parts)

    def tell(self) -> int:
        """Return where the file stands."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a place, counted from the start, from here or from the end."""
        self._place = max(0, offset + (0, self._place, len(self._memory))[whence])
        return self._place

    def seekable(self) -> bool:
        """Return True: zipfile asks."""
        return True

    def close(self) -> None:
        """Do nothing: the memory belongs to who made the stream."""
