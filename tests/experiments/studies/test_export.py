"""Tables as files, and asked in SQL."""

import math

import pandas as pd
import pytest
from tests.study_records import finder, record, study

from unitcircle.errors import ArgumentError, MissingExtraError
from unitcircle.experiments.studies import _export, curve_table, query, study_table, write_table
from unitcircle.experiments.training import Status

duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def table():
    planned = study(seeds=2)
    records = finder(planned, lambda label, run: record(run, 0.25 + run.seed / 2, steps=math.inf if run.seed else 300))
    return study_table(records.values(), study=planned)


def test_csv_reads_back(table, tmp_path):
    path = write_table(table, tmp_path / "new" / "runs.csv")
    back = pd.read_csv(path)
    assert list(back.columns) == list(table.columns)
    assert back["test_score"].tolist() == table["test_score"].tolist()
    assert back["steps_to_threshold"].tolist() == table["steps_to_threshold"].tolist()
    assert math.inf in back["steps_to_threshold"].tolist()


def test_parquet_reads_back(table, tmp_path):
    path = write_table(table, tmp_path / "it's.parquet")
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT label, seed, steps_to_threshold FROM read_parquet(?)", [str(path)]
        ).fetchall()
    columns = (table[name].tolist() for name in ("label", "seed", "steps_to_threshold"))
    assert found == list(zip(*columns, strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["it's.parquet"]


def test_another_suffix_is_refused(table, tmp_path):
    with pytest.raises(ArgumentError, match=r"\.csv or \.parquet"):
        write_table(table, tmp_path / "runs.xlsx")


def test_a_suffix_in_capitals_is_the_same_format(table, tmp_path):
    assert write_table(table, tmp_path / "RUNS.CSV").read_bytes() == write_table(table, tmp_path / "a.csv").read_bytes()


def test_without_duckdb_parquet_names_the_extra_and_leaves_no_file(table, tmp_path, monkeypatch):
    monkeypatch.setattr(_export, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"unitcircle\[query\]"):
        write_table(table, tmp_path / "runs.parquet")
    assert not list(tmp_path.iterdir())


def test_sql_over_the_table(table):
    sql = "SELECT label, avg(test_score) AS score FROM runs WHERE stage = 'reported' GROUP BY label ORDER BY label"
    columns, rows = query(sql, {"runs": table})
    assert columns == ["label", "score"]
    assert rows == [(label, 0.5) for label in ("A", "A (again)", "B", "C")]


@pytest.mark.parametrize(
    "sql", ["SELECT nothing FROM runs", "SELECT * FROM read_csv('/etc/hosts')", "COPY runs TO 'x.csv'"]
)
def test_sql_that_cannot_or_must_not_run(sql, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="sql must be a statement"):
        query(sql, {"runs": table})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table_of", [study_table, curve_table])
def test_a_table_without_rows_has_columns(table_of, tmp_path):
    empty = table_of([], study=study())
    assert list(empty.columns[:3]) == ["key", "label", "stage"]
    assert len(pd.read_csv(write_table(empty, tmp_path / "runs.csv"))) == 0
    write_table(empty, tmp_path / "runs.parquet")
    sql = "SELECT count(*) FROM runs WHERE seed = 3 AND learning_rate > 0.1"
    assert query(sql, {"runs": empty})[1] == [(0,)]


def test_where_every_run_failed_curves_can_be_asked_too():
    planned = study(seeds=2)
    records = finder(planned, lambda label, run: record(run, 0.0, status=Status.FAILED)).values()
    tables = {"runs": study_table(records, study=planned), "curves": curve_table(records, study=planned)}
    assert query("SELECT (SELECT count(*) FROM runs), (SELECT max(step) FROM curves)", tables)[1] == [(8, None)]
