"""The file that a monitor writes, and the runs in it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.monitor._repeated_line import RepeatedLine, quoted
from unitcircle.monitor._run_line import BATCH, COLUMNS, TALLEST, Shape, parse_record

PIECE = 1 << 20
"""Bytes of the file that are read at once."""
REPEATED = 64
"""Most lines that others are compared with."""
OFTEN = 8
"""Lines that are parsed before a pattern is made for those that repeat them, which takes as long as parsing some."""


class Lines(Sequence[Mapping[str, Any]]):
    """The records of one run, by the places of their lines: a record is parsed when it is asked for."""

    def __init__(self, path: Path, starts: np.ndarray) -> None:
        self._path, self._starts = path, starts

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(place, slice):
            return type(self)(self._path, self._starts[place])
        return next(self.at([range(len(self))[place]]))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self.at(range(len(self)))

    def at(self, places: Collection[int], /) -> Iterator[Mapping[str, Any]]:
        """Yield the records at some places."""
        if not len(places):
            return
        with _opened(self._path) as file:
            for place in places:
                file.seek(int(self._starts[place]))
                line = file.readline().rstrip(b"\n").decode(errors="replace")
                if (record := parse_record(line)) is None:
                    raise ArgumentError("path", "must not be rewritten while it is read", str(self._path))
                yield record


@dataclass(frozen=True, eq=False)
class MonitoredRun:
    """One run from a file of JSON lines."""

    path: Path  # The file
    records: Lines  # One a step, in the order of the steps
    steps: np.ndarray  # Of the records
    shapes: np.ndarray  # Of each record the place of its names
    names: Sequence[Shape]  # The names that records have
    kept: Mapping[str, np.ndarray]  # Values of each record, where it has the name
    unreadable: int = 0  # Lines not as a monitor writes them, such as one that a crash has cut short
    others: int = 0  # Other runs in the file

    @property
    def newest(self) -> Mapping[str, Any]:
        """The record of the last step."""
        return self._last_records[len(self.records) - 1]

    @cached_property
    def _last_records(self) -> Mapping[int, Mapping[str, Any]]:
        """Place → record, of the last record of each shape: every latest value is in one of them."""
        places = sorted(self._present.values())
        return dict(zip(places, self.records.at(places), strict=True))

    @cached_property
    def blocks(self) -> list[str]:
        """Names of the watched weights."""
        return self._owners(COLUMNS)

    @cached_property
    def layers(self) -> list[str]:
        """Names of the layers that were measured on a batch."""
        return self._owners(BATCH)

    @cached_property
    def _present(self) -> Mapping[int, int]:
        """The shapes that occur, in the order of their first record, with the place of their last one."""
        shapes, first = np.unique(self.shapes, return_index=True)
        last = len(self.shapes) - 1 - np.unique(self.shapes[::-1], return_index=True)[1]
        return {int(shapes[k]): int(last[k]) for k in np.argsort(first)}

    def _owners(self, metrics: Collection[str]) -> list[str]:
        """Return the weights or layers that have any of these metrics, in the order of their first record."""
        ends = tuple(f"/{metric}" for metric in metrics)
        names = dict.fromkeys(name for shape in self._present for name in self.names[shape].names)
        return list(dict.fromkeys(name.rpartition("/")[0] for name in names if name.endswith(ends) and name[0] != "/"))

    def _places(self, name: str) -> np.ndarray:
        """Return the places of the records that have a name."""
        return np.flatnonzero(np.isin(self.shapes, [k for k in self._present if name in self.names[k].names]))

    def _last(self, names: Collection[str]) -> Mapping[str, Any] | None:
        """Return the last record that has any of these names."""
        places = [place for k, place in self._present.items() if not self.names[k].names.keys().isdisjoint(names)]
        return self._last_records[max(places)] if places else None

    @property
    def batch_step(self) -> int:
        """The step at which a batch was last measured; the run must have :attr:`layers`."""
        record = self._last([f"{layer}/{metric}" for layer in self.layers for metric in BATCH])
        assert record is not None
        return record["step"]

    def latest(self, name: str, /) -> float | None:
        """Return the last value of a number that is not measured every time; None if it never was."""
        record = self._last([name])
        return None if record is None else float(record[name])

    def series(self, name: str, /) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and values of a number, where it was measured."""
        places = self._places(name)
        if name in self.kept:
            values = self.kept[name][places]
        else:
            values = np.array([float(record[name]) for record in self.records.at(places)], float)
        return self.steps[places].astype(float), values

    def several(self, names: Collection[str], /) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the series of several numbers, for which the file is read once."""
        places = np.flatnonzero(
            np.isin(self.shapes, [k for k in self._present if not self.names[k].names.keys().isdisjoint(names)])
        )
        found = {name: (array("d"), array("d")) for name in names}
        for place, record in zip(places, self.records.at(places), strict=True):
            for name in names:
                if name in record:
                    found[name][0].append(self.steps[place])
                    found[name][1].append(float(record[name]))
        return {name: (np.array(steps), np.array(values)) for name, (steps, values) in found.items()}

    @cached_property
    def findings(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Pairs of step and finding, the latest last."""
        records = self.records.at(self._places("findings"))
        return [(record["step"], finding) for record in records for finding in record["findings"]]

    def frames(self, block: str, /) -> list[tuple[int, np.ndarray]]:
        """Return step and eigenvalues ``(n,)`` of a weight, wherever finite ones were computed."""
        return self.frames_of([block])[block]

    def frames_of(self, blocks: Collection[str], /) -> dict[str, list[tuple[int, np.ndarray]]]:
        """Return the frames of several weights, for which the file is read once."""
        frames: dict[str, list[tuple[int, np.ndarray]]] = {block: [] for block in blocks}
        for record in self.records.at(self._places("eigenvalues")):
            for block, found in frames.items():
                pairs = np.array(record["eigenvalues"].get(block, []), float).reshape(-1, 2)
                pairs = pairs[(np.abs(pairs) < TALLEST).all(1)]
                if len(pairs):
                    found.append((record["step"], pairs @ np.array([1, 1j])))
        return frames

    def by_lag(self, layer: str, /) -> list[tuple[int, np.ndarray]]:
        """Return step and log-norm of the gradient by lag ``(T + 1,)`` of a layer, wherever it was kept."""
        return [
            (record["step"], np.array(curve, float))
            for record in self.records.at(self._places("gradient_by_lag"))
            if (curve := record["gradient_by_lag"].get(layer)) is not None
        ]


