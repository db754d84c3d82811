"""A task that a module in the working directory makes."""

import copy
import hashlib
import pickle
import sys

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Mnist, OwnData, OwnModule, Task, _own_data, _own_module
from unitcircle.experiments.training import Run, train

SOURCE = """
import itertools
import os
from dataclasses import dataclass
import numpy as np
from unitcircle.experiments.tasks import Adding, Mnist, Translation, from_data

def arrays(shift=0.0):
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(8, 4, 2)), rng.normal(size=8) + shift) for _ in range(3)]
    return from_data(*parts, baseline=1.0, threshold=0.25)

def changed():
    return arrays(1.0)

def adding():
    return Adding(length=7)

def placed():
    return Mnist(folder=os.environ["PLACE"])

def number():
    return 3

def leaving():
    raise SystemExit(0)

def failing():
    raise KeyError("no data")

def median(targets, answers):
    return float(np.median(abs(targets - answers)))

def by_median():
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(count, 4, 2)), rng.normal(size=count)) for count in (8, 70, 70)]
    return from_data(*parts, metric=median, higher_is_better=False)

@dataclass(frozen=True)
class Echo(Translation):
    name = "echo_for_tests"

    vocabulary: int = 400

    def sentences(self, part, /):
        colours = [" ".join(words) + "." for words in itertools.product(("red", "green", "blue"), repeat=3)]
        return colours, colours

def translation():
    return Echo()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_own_task.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    _own_module._call.cache_clear()
    path = list(sys.path)
    yield "my_own_task"
    assert sys.path == path
    sys.modules.pop("my_own_task", None)
    _own_module._call.cache_clear()


def test_it_is_the_task_that_the_function_returns(module):
    text = f"module(factory='{module}:arrays')"
    task = Task.parse(text)
    assert isinstance(task, OwnData)
    assert task == sys.modules[module].arrays()
    assert task.key_text == str(OwnModule(f"{module}:arrays"))
    assert task.title == f"{module}:arrays"
    # A part of a task: what is drawn for it by its own text is the same under any name.
    assert str(task) == str(sys.modules[module].arrays())
    assert Task.from_dict({"name": "module", "factory": f"{module}:arrays"}) == task


def test_it_answers_whatever_its_task_is_asked(module):
    task = Task.parse(f"module(factory='{module}:translation')")
    assert (task.architecture, task.ragged, task.unit) == ("encoder_decoder", True, "BLEU")
    assert not hasattr(Task.parse(f"module(factory='{module}:arrays')"), "corpus_score")


def test_held_out_data_are_those_of_the_task_itself(module):
    task = Task.parse(f"module(factory='{module}:adding')")
    for split in ("validation", "test"):
        batch, expected = (next(each.held_out(split)) for each in (task, Task.parse("adding(length=7)")))
        np.testing.assert_array_equal(batch.inputs, expected.inputs)


def test_its_metric_is_that_of_all_answers_together(module, monkeypatch):
    monkeypatch.setattr(_own_data, "HELD_OUT_BATCH", 16)
    text = f"module(factory='{module}:by_median')"
    task = Task.parse(text)
    options = {"steps": 1, "evaluate_every": 1, "measure_at": ()}
    (record,) = train([Run(text, "tanh(size=4)", "orthogonal", **options)])
    (inner,) = train([Run(str(task), "tanh(size=4)", "orthogonal", **options)])
    assert task.whole
    assert record.summary == inner.summary


def test_a_translation_of_ones_own_is_scored_by_bleu(module):
    run = Run(f"module(factory='{module}:translation')", "tanh(size=4)", "orthogonal", steps=1, measure_at=())
    (record,) = train([run])
    assert "nrefs:1" in record.environment["bleu"]
    assert 0 <= record.summary["test_score"] <= 100


def test_a_run_knows_it_by_its_module(module):
    text = f"module(factory='{module}:arrays')"
    run = Run(text, "tanh(size=4)", "orthogonal")
    assert run.task == Task.parse(text).key_text == str(OwnModule(f"{module}:arrays"))
    assert Run(Task.parse(text), "tanh(size=4)", "orthogonal") == run
    assert Run(Task.parse(text), "tanh(size=4)", "orthogonal").key == run.key


def test_its_text_holds_the_digest_of_the_content(module):
    task = OwnModule(f"{module}:arrays")
    assert Task.unresolved(str(task)) == task
    assert OwnModule(f"{module}:changed").digest != task.digest
    stale = OwnModule(f"{module}:changed", digest=task.digest)
    with pytest.raises(ArgumentError, match=f"must make the task whose digest is {task.digest}"):
        stale.resolve()
    with pytest.raises(ArgumentError, match=f"must make the task whose digest is {task.digest}"):
        Task.parse(str(stale))


def test_a_record_is_read_where_its_module_is_not(module):
    # With a digest nothing is imported before data are asked for.
    run = Run("module(factory='not_there:build', digest='0123456789abcdef')", "tanh", "orthogonal")
    assert Run.from_dict(run.to_dict()).key == run.key
    assert str(Task.unresolved(run.task)) == run.task
    with pytest.raises(ArgumentError, match="must name a function that can be imported"):
        Task.parse(run.task)


def test_checked_files_at_two_places_are_one_task(module, monkeypatch):
    """Two machines whose functions return the same data, each from a folder of its own, share their records."""
    text = f"module(factory='{module}:placed')"
    runs = []
    for place in ("/a", "/b"):
        monkeypatch.setenv("PLACE", place)
        _own_module._call.cache_clear()
        runs.append(Run(text, "tanh", "orthogonal"))
        # What the other machine wrote is accepted, and read from this one's folder.
        assert {Task.parse(run.task).folder for run in runs} == {place}
    assert runs[0].key == runs[1].key
    assert runs[0] == runs[1]


def test_a_digest_of_an_earlier_release_is_accepted(module, monkeypatch):
    monkeypatch.setenv("PLACE", "/a")
    before = hashlib.sha256(str(Mnist(folder="/a")).encode()).hexdigest()[:16]
    assert OwnModule(f"{module}:placed", digest=before).resolve() == Mnist(folder="/a")
    with pytest.raises(ArgumentError, match="must make the task whose digest is"):
        OwnModule(f"{module}:placed", digest="0" * 16).resolve()


def test_an_attribute_of_the_task_is_forwarded_for_one_release(module):
    specification = OwnModule(f"{module}:arrays")
    with pytest.warns(DeprecationWarning, match=r"OwnModule\.unit is now OwnModule\.resolve\(\)\.unit"):
        assert specification.unit == "mean squared error"
    with pytest.warns(DeprecationWarning, match=r"OwnModule\.task is now"):
        assert specification.task == specification.resolve()
    assert copy.deepcopy(specification) == pickle.loads(pickle.dumps(specification)) == specification


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "must be written package.module:function"),
        ("my_own_task", "must be written package.module:function"),
        ("my_own_task:arrays()", "must be written package.module:function"),
        ("my_own_task:absent", "must name a function that can be imported"),
        ("not_there_at_all:arrays", "must name a function that can be imported"),
        ("my_own_task:number", "must return a task; got int"),
        ("my_own_task:leaving", r"got my_own_task:leaving: SystemExit: 0 \(.*my_own_task\.py, line \d+\)"),
        ("my_own_task:failing", "must name a function that returns a task; got my_own_task:failing: KeyError"),
    ],
)
def test_misuse_is_named(module, factory, message):
    with pytest.raises(ArgumentError, match=message):
        OwnModule(factory)
