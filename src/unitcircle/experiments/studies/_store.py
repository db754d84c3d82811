"""The results of a study: one JSON file per run, which is all that resuming, comparing and merging need."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from unitcircle.errors import ArgumentError
from unitcircle.experiments.training import Record, Run

_NAME = re.compile(r"[0-9a-f]{16}\.json")


class Store:
    """The folder ``runs`` inside a folder of results, with one file ``<key>.json`` per run that has ended.

    Files are written whole, and none is ever deleted or moved. Copying the files of two folders into one merges them.
    A file that cannot be read counts as not there, and :attr:`problems` says why.

    Parameters
    ----------
    folder
        Of the results; it is made with the first record.

    Attributes
    ----------
    folder
        Where the records are.
    problems
        Path → reason, of every file that was met and is no record of today's schema and protocol.
    """

    def __init__(self, folder: str | os.PathLike[str], /) -> None:
        self.folder = Path(folder) / "runs"
        self.problems: dict[Path, str] = {}
        self._read: dict[str, Record] = {}

    def get(self, run: Run, /) -> Record | None:
        """Return the record of a run, or None where there is none.

        Parameters
        ----------
        run
            The run.

        Returns
        -------
        Record or None
            Whatever its status. It is read once, and looked for again as long as it is not there.
        """
        if run.key not in self._read:
            path = self.folder / f"{run.key}.json"
            record = self._load(path) if path.exists() else None
            if record is None:
                return None
            self._read[run.key] = record
        return self._read[run.key]

    def records(self, runs: Iterable[Run] | None = None, /) -> Iterator[Record]:
        """Yield the records of given runs, or all that the folder holds.

        Parameters
        ----------
        runs
            Those without a record are passed over. None: every file of the folder, by name.

        Yields
        ------
        Record
            In the order of the runs.
        """
        if runs is not None:
            yield from (record for run in runs if (record := self.get(run)) is not None)
            return
        # Names that begin with a dot are files which are being written.
        for path in sorted(self.folder.glob("[!.]*")):
            if not _NAME.fullmatch(path.name):
                self.problems[path] = "is not named as a record is, <key>.json"
            elif (record := self._read.get(path.stem) or self._load(path)) is not None:
                yield self._read.setdefault(path.stem, record)

    def write(self, record: Record, /) -> None:
        """Write one record; a reader sees all of it or nothing.

        Parameters
        ----------
        record
            Takes the place of what there is of the same run.
        """
        record.write(self.folder)
        self._read[record.run.key] = record
        self.problems.pop(self.folder / f"{record.run.key}.json", None)

    def add(self, record: Record, /) -> None:
        """Take in a record whose file another process has written."""
        self._read[record.run.key] = record
        self.problems.pop(self.folder / f"{record.run.key}.json", None)

    def _load(self, path: Path) -> Record | None:
        try:
            record = Record.read(path)
        except ArgumentError as error:
            self.problems[path] = str(error)
            return None
        if record.run.key != path.stem:
            self.problems[path] = f"holds the record of another run, {record.run.key}"
            return None
        return record
