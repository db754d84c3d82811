"""The configuration of a run and its key."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments.studies import Store
from unitcircle.experiments.tasks import from_data
from unitcircle.experiments.training import Record, Run, Status

RUN = Run("adding(length=20)", "tanh", "orthogonal")

CHANGES = {
    "task": "adding(length=21)", "cell": "relu", "recurrent": "identity", "bias": "constant(value=0.5)",
    "input": "lecun_normal", "input_scale": 2.0, "readout": "zeros", "optimizer": "sgd", "learning_rate": 0.1,
    "momentum": 0.5, "weight_decay": 0.1, "batch_size": 2, "steps": 5, "evaluate_every": 7, "clip": None, "omega": 1.0,
    "norm_stabilizer": 1.0, "soft_orthogonality": 1.0, "patience": 3, "measure_at": (), "precision": "float64",
    "device": "cuda", "seed": 1, "twin": 1,
}  # fmt: skip


def test_the_table_of_changes_names_every_attribute():
    assert CHANGES.keys() == RUN.to_dict().keys()


@pytest.mark.parametrize("name", CHANGES)
def test_every_attribute_is_part_of_the_key(name):
    assert replace(RUN, **{name: CHANGES[name]}).key != RUN.key


def test_the_key_is_the_same_on_every_machine():
    # Changes when a default of a run, the protocol or the text of a specification changes: then old results are stale.
    assert RUN.key == "f7f49328f0dfdd5b"


@pytest.mark.parametrize(
    ("task", "key"),
    [
        ("copying", "06c6b36a1d02a700"),
        ("deep_linear_map(size=5, answers=2)", "0724e0f9467cfdfc"),
        ("delayed_digits", "db6af7a1c1106b2f"),
        ("digits", "b1de6b09aaa09f06"),
        ("mackey_glass", "db58e3c4d6086857"),
        ("mnist", "12823dca6bf21c5f"),
        ("mnist(permuted=true, folder='/data')", "d3dc75da1e03e772"),
        ("multi30k(vocabulary=400)", "4d93142af74486d0"),
        ("tomita(grammar=3)", "734a12fb3926fbf5"),
        ("ett(path='/nowhere', digest='0123456789abcdef')", "651897d04ab52ecf"),
        ("character_language_model(path='/nowhere', digest='0123456789abcdef')", "eea28b013f777e62"),
        ("module(factory='not_there:build', digest='0123456789abcdef')", "a87702239446ccda"),
    ],
)
def test_the_key_of_a_task_stays(task, key):
    assert Run(task, "tanh", "orthogonal").key == key


def test_the_key_of_own_data_stays(tmp_path, monkeypatch):
    part = np.arange(24.0).reshape(3, 4, 2), np.arange(3.0)
    task = from_data(part, part, part, baseline=1.0, threshold=0.25)
    assert Run(str(task), "tanh", "orthogonal").key == "7f49245dfa9d9630"
    (tmp_path / "fixed_task.py").write_text(
        "import numpy as np\n"
        "from unitcircle.experiments.tasks import Adding, from_data\n"
        "def arrays():\n"
        "    part = np.arange(24.0).reshape(3, 4, 2), np.arange(3.0)\n"
        "    return from_data(part, part, part, baseline=1.0, threshold=0.25)\n"
        "def adding():\n"
        "    return Adding(length=7)\n"
    )
    monkeypatch.chdir(tmp_path)
    for function, key in (("arrays", "c13581883f2e947c"), ("adding", "4b6cb27d8d1103c4")):
        assert Run(f"module(factory='fixed_task:{function}')", "tanh", "orthogonal").key == key


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("lstm", "e2e8e15065cb5af1"),
        ("gru", "0ba80c99f7feacfc"),
        ("leaky", "120d5e027606a884"),
        ("orthogonal", "db2c4bb2e00a660f"),
        ("unitary_evolution", "ede109e98065917b"),
        ("stack", "c50f8e4f9b01dd41"),
    ],
)
def test_the_key_of_a_cell_stays(cell, key):
    assert Run("adding", cell, "eigen").key == key


def test_one_meaning_has_one_key():
    assert replace(RUN, recurrent=" orthogonal( gain = 1.0 )", cell="rnn(size=64)", clip=1).key == RUN.key


def test_a_run_survives_its_dictionary():
    for name, value in CHANGES.items():
        run = replace(RUN, **{name: value})
        assert Run.from_dict(run.to_dict()) == run
    with pytest.raises(UnknownNameError, match="attribute of a run"):
        Run.from_dict(RUN.to_dict() | {"lr": 1.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"clip": -1.0}, "clip must be positive"),
        ({"optimizer": "lion"}, "optimizer must be one of"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"task": "addition"}, "Did you mean 'adding'"),
        ({"cell": "tanhh"}, "Did you mean 'tanh'"),
        ({"recurrent": "orthogonl"}, "Did you mean 'orthogonal'"),
    ],
)
def test_bad_configurations_are_refused_in_words(options, message):
    with pytest.raises(ArgumentError, match=message):
        replace(RUN, **options)


def test_a_record_of_another_protocol_or_no_record_is_refused(tmp_path):
    values = Record(RUN, Status.FINISHED).to_dict()
    with pytest.raises(ArgumentError, match="current protocol"):
        Record.from_dict(values | {"key": "0" * 16})
    with pytest.raises(ArgumentError, match="schema"):
        Record.from_dict(values | {"schema": 0})
    (tmp_path / "torn.json").write_text('{"schema": 1')
    with pytest.raises(ArgumentError, match="must be a record of a run"):
        Record.read(tmp_path / "torn.json")


def test_the_same_data_at_two_places_have_one_key_and_other_data_another(tmp_path):
    first, second = tmp_path / "a" / "text.txt", tmp_path / "elsewhere.txt"
    first.parent.mkdir()
    first.write_text("as it is " * 300)
    second.write_text(first.read_text())

    def run(path):
        return Run(f"character_language_model(path={str(path)!r}, length=9)", "tanh(size=4)", "orthogonal")

    one, two = run(first), run(second)
    assert one.key == two.key
    assert one.task != two.task
    # Every process and every machine reads its own path, and a record the path that it was made from.
    for each in (one, two):
        again = Run.from_dict(json.loads(json.dumps(each.to_dict())))
        assert (again, again.key) == (each, one.key)
        assert pickle.loads(pickle.dumps(each)) == each
    first.write_text("as it was " * 300)
    assert run(first).key != one.key
    # What has been made of the old content keeps its name, though the file has another one now.
    assert Run.from_dict(one.to_dict()).key == one.key
    first.unlink()
    assert Run.from_dict(one.to_dict()).key == one.key


def test_a_record_of_another_machine_is_found_by_the_run_of_this_one(tmp_path):
    for name in ("here.txt", "there.txt"):
        (tmp_path / name).write_text("word after word " * 200)
    here, there = (
        Run(f"character_language_model(path={str(tmp_path / name)!r}, length=9)", "tanh(size=4)", "orthogonal")
        for name in ("here.txt", "there.txt")
    )
    store = Store(tmp_path / "out")
    store.write(Record(there, Status.FINISHED, summary={"test_score": 2.5}))
    (tmp_path / "there.txt").unlink()
    found = Store(tmp_path / "out").get(here)
    assert found.run == there
    assert found.summary["test_score"] == 2.5


@pytest.mark.parametrize("task", ["mnist", "multi30k"])
def test_where_checked_files_lie_is_no_part_of_the_key(task):
    here, there = (Run(f"{task}(folder='{place}')", "tanh", "orthogonal") for place in ("/here", "/there"))
    assert here.key == there.key == Run(task, "tanh", "orthogonal").key
    assert here.task != there.task
