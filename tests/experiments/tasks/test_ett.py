"""The oil temperature on a file made here, and on the published one where it is."""

from pathlib import Path

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Ett, Task

SHARED = Path(__file__).parents[4] / "shared" / "data" / "timeseries"
HEADER = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
HOURS = 14_400
EPS = float(np.finfo(np.float32).eps)


@pytest.fixture(scope="module")
def table():
    return np.round(np.random.default_rng(0).normal(size=(HOURS, 7)) * range(1, 8) + 5, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("ett")
    lines = [HEADER, *(f"2016-07-01 00:00:00,{','.join(map(str, row))}" for row in table.tolist())]
    (folder / "ETTh1.csv").write_text("\n".join(lines) + "\n")
    return folder


def scaled(table):
    return (table - table[:8640].mean(0)) / table[:8640].std(0)


def test_windows_are_followed_by_their_answers_in_the_right_months(folder, table):
    task = Ett(str(folder), length=5, horizon=3)
    series = scaled(table)
    place = {tuple(row): hour for hour, row in enumerate(series.astype(np.float32))}
    for batch, first, last in [
        (task.sample(np.random.default_rng(0), 2000), 5, 8640),
        *((batch, 8640, 11520) for batch in task.held_out("validation")),
        *((batch, 11520, 14400) for batch in task.held_out("test")),
    ]:
        for x, y in zip(batch.inputs.swapaxes(0, 1), batch.targets, strict=True):
            hour = place[tuple(x[0])]
            assert first <= hour + 5 <= last - 3
            np.testing.assert_allclose(x, series[hour : hour + 5], rtol=4 * EPS, atol=4 * EPS)
            np.testing.assert_allclose(y, series[hour + 5 : hour + 8, -1], rtol=4 * EPS, atol=4 * EPS)
    # As many as there are places for an answer of three hours.
    assert [sum(map(len, task.held_out(split))) for split in ("validation", "test")] == [2878, 2878]


def test_repeating_the_last_temperature_is_the_baseline(folder, table):
    task = Ett(str(folder), length=5, horizon=2)
    oil = scaled(table)[:, -1]
    errors = [(oil[hour - 1] - oil[hour : hour + 2]) ** 2 for hour in range(11520, 14399)]
    assert task.baseline == pytest.approx(np.mean(errors), rel=20 * EPS)  # 6,000 squares in single precision


def test_a_folder_or_its_file_is_read_and_its_content_is_a_part_of_the_task(folder, tmp_path):
    by_folder, by_file = Ett(str(folder)), Ett(str(folder / "ETTh1.csv"))
    assert by_folder.digest == by_file.digest
    assert by_folder.identity == by_file.identity
    assert str(folder) not in by_file.identity
    assert Ett(str(folder), length=5).identity != by_folder.identity
    assert Task.parse(str(by_folder)) == by_folder
    copy = tmp_path / "ETTh1.csv"
    copy.write_text((folder / "ETTh1.csv").read_text())
    task = Ett(str(copy))
    with copy.open("a") as file:
        file.write("2016-07-01 00:00:00,0,0,0,0,0,0,0\n")
    with pytest.raises(ArgumentError, match=f"whose digest is {task.digest}"):
        task.sample(np.random.default_rng(0), 1)


def test_misuse_is_named(folder, tmp_path):
    with pytest.raises(ArgumentError, match=r"path must name ETTh1\.csv.*; got none"):
        Ett()
    with pytest.raises(ArgumentError, match=r"ETTh1\.csv.*No such file"):
        Ett(str(tmp_path))
    for values in ({"length": 0}, {"horizon": 0}, {"length": 8640}):
        with pytest.raises(ArgumentError, match="length and horizon must be at least 1 hour each"):
            Ett(str(folder), **values)
    with pytest.raises(ArgumentError, match="horizon must be at most 2880 hours"):
        Ett(str(folder), horizon=2881)
    for content, message in [
        ("time,OT\n", f"must begin with the line {HEADER}"),
        (f"{HEADER}\n2016,1,2,3,4,5,6,7\n", "must hold 14400 hours; got 1"),
        (f"{HEADER}\n2016,1,2,3,4,5,6,warm\n", "must hold a date and seven numbers a line"),
    ]:
        (tmp_path / "other.csv").write_text(content)
        with pytest.raises(ArgumentError, match=message):
            Ett(str(tmp_path / "other.csv")).sample(np.random.default_rng(0), 1)


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of published series is not here")
def test_the_published_file_is_read():
    task = Ett(str(SHARED))
    assert sum(map(len, task.held_out("test"))) == 2880 - 24 + 1
    assert 0.02 < task.baseline < 0.06