@dataclass(eq=False)
class _Rows:
    """What is kept of the records of one run, in the order of their lines."""

    starts: array[int] = field(default_factory=lambda: array("q"))
    steps: array[int] = field(default_factory=lambda: array("q"))
    shapes: array[int] = field(default_factory=lambda: array("i"))
    kept: dict[str, array[float]] = field(default_factory=dict[str, "array[float]"])

    def add(self, numbers: array[float], shape: Shape, starts: array[int]) -> None:
        """Keep of records of a shape their places, and of each its step and the numbers that are drawn."""
        width, before = 1 + len(shape.kept), len(self.steps)
        for k, name in enumerate(shape.kept, start=1):
            values = self.kept.get(name)
            if values is None:
                values = self.kept[name] = array("d")
            if len(values) < before:
                values.extend([np.nan] * (before - len(values)))
            values.extend(numbers[k::width])
        self.starts.extend(starts)
        self.steps.extend(map(int, numbers[::width]))
        self.shapes.extend([shape.place] * len(starts))

    def run(self, path: Path, names: Sequence[Shape], unreadable: int, others: int) -> MonitoredRun:
        """Return the run, of each step the record that was written last, in the order of the steps."""
        steps = np.array(self.steps)
        if (np.diff(steps) > 0).all():
            last = slice(None)
        else:
            last = len(steps) - 1 - np.unique(steps[::-1], return_index=True)[1]
            steps = steps[last]
        starts, shapes = (np.array(each)[last] for each in (self.starts, self.shapes))
        kept: dict[str, np.ndarray] = {}
        for name, values in self.kept.items():  # one copy at a time
            whole = np.full(len(self.steps), np.nan)
            whole[: len(values)] = values
            kept[name] = whole[last]
        return MonitoredRun(path, Lines(path, starts), steps, shapes, names, kept, unreadable, others)


@dataclass(eq=False)
class _Known:
    """A line that others may repeat, its run and shape."""

    line: RepeatedLine
    run: str
    shape: Shape
    seen: int = 0  # How often it was repeated and parsed


