"""The folder of records: found, merged, and never harmed by what else lies there."""

import json
import math
import shutil

import pytest

pytest.importorskip("torch")

from unitcircle.experiments.studies import Store
from unitcircle.experiments.training import Record, Run, Status


def run(seed=0, **options):
    return Run("adding(length=10)", "tanh(size=4)", "orthogonal", seed=seed, **options)


def record(seed=0, status=Status.FINISHED):
    return Record(run(seed), status, summary={"test_score": seed + 0.5, "steps_to_threshold": math.inf})


def test_a_record_is_found_by_its_run(tmp_path):
    store = Store(tmp_path)
    assert store.get(run()) is None
    store.write(record())
    for found in (store.get(run()), Store(tmp_path).get(run())):
        assert found.run == run()
        assert found.summary == {"test_score": 0.5, "steps_to_threshold": math.inf}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"{run().key}.json"]


def test_another_protocol_is_another_run(tmp_path):
    Store(tmp_path).write(record())
    assert Store(tmp_path).get(run(steps=999)) is None


def test_a_record_written_by_someone_else_is_seen_later(tmp_path):
    store = Store(tmp_path)
    assert store.get(run()) is None
    record().write(tmp_path / "runs")
    assert store.get(run()).status is Status.FINISHED


def test_folders_merge_by_copying(tmp_path):
    for seed in range(4):
        Store(tmp_path / f"machine{seed % 2}").write(record(seed))
    for name in ("machine0", "machine1"):
        shutil.copytree(tmp_path / name, tmp_path / "all", dirs_exist_ok=True)
    store = Store(tmp_path / "all")
    assert [found.run.seed for found in store.records([run(seed) for seed in range(6)])] == [0, 1, 2, 3]
    # Without a list of runs they come in the order of their keys, on every file system.
    assert [found.run.key for found in store.records()] == sorted(run(seed).key for seed in range(4))
    assert not store.problems


def test_damaged_and_foreign_files_are_reported_and_left_alone(tmp_path):
    Store(tmp_path).write(record())
    runs = tmp_path / "runs"
    good = (runs / f"{run().key}.json").read_text()
    (runs / f"{run(1).key}.json").write_text(good[: len(good) // 2])
    (runs / f"{run(2).key}.json").write_text(good)
    (runs / f"{run(3).key}.json").write_text(json.dumps(json.loads(good) | {"schema": 0}))
    (runs / "notes.txt").write_text("mine")
    (runs / ".half.json.tmp").write_text("being written")
    before = {path: path.read_bytes() for path in runs.iterdir()}

    store = Store(tmp_path)
    assert [store.get(run(seed)) is not None for seed in range(4)] == [True, False, False, False]
    assert {path.name for path in store.problems} == {f"{run(seed).key}.json" for seed in (1, 2, 3)}
    assert [found.run for found in store.records()] == [run()]
    assert store.problems[runs / "notes.txt"] == "does not have the name of a record, <key>.json"
    assert "schema" in store.problems[runs / f"{run(3).key}.json"]
    assert run().key in store.problems[runs / f"{run(2).key}.json"]
    assert {path: path.read_bytes() for path in runs.iterdir()} == before

    store.write(record(1))
    assert runs / f"{run(1).key}.json" not in store.problems
    assert Store(tmp_path).get(run(1)).run == run(1)


def _changed(name, value):
    return lambda good: good | {name: value}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda good: [], "record must be an object; got list"),
        (lambda good: None, "record must be an object; got NoneType"),
        (lambda good: {"schema": 1}, "without 'run'"),
        (_changed("run", []), "run must be an object; got list"),
        (_changed("run", {"task": 3, "cell": None, "recurrent": []}), "must be a record of a run"),
        (_changed("summary", [1]), "summary must be an object; got list"),
        (_changed("curves", {"step": 3}), "curves must be an array; got int"),
        (_changed("diagnostics", [3]), "diagnostics must be an object; got int"),
        (_changed("environment", "here"), "environment must be an object; got str"),
        (_changed("message", 3), "message must be a text; got int"),
        (_changed("status", "well"), "'well' is not a valid Status"),
    ],
)
def test_any_json_but_a_record_counts_as_not_there(change, said, tmp_path):
    Store(tmp_path).write(record())
    path = tmp_path / "runs" / f"{run().key}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    store = Store(tmp_path)
    assert store.get(run()) is None
    assert said in store.problems[path]
    assert list(store.records()) == []


def test_json_of_any_depth_counts_as_not_there(tmp_path):
    Store(tmp_path).write(record())
    path = tmp_path / "runs" / f"{run().key}.json"
    path.write_text("[" * 100_000)
    assert Store(tmp_path).get(run()) is None


def test_a_record_is_taken_for_its_run_only_if_the_file_says_so(tmp_path):
    Store(tmp_path).write(record())
    path = tmp_path / "runs" / f"{run().key}.json"
    expected = run()
    assert Record.read(path, expected=expected).run is expected
    assert Record.read(path, expected=run(1)).run == run()
    (tmp_path / "runs" / f"{run(1).key}.json").write_text(path.read_text())
    store = Store(tmp_path)
    assert store.get(run(1)) is None
    assert "holds the record of another run" in next(iter(store.problems.values()))
