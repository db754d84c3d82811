"""One driver for a folder of results: two would train every run twice."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from unitcircle.errors import UnitcircleError

NAME = ".driver"
"""The file that a driver holds locked; the system unlocks it however the process ends."""


def _names(path: Path, descriptor: int) -> bool:
    """Return whether a path still names an open file: the driver before may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


@contextmanager
def only_driver(folder: Path, /) -> Generator[None]:
    """Hold the lock of a folder of results; raise UnitcircleError, with the remedy, where another driver holds it."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield
        return
    path = folder / NAME
    try:
        file = path.open("a+b", buffering=0)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}): run the study in a folder that can be written to."
        raise UnitcircleError(message) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A network file system may have no locks: then nothing is checked.
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                file.seek(0)
                holder = file.read(200).decode("utf-8", "replace").strip() or "unknown"
                message = (
                    f"Another process runs a study in {folder} ({holder}): wait until it ends, stop it and run this "
                    "again to go on, or choose another folder."
                )
                raise UnitcircleError(message) from None
        if not _names(path, file.fileno()):
            message = f"Another process just ran a study in {folder}: run this again to go on."
            raise UnitcircleError(message)
        with suppress(OSError):  # a full disk: that the file is locked is enough
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
