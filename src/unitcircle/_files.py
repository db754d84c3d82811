"""Writing a file whole: a reader sees the old one or the new one, never a part."""

from __future__ import annotations

__all__ = ["written_whole"]

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unitcircle.errors import ArgumentError


@contextmanager
def written_whole(path: str | os.PathLike[str], /) -> Generator[IO[bytes]]:
    """Open a temporary file beside ``path`` that takes its name when the block ends without an exception.

    Parameters
    ----------
    path
        Where to; folders are made.

    Yields
    ------
    file
        To write bytes to. If the block raises, the temporary file is removed and ``path`` is as it was.

    Raises
    ------
    ArgumentError
        The folder cannot be made or written to.
    """
    path = Path(path)
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