class RunFile:
    """A file that :class:`unitcircle.monitor.JsonLines` writes; each :meth:`read` parses only what is new.

    Of each record only its place in the file, its step and the numbers that are drawn stay in memory: some tens of
    bytes and 8 for each weight.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.monitor import JsonLines
    >>> with TemporaryDirectory() as folder:
    ...     sink = JsonLines(f"{folder}/run.jsonl")
    ...     file = RunFile(sink.path)
    ...     sink({"loss": 2.0}, 1)
    ...     first = file.read().steps.tolist()
    ...     sink({"loss": 1.5}, 2)  # training goes on
    ...     first, file.read().steps.tolist()
    ([1], [1, 2])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._reset()

    def _reset(self) -> None:
        self._position, self._file = 0, 0
        # Two monitors may write to one file in turns.
        self._runs: dict[str, _Rows] = {}
        self._run = ""
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._unreadable = 0
        # By its texts in quotes, which the run and all names are among.
        self._repeated: dict[tuple[bytes, ...], _Known] = {}
        self._current: _Known | None = None

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
        with _opened(self.path) as file:
            status = os.fstat(file.fileno())
            if status.st_size < self._position or status.st_ino != self._file:  # another file by this name
                self._reset()
                self._file = status.st_ino
            rest = self._read(file)
        if not self._runs:
            arrived = f"{self.path}, whose {self._unreadable} lines are none"
            raise ArgumentError("path", "must hold records of a monitor, one JSON object per line", arrived)
        rows, unreadable = self._runs[self._run], self._unreadable + bool(rest)
        return rows.run(self.path, list(self._shapes.values()), unreadable, len(self._runs) - 1)

    def _read(self, file: BinaryIO) -> bytes:
        """Read the lines that are new; return what has no end yet, and is read again next time."""
        file.seek(self._position)
        rest = b""
        while piece := file.read(PIECE):
            buffer = rest + piece
            place = self._lines(buffer)
            self._position += place
            rest = buffer[place:]
        return rest.strip()

    def _lines(self, buffer: bytes) -> int:
        """Read the whole lines of a piece of the file; return the place after them."""
        place = 0
        while (end := buffer.find(b"\n", place)) >= 0:
            if self._current is not None and (after := self._repeats(buffer, place, self._current)) > place:
                place = after
                continue
            line = buffer[place:end]
            texts = quoted(line)
            known = self._repeated.get(texts)
            if known is not None and known is not self._current and known.seen >= OFTEN:
                self._current = known
                continue
            if known is not None:
                known.seen += 1
            self._add(line, texts, self._position + place, isnew=known is None)
            place = end + 1
        return place

    def _repeats(self, buffer: bytes, place: int, known: _Known) -> int:
        """Read the lines from a place on that repeat one; return the place after them."""
        numbers, ends = known.line.read(buffer, place)
        if not ends:
            return place
        starts = array("q", [self._position + start for start in (place, *ends[:-1])])
        self._run = known.run
        self._runs[known.run].add(numbers, known.shape, starts)
        return ends[-1]

    def _add(self, line: bytes, texts: tuple[bytes, ...], start: int, *, isnew: bool) -> None:
        """Parse a line."""
        text = line.decode(errors="replace")
        if not text.strip():
            return
        record = parse_record(text, self._shapes)
        if record is None:
            self._unreadable += 1
            return
        self._run = str(record.get("run"))
        shape = self._shapes[tuple(record)]
        numbers = array("d", (record["step"], *(float(record[name]) for name in shape.kept)))
        rows = self._runs.setdefault(self._run, _Rows())
        rows.add(numbers, shape, array("q", [start]))
        if isnew and (new := RepeatedLine.of(line, record, shape.kept)) is not None:
            if len(self._repeated) >= REPEATED:
                self._repeated.clear()
            self._repeated[texts] = _Known(new, self._run, shape)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ArgumentError("path", "must be a file that can be read", f"{path} ({error.strerror})") from error


def read_run(path: str | os.PathLike[str], /) -> MonitoredRun:
    """Return the run that the last line of a file belongs to: see :class:`RunFile`.

    Returns
    -------
    MonitoredRun
        Its records by step.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.monitor import JsonLines
    >>> with TemporaryDirectory() as folder:
    ...     sink = JsonLines(f"{folder}/run.jsonl")
    ...     sink({"loss": 2.0}, 1)
    ...     read_run(sink.path).newest["loss"]
    2.0
    """
    return RunFile(path).read()
