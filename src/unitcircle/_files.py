"""Atomic writes: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from unitcircle.errors import ArgumentError

_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EISDIR, errno.ENOTDIR}
"""What the disk, or a folder by the name of the file, makes impossible."""


@contextmanager
def written_whole(path: str | os.PathLike[str], /) -> Generator[IO[bytes]]:
    """Open a temporary file beside ``path`` that takes its name when the block ends without an exception.

    Yields
    ------
    file
        Open for writing bytes.

    Raises
    ------
    ArgumentError
        The path cannot be written; an earlier file there is as it was.
    OSError
        Any other fault of the file system.

    Examples
    --------
    Whoever reads the file meanwhile, or after a crash, finds the old one or the new one, never a part:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "page.html")
    ...     with written_whole(path) as file:
    ...         _ = file.write(b"<p>all of it</p>")
    ...         there_before = path.exists()
    ...     there_before, path.read_text()
    (False, '<p>all of it</p>')
    """
    path = Path(path)
    try:
        with _written(path) as file:
            yield file
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        rule, arrived = "must be a file that can be written", f"{path} ({error.strerror})"
        raise ArgumentError("path", rule, arrived, "Nothing was changed.") from error


def _check_name(path: Path) -> None:
    """Refuse a name that no file can have: too long, with a null character, a link to itself."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # there is none yet, or what follows says why
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArgumentError("path", "must be a name that a file can have", f"{str(path)!r:.200} ({reason})") from error


@contextmanager
def _written(path: Path) -> Generator[IO[bytes]]:
    _check_name(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe, such as /dev/stdout
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()  # a symbolic link stays, and the file that it names is replaced
    umask = os.umask(0)
    os.umask(umask)
    # Named before it exists: wherever an interrupt comes, what it leaves is found.
    hidden = path.with_name(f".{path.name[:60]}.{secrets.token_hex(5)}")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~umask  # what was private stays so
            file = open(hidden, "x+b", opener=_private)  # noqa: SIM115
        except OSError as error:
            raise ArgumentError(
                "path", "must be in a folder that can be written to", f"{path} ({error.strerror})"
            ) from error
        with file:
            yield file
            # The name must not reach the disk before the content does.
            file.flush()
            os.fsync(file.fileno())
        hidden.chmod(mode)
        hidden.replace(path)
    except BaseException:  # an interrupt may come at any place
        with suppress(OSError):
            hidden.unlink()
        raise


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read."""
    return os.open(path, flags, 0o600)
