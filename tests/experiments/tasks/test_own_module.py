"""A task that a module in the working directory makes."""

import sys

import numpy as np
import pytest
import torch

from unitcircle._specification import Specification
from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import OwnModule, Task, Translation, _own_data, _own_module
from unitcircle.experiments.training import Run, train

SOURCE = """
import itertools
from dataclasses import dataclass
import numpy as np
from unitcircle.experiments.tasks import Translation, from_data

def made(shift=0.0):
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(8, 4, 2)), rng.normal(size=8) + shift) for _ in range(3)]
    return from_data(*parts, baseline=1.0, threshold=0.25)

def changed():
    return made(1.0)

def number():
    return 3

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
        said = [" ".join(words) + "." for words in itertools.product(("red", "green", "blue"), repeat=3)]
        return said, said

def translation():
    return Echo()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_own_task.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    _own_module._made.cache_clear()
    path = list(sys.path)
    yield "my_own_task"
    assert sys.path == path
    sys.modules.pop("my_own_task", None)
    _own_module._made.cache_clear()


def test_it_is_what_the_factory_made(module):
    task = Task.parse(f"module(factory='{module}:made')")
    inner = task.task
    for name in ("inputs", "outputs", "every_step", "classes", "higher_is_better", "unit", "baseline", "threshold"):
        assert getattr(task, name) == getattr(inner, name)
    for a, b in [
        (task.sample(np.random.default_rng(0), 3), inner.sample(np.random.default_rng(0), 3)),
        (next(task.held_out("test")), next(inner.held_out("test"))),
    ]:
        np.testing.assert_array_equal(a.inputs, b.inputs)
        np.testing.assert_array_equal(a.targets, b.targets)
    outputs, targets = torch.ones(2, 3, 1), torch.zeros(2, 3, 1)
    assert task.losses(outputs, targets, None).tolist() == task.scores(outputs, targets, None).tolist() == [1.0, 1.0]


def test_it_answers_whatever_any_task_is_asked(module):
    public = {name for kind in (Task, Translation) for name in (*vars(kind), *kind.__annotations__) if name[0] != "_"}
    public -= {*vars(Specification), *Specification.__annotations__}
    own = {"kind", "registry", "example", "identity", "places", "title"}
    of_the_data = {"sentences", "vocabulary", "word_dropout", "padding", "start", "end"}
    assert public - own - of_the_data <= set(vars(OwnModule))
    task = Task.parse(f"module(factory='{module}:translation')")
    assert (task.architecture, task.ragged, task.unit) == ("encoder_decoder", True, "BLEU")
    assert not hasattr(Task.parse(f"module(factory='{module}:made')"), "corpus_score")


def test_its_metric_is_that_of_all_answers_together(module, monkeypatch):
    monkeypatch.setattr(_own_data, "HELD_OUT_BATCH", 16)
    task = Task.parse(f"module(factory='{module}:by_median')")
    options = {"steps": 1, "evaluate_every": 1, "measure_at": ()}
    (record,) = train([Run(str(task), "tanh(size=4)", "orthogonal", **options)])
    (inner,) = train([Run(str(task.task), "tanh(size=4)", "orthogonal", **options)])
    assert task.whole
    assert record.summary == inner.summary


def test_a_translation_of_ones_own_is_scored_by_bleu(module):
    run = Run(f"module(factory='{module}:translation')", "tanh(size=4)", "orthogonal", steps=1, measure_at=())
    (record,) = train([run])
    assert "nrefs:1" in record.environment["bleu"]
    assert 0 <= record.summary["test_score"] <= 100


def test_its_text_holds_the_digest_of_the_content(module):
    task = OwnModule(f"{module}:made")
    assert Task.parse(str(task)) == task
    assert OwnModule(f"{module}:changed").digest != task.digest
    # With a digest nothing is imported before data are asked for, and other data are refused then.
    stale = OwnModule(f"{module}:changed", digest=task.digest)
    with pytest.raises(ArgumentError, match=f"must make the task whose digest is {task.digest}"):
        stale.sample(np.random.default_rng(0), 1)
    assert str(OwnModule("not_there:made", digest="0" * 16)).startswith("module(factory='not_there:made'")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "must be written package.module:function"),
        ("my_own_task", "must be written package.module:function"),
        ("my_own_task:made()", "must be written package.module:function"),
        ("my_own_task:absent", "must name a function that can be imported"),
        ("not_there_at_all:made", "must name a function that can be imported"),
        ("my_own_task:number", "must return a task; got int"),
    ],
)
def test_misuse_is_named(module, factory, message):
    with pytest.raises(ArgumentError, match=message):
        OwnModule(factory)
