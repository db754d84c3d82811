"""The default sink: one line of JSON per record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import time
from typing import Any

from unitcircle.errors import ArgumentError
from unitcircle.monitor._record import MonitorRecord, Sink, plain

SCHEMA = 1

OneSink = Sink | str | os.PathLike[str]
Sinks = OneSink | Sequence[OneSink]


class JsonLines:
    """Append records to a file, one line of strict JSON each, on disk before the call returns.

    A line holds ``schema``, ``step``, ``time`` (seconds since 1970), ``run`` (an identifier that a resumed monitor
    keeps) and the record, with numbers to 7 digits: about 500 bytes for each watched weight. Eigenvalues and curves by
    lag, which are longer, are written less and less often. A run that resumes from a checkpoint writes some steps
    twice; the later line is valid. If a crash has cut a line short, the next record starts on a new line.

    Parameters
    ----------
    path
        The file, which is created with its folder at the first record.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.monitor import read_run
    >>> with TemporaryDirectory() as folder:
    ...     sink = JsonLines(f"{folder}/run.jsonl")
    ...     sink({"loss": 2.0}, 1)
    ...     sink({"loss": 1.5}, 2)
    ...     run = read_run(sink.path)
    >>> run.steps.tolist(), run.series("loss")[1].tolist()
    ([1, 2], [2.0, 1.5])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __call__(self, record: MonitorRecord, step: int) -> None:
        head = {"schema": SCHEMA, "step": step, "time": round(time(), 3)}
        line = json.dumps(head | plain(record), allow_nan=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for each record: nothing to close, and two processes that append do not cut each other's lines.
        with self.path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            ends_line = True
            if end:
                file.seek(end - 1)
                ends_line = file.read(1) == b"\n"
            file.write((b"" if ends_line else b"\n") + line.encode() + b"\n")


def sinks_of(sinks: Sinks, /) -> list[Sink]:
    """Return one sink or several as a list; a path stands for a file of JSON lines."""
    several: Any = [sinks] if callable(sinks) or isinstance(sinks, str | os.PathLike) else sinks
    functions: list[Sink] = []
    for sink in several if isinstance(several, Iterable) else [several]:
        if not callable(sink) and not isinstance(sink, str | os.PathLike):
            remedy = "TensorBoard(writer), WandB(run) and MLflow() make sinks of loggers; sinks=[] writes nothing."
            raise ArgumentError("sinks", "must be functions (record, step) or paths", repr(sink), remedy)
        functions.append(sink if callable(sink) else JsonLines(sink))
    return functions
