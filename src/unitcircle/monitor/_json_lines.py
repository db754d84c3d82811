"""The default sink: one line of JSON a record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import time
from typing import Any

from unitcircle.errors import ArgumentError
from unitcircle.monitor._record import Record, Sink, plain

SCHEMA = 1

OneSink = Sink | str | os.PathLike[str]
Sinks = OneSink | Sequence[OneSink]


class JsonLines:
    """Append records to a file, one line of strict JSON each, on disk before the call returns.

    A line holds ``schema``, ``step``, ``time`` (seconds since 1970), ``run`` (the same for all that one monitor writes,
    resumed or not) and the record, numbers to 7 digits: some 500 bytes for each watched weight; eigenvalues and curves
    by lag, which are longer, come ever more seldom. A run that goes on from a checkpoint writes some steps twice: the
    later line counts. A line that a crash has cut short is ended before the next is written.

    Parameters
    ----------
    path
        The file; it is made, with its folder, when the first record comes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __call__(self, record: Record, step: int) -> None:
        head = {"schema": SCHEMA, "step": step, "time": round(time(), 3)}
        line = json.dumps(head | plain(record), allow_nan=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for each record: nothing to close, and two processes that append do not cut each other's lines.
        with self.path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            whole = True
            if end:
                file.seek(end - 1)
                whole = file.read(1) == b"\n"
            file.write((b"" if whole else b"\n") + line.encode() + b"\n")


def sinks_of(sinks: Sinks, /) -> list[Sink]:
    """Return one sink or several as a list; a path stands for a file of JSON lines."""
    several: Any = [sinks] if callable(sinks) or isinstance(sinks, str | os.PathLike) else sinks
    found: list[Sink] = []
    for sink in several if isinstance(several, Iterable) else [several]:
        if not callable(sink) and not isinstance(sink, str | os.PathLike):
            remedy = "TensorBoard(writer), WandB(run) and MLflow() make sinks of loggers; sinks=[] is none."
            raise ArgumentError("sinks", "must be functions (record, step) or paths", repr(sink), remedy)
        found.append(sink if callable(sink) else JsonLines(sink))
    return found
