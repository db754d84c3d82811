"""Tables of a study written to files and queried in SQL."""

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
    """Write a table as CSV or Parquet, atomically.

    Parameters
    ----------
    table
        The result of :func:`study_table` or :func:`curve_table`.
    path
        A name that ends in ``.csv`` or ``.parquet``.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    ArgumentError
        The suffix is another one.
    MissingExtraError
        duckdb, which writes Parquet, is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = write_table(pd.DataFrame({"seed": [0, 1], "test_score": [0.1, 0.2]}), f"{folder}/study.csv")
    ...     text = path.read_text(encoding="utf-8")
    >>> text.splitlines()
    ['seed,test_score', '0,0.1', '1,0.2']
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise ArgumentError("path", "must end in .csv or .parquet", repr(str(path)))
    # Before the file is opened, so that none is left behind if the package is missing.
    duckdb = None if suffix == ".csv" else _import_duckdb("writing Parquet")
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
    """Query tables in SQL.

    Parameters
    ----------
    sql
        One statement in DuckDB's dialect; it has no access to files or the network.
    tables
        Name in SQL → table.

    Returns
    -------
    tuple
        Names of the columns and list of rows.

    Raises
    ------
    ArgumentError
        DuckDB refuses the statement; its message is quoted.
    MissingExtraError
        duckdb is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"label": ["a", "a", "b"], "test_score": [1.0, 3.0, 5.0]})
    >>> query("SELECT label, avg(test_score) AS mean FROM runs GROUP BY label ORDER BY label", {"runs": runs})
    (['label', 'mean'], [('a', 2.0), ('b', 5.0)])
    """
    duckdb = _import_duckdb("SQL")
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("SET enable_external_access = false")
        try:
            result = connection.execute(sql)
            return [column[0] for column in result.description or ()], result.fetchall()
        except duckdb.Error as error:
            raise ArgumentError("sql", "must be a statement that DuckDB can run", str(error)) from error


def _import_duckdb(purpose: str) -> Any:
    if find_spec("duckdb") is None:
        raise MissingExtraError(purpose, "duckdb", "query")
    import duckdb  # noqa: PLC0415  (an extra)

    return duckdb
