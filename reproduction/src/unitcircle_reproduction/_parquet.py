"""The committed records of all contests in one Parquet file: a row a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from unitcircle.report import written_whole

SHIPPED = Path(__file__).with_name("records") / "records.parquet"
RUN, ARRAYS, TRANSITION = "run", "arrays", "transition"
"""Kinds of rows: the record of a run, arrays that were measured, and a reported run of a contest of transitions."""
COLUMNS = {
    "kind": "VARCHAR",
    "repetition": "VARCHAR",
    "contest": "VARCHAR",
    "file": "VARCHAR",
    "label": "VARCHAR",
    "task": "VARCHAR",
    "cell": "VARCHAR",
    "law": "VARCHAR",
    "bias": "VARCHAR",
    "seed": "INTEGER",
    "rate": "DOUBLE",
    "at_edge": "BOOLEAN",
    "chooses_rate": "BOOLEAN",
    "status": "VARCHAR",
    "message": "VARCHAR",
    "score": "DOUBLE",
    "steps_to_threshold": "DOUBLE",
    "loss": "DOUBLE",
    "dimension": "DOUBLE",
    "record": "VARCHAR",
    "arrays": "BLOB",
}
"""Name → type; what each means is in the data card beside the file."""
_ORDER = ("kind", "repetition", "contest", "file", "label", "law", "seed")


@cache
def read(path: Path = SHIPPED, /) -> tuple[dict[str, Any], ...]:
    """Return the rows of a file that :func:`write` wrote; none where there is no file."""
    if not path.exists():
        return ()
    with duckdb.connect() as connection:
        # In the order of the file, of which the labels of a page are taken.
        connection.execute("SET threads = 1")
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        return tuple(dict(zip(COLUMNS, row, strict=True)) for row in found.fetchall())


def write(rows: Iterable[Mapping[str, Any]], path: Path, /) -> None:
    """Write rows, sorted, with nothing where a row lacks a column; the same bytes for the same rows."""
    values = [tuple(row.get(name) for name in COLUMNS) for row in rows]
    schema, marks = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items()), ", ".join("?" * len(COLUMNS))
    with written_whole(path) as file, duckdb.connect() as connection:
        connection.execute(f"SET threads = 1; CREATE TABLE runs ({schema})")
        if values:
            connection.executemany(f"INSERT INTO runs VALUES ({marks})", values)
        target = file.name.replace("'", "''")
        connection.execute(
            f"COPY (SELECT * FROM runs ORDER BY {', '.join(_ORDER)}) TO '{target}' "
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
        )
    read.cache_clear()
