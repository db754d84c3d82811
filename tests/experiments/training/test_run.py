"""The configuration of a run and its key."""

from dataclasses import replace

import pytest

from unitcircle.errors import ArgumentError, UnknownNameError
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
    assert RUN.key == "6d21e605f6de2266"


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
    with pytest.raises(ArgumentError, match="today's protocol"):
        Record.from_dict(values | {"key": "0" * 16})
    with pytest.raises(ArgumentError, match="schema"):
        Record.from_dict(values | {"schema": 0})
    (tmp_path / "torn.json").write_text('{"schema": 1')
    with pytest.raises(ArgumentError, match="must be a record of a run"):
        Record.read(tmp_path / "torn.json")
