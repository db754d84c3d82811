"""The records of a study, one JSON file per run: all that resuming, comparing and merging need."""

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

    Files are written atomically and never deleted or moved. Copying the files of two folders into one merges them.
    A file that cannot be read is treated as missing, and :attr:`problems` gives the reason.

    Parameters
    ----------
    folder
        Folder of the results; created with the first record.

    Attributes
    ----------
    folder
        Its subfolder ``runs``, with the records.
    problems
        Path → reason, for every file found that is not a record of the current schema and protocol.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.experiments.training import Record, Run, Status
    >>> run = Run("adding(length=10)", "tanh(size=8)", "orthogonal")
    >>> with TemporaryDirectory() as folder:
    ...     Store(folder).write(Record(run, Status.FINISHED, summary={"test_score": 0.1}))
    ...     found = Store(folder).get(run)  # by another process, which is to go on
    >>> found.summary["test_score"]
    0.1
    """

    def __init__(self, folder: str | os.PathLike[str], /) -> None:
        self.folder = Path(folder) / "runs"
        self.problems: dict[Path, str] = {}
        self._read: dict[str, Record] = {}

    def path(self, run: Run, /) -> Path:
        """Return the file of a run's record, whether or not it exists."""
        return self.folder / f"{run.key}.json"

    def get(self, run: Run, /) -> Record | None:
        """Return the record of a run, or None if there is none.

        Parameters
        ----------
        run
            The run.

        Returns
        -------
        Record or None
            A record of any status. It is read once; a missing one is looked for again by every call.
        """
        if run.key not in self._read:
            path = self.path(run)
            record = self._load(path, run) if path.exists() else None
            if record is None:
                return None
            self._read[run.key] = record
        return self._read[run.key]

    def records(self, runs: Iterable[Run] | None = None, /) -> Iterator[Record]:
        """Yield the records of some runs, or all records of the folder.

        Parameters
        ----------
        runs
            Runs without a record are skipped. None: every file of the folder, in the order of names.

        Yields
        ------
        Record
            In the order of the runs.
        """
        if runs is not None:
            yield from (record for run in runs if (record := self.get(run)) is not None)
            return
        # A name that begins with a dot is that of a file still being written.
        for path in sorted(self.folder.glob("[!.]*")):
            if not _NAME.fullmatch(path.name):
                self.problems[path] = "does not have the name of a record, <key>.json"
            elif (record := self._read.get(path.stem) or self._load(path)) is not None:
                yield self._read.setdefault(path.stem, record)

    def write(self, record: Record, /) -> None:
        """Write one record atomically: a reader sees all of it or nothing.

        Parameters
        ----------
        record
            Replaces an earlier record of the same run.
        """
        record.write(self.folder)
        self._read[record.run.key] = record
        self.problems.pop(self.path(record.run), None)

    def add(self, record: Record, /) -> None:
        """Add a record whose file another process has written."""
        self._read[record.run.key] = record
        self.problems.pop(self.path(record.run), None)

    def _load(self, path: Path, expected: Run | None = None) -> Record | None:
        try:
            record = Record.read(path, expected=expected)
        except ArgumentError as error:
            self.problems[path] = str(error)
            return None
        if record.run.key != path.stem:
            self.problems[path] = f"holds the record of another run, {record.run.key}"
            return None
        return record
