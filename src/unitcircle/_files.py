"""Atomic writes: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unitcircle.errors import ArgumentError


@contextmanager
def written_whole(path: str | os.PathLike[str], /) -> Generator[IO[bytes]]:
    """Open a temporary file beside ``path`` that takes its name when the block ends without an exception."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe, such as /dev/stdout
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()  # a symbolic link stays, and the file that it names is replaced
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        raise ArgumentError(
            "path", "must be in a folder that can be written to", f"{path} ({error.strerror})"
        ) from error
    umask = os.umask(0)
    os.umask(umask)
    with file:
        try:
            yield file
            # The name must not reach the disk before the content does.
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).chmod(0o666 & ~umask)
    Path(file.name).replace(path)
