"""Published data files: from a folder that the user has, or from their source, always with their checksum."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

from unitcircle._files import written_whole
from unitcircle.errors import ArgumentError

TIMEOUT = 30.0
"""Seconds without an answer after which a source counts as out of reach."""
CHUNK = 1 << 20


def fetch(name: str, url: str, checksum: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a published file whose contents are the published ones."""
    # Looked for in folder alone where one is given; else in the folder that the environment variable
    # UNITCIRCLE_DATA names, in the cache ($XDG_CACHE_HOME/unitcircle, by default
    # ~/.cache/unitcircle), and at last at its source, from where it is written whole into the cache.
    if not url.startswith(("http://", "https://")):
        raise ArgumentError("url", "must begin with http:// or https://", repr(url))
    if folder is not None:
        path = Path(folder) / Path(name).name
        if not path.is_file():
            raise ArgumentError("folder", f"must hold {path.name}", f"{folder}, which does not", _remedy(url, checksum))
        return _checked(path, url, checksum)
    own = os.environ.get("UNITCIRCLE_DATA")
    if own and (Path(own) / name).is_file():
        return _checked(Path(own) / name, url, checksum)
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unitcircle" / name
    if path.is_file():
        return _checked(path, url, checksum)
    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT) as response,
            written_whole(path) as file,
        ):  # the scheme is checked
            while chunk := response.read(CHUNK):
                file.write(chunk)
            file.seek(0)
            _check(file, path, url, checksum)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise ArgumentError(name, "must be fetched once", f"no answer ({error})", _remedy(url, checksum)) from error
    return path


def _checked(path: Path, url: str, checksum: str) -> Path:
    with path.open("rb") as file:
        _check(file, path, url, checksum)
    return path


def _check(file: IO[bytes], path: Path, url: str, checksum: str) -> None:
    algorithm, _, published = checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != published:
        arrived = f"{algorithm} {digest.hexdigest()}"
        raise ArgumentError(str(path), "must be the published file", arrived, _remedy(url, checksum))


def _remedy(url: str, checksum: str) -> str:
    algorithm, _, published = checksum.partition(":")
    return (
        f"Delete what is there, get {url} ({algorithm} {published}), and put it into the folder, or name a folder "
        "that has it in the environment variable UNITCIRCLE_DATA."
    )
