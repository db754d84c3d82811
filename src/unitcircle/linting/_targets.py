"""What a call names: files, folders, globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from unitcircle.errors import ArgumentError


def expand(paths: Sequence[str], /) -> list[str]:
    """Return what is to be read, globs expanded, each once, in the order named.

    Parameters
    ----------
    paths
        Files, folders that hold one model, addresses, or globs; ``**`` stands for any depth of folders. A name that
        exists is never taken as a glob.

    Returns
    -------
    list of str
        The names; those of one glob sorted. Of several names of one path the first is kept.

    Raises
    ------
    ArgumentError
        Nothing is named, or a glob matches no file.

    Examples
    --------
    >>> expand(["model.pt", "model.pt"])
    ['model.pt']
    """
    if not paths:
        raise ArgumentError("path", "must name at least one file", "none")
    names: dict[str, str] = {}

    def add(name: str) -> None:
        names.setdefault(name if "://" in name else os.path.abspath(name), name)  # noqa: PTH100  (no link is followed)

    for path in paths:
        if "://" in path or not glob.has_magic(path) or Path(path).exists():
            add(path)
            continue
        matches = sorted(match for match in glob.glob(path, recursive=True) if Path(match).is_file())  # noqa: PTH207  (pathlib globs no absolute pattern)
        if not matches:
            raise ArgumentError("path", "must be a file, or a glob that matches some", f"{path}, which matches none")
        for match in matches:
            add(match)
    return list(names.values())
