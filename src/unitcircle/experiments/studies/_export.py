"""Tables of a study as files, and asked in SQL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitcircle._files import written_whole
from unitcircle.errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame


def write_table(table: DataFrame, path: str | os.PathLike[str], /) -> Path:
    """Write a table whole, as CSV or Parquet.

    Parameters
    ----------
    table
        Of :func:`study_table` or :func:`curve_table`.
    path
        Ends in ``.csv`` or ``.parquet``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ArgumentError
        Another suffix.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise ArgumentError("path", "must end in .csv or .parquet", repr(str(path)))
    # Before the file: without the package nothing is left behind.
    duckdb = None if suffix == ".csv" else _duckdb("writing Parquet")
    with written_whole(path) as file:
        if duckdb is None:
            file.write(table.to_csv(index=False).encode())
        else:
            with duckdb.connect() as connection:
                connection.register("study", table)
                quoted = file.name.replace("'", "''")
                connection.execute(f"COPY study TO '{quoted}' (FORMAT parquet)")
    return path


def query(sql: str, tables: Mapping[str, DataFrame], /) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask tables in SQL.

    Parameters
    ----------
    sql
        One statement in DuckDB's dialect; it cannot reach files or the network.
    tables
        Name in the statement → table.

    Returns
    -------
    tuple
        Names of the columns, and the rows.

    Raises
    ------
    ArgumentError
        The statement cannot be run; the message is DuckDB's.
    """
    duckdb = _duckdb("SQL")
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("SET enable_external_access = false")
        try:
            found = connection.execute(sql)
            return [column[0] for column in found.description or ()], found.fetchall()
        except duckdb.Error as error:
            raise ArgumentError("sql", "must be a statement that DuckDB can run", str(error)) from error


def _duckdb(purpose: str) -> Any:
    if find_spec("duckdb") is None:
        raise MissingExtraError(purpose, "duckdb", "query")
    import duckdb  # noqa: PLC0415  (an extra)

    return duckdb
