"""The file that a monitor writes, and the runs in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.monitor._run_line import BATCH, COLUMNS, TALLEST, parse_record


@dataclass(frozen=True, eq=False)
class MonitoredRun:
    """One run from a file of JSON lines."""

    path: Path  # The file
    records: Sequence[Mapping[str, Any]]  # One a step, in the order of the steps
    unreadable: int = 0  # Lines not as a monitor writes them, such as one that a crash has cut short
    others: int = 0  # Other runs in the file

    @cached_property
    def blocks(self) -> list[str]:
        """Names of the watched weights."""
        return self._owners(COLUMNS)

    @cached_property
    def layers(self) -> list[str]:
        """Names of the layers that were measured on a batch."""
        return self._owners(BATCH)

    def _owners(self, metrics: Collection[str]) -> list[str]:
        """Return the weights or layers that have any of these metrics, in the order of their first record."""
        ends = tuple(f"/{metric}" for metric in metrics)
        names = dict.fromkeys(name for record in self.records for name in record)
        return list(dict.fromkeys(name.rpartition("/")[0] for name in names if name.endswith(ends) and name[0] != "/"))

    @property
    def batch_step(self) -> int:
        """The step at which a batch was last measured; the run must have :attr:`layers`."""
        names = [f"{layer}/{metric}" for layer in self.layers for metric in BATCH]
        return next(record["step"] for record in reversed(self.records) if any(name in record for name in names))

    def latest(self, name: str, /) -> float | None:
        """Return the last value of a number that is not measured every time; None if it never was."""
        return next((float(record[name]) for record in reversed(self.records) if name in record), None)

    def series(self, name: str, /) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and values of a number, where it was measured."""
        points = [(record["step"], float(record[name])) for record in self.records if name in record]
        steps, values = zip(*points, strict=True) if points else ((), ())
        return np.array(steps, float), np.array(values, float)

    @property
    def findings(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Pairs of step and finding, the latest last."""
        return [(record["step"], finding) for record in self.records for finding in record.get("findings", ())]

    def frames(self, block: str, /) -> list[tuple[int, np.ndarray]]:
        """Return step and eigenvalues ``(n,)`` of a weight, wherever finite ones were computed."""
        frames: list[tuple[int, np.ndarray]] = []
        for record in self.records:
            pairs = np.array(record.get("eigenvalues", {}).get(block, []), float).reshape(-1, 2)
            pairs = pairs[(np.abs(pairs) < TALLEST).all(1)]
            if len(pairs):
                frames.append((record["step"], pairs @ np.array([1, 1j])))
        return frames

    def by_lag(self, layer: str, /) -> list[tuple[int, np.ndarray]]:
        """Return step and log-norm of the gradient by lag ``(T + 1,)`` of a layer, wherever it was kept."""
        return [
            (record["step"], np.array(curve, float))
            for record in self.records
            if (curve := record.get("gradient_by_lag", {}).get(layer)) is not None
        ]


class RunFile:
    """A file that :class:`unitcircle.monitor.JsonLines` writes; each :meth:`read` parses only what is new.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._reset()

    def _reset(self) -> None:
        self._position, self._file = 0, 0
        # Two monitors may write to one file in turns.
        self._runs: dict[str, dict[int, dict[str, Any]]] = {}
        self._run = ""
        self._unreadable = 0

    def read(self) -> MonitoredRun:
        """Return the run that the last line of the file belongs to.

        Returns
        -------
        MonitoredRun
            Its records by step; if a resumed run wrote a step twice, the later one.

        Raises
        ------
        ArgumentError
            The file cannot be read, or holds no record.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size < self._position or status.st_ino != self._file:  # another file by this name
                    self._reset()
                    self._file = status.st_ino
                file.seek(self._position)
                new = file.read()
        except OSError as error:
            raise ArgumentError("path", "must be a file that can be read", f"{self.path} ({error.strerror})") from error
        # A line that has no end yet is read again next time.
        complete = new.rfind(b"\n") + 1
        self._position += complete
        for line in new[:complete].split(b"\n"):
            self._add(line.decode(errors="replace"))
        rest = new[complete:].decode(errors="replace").strip()
        if not self._runs:
            arrived = f"{self.path}, whose {self._unreadable} lines are none"
            raise ArgumentError("path", "must hold records of a monitor, one JSON object per line", arrived)
        by_step = self._runs[self._run]
        records = [by_step[step] for step in sorted(by_step)]
        return MonitoredRun(self.path, records, self._unreadable + bool(rest), len(self._runs) - 1)

    def _add(self, line: str) -> None:
        if not line.strip():
            return
        record = parse_record(line)
        if record is None:
            self._unreadable += 1
            return
        self._run = str(record.get("run"))
        self._runs.setdefault(self._run, {})[record["step"]] = record


def read_run(path: str | os.PathLike[str], /) -> MonitoredRun:
    """Return the run that the last line of a file belongs to: see :class:`RunFile`."""
    return RunFile(path).read()
