"""The committed records of contests, one archive: what a folder of studies lacks is taken from there, not trained."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

from unitcircle.report import written_whole

SHIPPED = Path(__file__).with_name("records") / "studies.tar.xz"


@cache
def contents(path: Path = SHIPPED, /) -> dict[PurePosixPath, bytes]:
    """Return the files of an archive by name, such as ``full-9/STUDY/runs/KEY.json``; none where there is none."""
    if not path.exists():
        return {}
    with tarfile.open(path) as archive:
        files = {PurePosixPath(member.name): archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in files.items() if file}


def unpack(folder: Path, name: str, /) -> None:
    """Write what the archive holds of one study, or of one measurement, and a folder of studies lacks."""
    for file, content in contents(SHIPPED).items():
        target = folder / file.relative_to(file.parts[0])
        if file.parts[:2] == (folder.name, name) and not target.exists():
            with written_whole(target) as opened:
                opened.write(content)


def pack(folders: Iterable[Path], path: Path, /) -> None:
    """Write the records and arrays below folders such as ``out/studies/full-9`` as an archive, the same each time."""
    found = {
        PurePosixPath(folder.name, *file.relative_to(folder).parts): file.read_bytes()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.suffix in {".json", ".npz"}
    }
    with written_whole(path) as opened, tarfile.open(fileobj=opened, mode="w:xz") as archive:
        for name, content in sorted((contents(path) | found).items()):
            member = tarfile.TarInfo(str(name))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    contents.cache_clear()
