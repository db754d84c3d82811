"""Published data files: from a folder that the user has, or from their source, always with their checksum."""

from __future__ import annotations

import os
from pathlib import Path

import pooch

from unitcircle.errors import ArgumentError
from unitcircle.report import Progress

TIMEOUT = 30.0
"""Seconds without an answer after which a source counts as out of reach."""
CHUNK = 1 << 20
"""Bytes that are read at once."""


def fetch(name: str, url: str, checksum: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a published file whose content has the checksum, ``"algorithm:hexadecimal digits"``."""
    # With a folder, only that folder is searched. Without one: the folder that the environment variable
    # UNITCIRCLE_DATA names, the cache of the operating system, and at last the source.
    if not url.startswith(("http://", "https://")):
        raise ArgumentError("url", "must begin with http:// or https://", repr(url))
    if folder is not None:
        path = Path(folder) / Path(name).name
        if not path.is_file():
            raise ArgumentError("folder", f"must hold {path.name}", f"{folder}, which does not", _remedy(url, checksum))
        return _check(path, url, checksum)
    cache = pooch.os_cache("unitcircle") / name
    data = os.environ.get("UNITCIRCLE_DATA")
    # Before 0.2 the cache was that of Linux on every system.
    linux = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unitcircle" / name
    for path in (*([Path(data) / name] if data else ()), cache, linux):
        if path.is_file():
            return _check(path, url, checksum)
    _retrieve(cache, url, checksum)
    return cache


def _retrieve(path: Path, url: str, checksum: str) -> None:
    """Download a file: pooch checks it under another name before it moves it to its path."""
    bar = _Bar(path.name)
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT, chunk_size=CHUNK)  # pyright: ignore[reportArgumentType]
    try:
        # pooch's own downloaders name their parameters otherwise than its protocol of a downloader does.
        pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=downloader)  # pyright: ignore[reportArgumentType]
        # The temporary file was readable by its owner only.
        path.chmod(path.parent.stat().st_mode & 0o666)
    except ValueError as error:
        arrived = str(error).partition(". Deleted")[0]
        raise ArgumentError(str(path), "must be the published file", arrived, _remedy(url, checksum)) from error
    except OSError as error:
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # it holds the connection
        arrived = f"no answer ({error})"
        raise ArgumentError(str(path), "must be fetched once", arrived, _remedy(url, checksum)) from error
    finally:
        bar.close()


class _Bar:
    """The progress of a download, as pooch tells it of."""

    def __init__(self, name: str) -> None:
        self._progress = Progress(f"MB of {name}")
        self._bytes = self.total = 0

    def update(self, count: int, /) -> None:
        """Count bytes that have arrived."""
        self._bytes += count
        self._progress.reach_bytes(self._bytes, self.total)

    def reset(self) -> None:
        """Begin again: pooch counts all bytes at the end."""
        self._bytes = 0

    def close(self) -> None:
        """Remove the bar."""
        self._progress.__exit__(None, None, None)


def _check(path: Path, url: str, checksum: str) -> Path:
    algorithm, _, published = checksum.partition(":")
    digest = pooch.file_hash(str(path), alg=algorithm)
    if digest != published:
        arrived = f"{algorithm} {digest}"
        raise ArgumentError(str(path), "must be the published file", arrived, _remedy(url, checksum))
    return path


def _remedy(url: str, checksum: str) -> str:
    algorithm, _, published = checksum.partition(":")
    return (
        f"Delete what is there, get {url} ({algorithm} {published}), and put it at that path, or name a folder that "
        "has it in the environment variable UNITCIRCLE_DATA."
    )
