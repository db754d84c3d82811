"""The committed records of the contests of transitions: one row a run, from which their pages are computed again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unitcircle.report import written_whole
from unitcircle_reproduction import _parquet
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._transition import BATCH, SEEDS, Memory, contest

OWN = "transitions.csv"
"""Where a run writes its own rows."""


class Entry(NamedTuple):
    """One reported run."""

    protocol: str  # What the runs of a contest share: task, units, steps, batch, rates
    label: str  # Of the transition in its contest
    law: str  # Its specification
    seed: int
    rate: float
    at_edge: bool  # Whether that is the smallest or largest rate that was tried
    loss: float  # On held-out data; inf where the run diverged
    dimension: float  # Effective dimension of the last states before training


def protocol(task: Memory, /) -> str:
    """Return what the runs of a contest share, in words: a contest of another protocol has other records."""
    rates = "/".join(f"{rate:g}" for rate in task.rates)
    plain = f"{task.name}: {task.units} units, {task.steps} steps of {BATCH}, rates {rates}"
    descent = "" if task.descent == "adam" else f", {task.descent}"
    return plain + descent + ("" if task.clip == 1 else f", clipped at {task.clip:g}")


def entries_of(
    task: Memory, laws: Mapping[str, str], first_seed: int, found: Mapping[str, np.ndarray], /
) -> list[Entry]:
    """Return the rows of a contest."""
    return [
        Entry(
            protocol(task),
            label,
            law,
            first_seed + s,
            float(found["rates"][k]),
            bool(found["edge"][k]),
            float(loss),
            float(found["dimensions"][k, s]),
        )
        for k, (label, law) in enumerate(laws.items())
        for s, loss in enumerate(found["scores"][k])
    ]


def arrays_of(
    entries: Sequence[Entry], task: Memory, laws: Mapping[str, str], first_seed: int, /
) -> dict[str, np.ndarray]:
    """Return the arrays of a contest from its rows; nothing where a law or a seed is missing."""
    known: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        if entry.protocol == protocol(task) and first_seed <= entry.seed < first_seed + SEEDS:
            known.setdefault(entry.law, {})[entry.seed] = entry
    rows = [sorted(known.get(law, {}).items()) for law in laws.values()]
    if not rows or any([seed for seed, _ in row] != list(range(first_seed, first_seed + len(rows[0]))) for row in rows):
        return {}
    if not rows[0]:
        return {}
    first = [row[0][1] for row in rows]
    return {
        "scores": np.array([[entry.loss for _, entry in row] for row in rows]),
        "rates": np.array([entry.rate for entry in first]),
        "edge": np.array([entry.at_edge for entry in first]),
        "dimensions": np.array([[entry.dimension for _, entry in row] for row in rows]),
    }


def contests(
    context: Context, name: str, tasks: Iterable[Memory], laws: Mapping[str, str], /
) -> dict[str, dict[str, np.ndarray]]:
    """Return name of a task → the arrays of its contest: committed rows, the others trained and kept under a name."""
    # All rows are written to transitions.csv in the folder of the context, in the form of the committed ones.
    found = {task.name: _contest(context, name, task, laws) for task in tasks}
    path = context.folder / OWN
    new = [entry for task in tasks for entry in entries_of(task, laws, context.first_seed, found[task.name])]
    write(merged(read(path), new), path)
    return found


def _contest(context: Context, name: str, task: Memory, laws: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of one contest; a law is trained by itself, so that others can be added to it later."""
    first = context.first_seed
    rows = {label: arrays_of(committed(), task, {label: law}, first) for label, law in laws.items()}
    if missing := {label: laws[label] for label, arrays in rows.items() if not arrays}:
        trained = context.kept(
            name,
            (protocol(task), tuple(missing.items()), first),
            lambda: contest(task, tuple(missing.values()), first),
        )
        rows |= {label: {key: part[k : k + 1] for key, part in trained.items()} for k, label in enumerate(missing)}
    return {key: np.concatenate([rows[label][key] for label in laws]) for key in next(iter(rows.values()))}


def merged(*parts: Iterable[Entry]) -> list[Entry]:
    """Return rows of several files, each run once, by its first label."""
    known: dict[tuple[str, str, int], Entry] = {}
    for entry in (entry for part in parts for entry in part):
        known.setdefault((entry.protocol, entry.law, entry.seed), entry)
    return list(known.values())


def write(entries: Sequence[Entry], path: Path, /) -> None:
    """Write rows as CSV, whole: every number in full, so that it is read back as it was."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Entry._fields)
    rows.writerows([int(value) if isinstance(value, bool) else value for value in entry] for entry in entries)
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


@cache
def committed(path: Path = _parquet.SHIPPED, /) -> tuple[Entry, ...]:
    """Return the rows of contests of transitions in the committed file."""
    rows = [row for row in _parquet.read(path) if row["kind"] == _parquet.TRANSITION]
    return tuple(Entry(row["contest"], *(row[name] for name in Entry._fields[1:])) for row in rows)


def columns(entry: Entry, /) -> dict[str, Any]:
    """Return a row of the committed file."""
    return {"kind": _parquet.TRANSITION, "contest": entry.protocol} | dict(
        zip(Entry._fields[1:], entry[1:], strict=True)
    )


def read(path: Path, /) -> tuple[Entry, ...]:
    """Return the rows of a file that :func:`write` wrote; none where there is no file."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Entry(
                row["protocol"],
                row["label"],
                row["law"],
                int(row["seed"]),
                float(row["rate"]),
                row["at_edge"] == "1",
                float(row["loss"]),
                float(row["dimension"]),
            )
            for row in csv.DictReader(file)
        )
