"""The engine of this process: the same records as from workers, and a task that raises is a reply."""

import os

import pytest

pytest.importorskip("torch")

from tests.experiments.engines.crashing import Training, attempts, obey, square
from tests.experiments.studies.test_execute import SMALL, contents

from unitcircle.errors import ArgumentError
from unitcircle.experiments.engines import Here, engine_kind
from unitcircle.experiments.studies import Experiment, Store, Study, execute
from unitcircle.experiments.training import Status


def test_tasks_are_answered_one_a_wait_and_in_their_order():
    with Here().start(square) as engine:
        assert engine.slots == 1
        assert engine.wait(0.0) == []
        engine.submit(3)
        engine.submit(4)
        assert [(reply.task, reply.value) for reply in engine.wait(0.0)] == [(3, 9)]
        engine.close()
        assert engine.wait(0.0) == []


def test_a_task_is_done_here_and_what_it_raises_is_told(tmp_path):
    with Here().start(obey) as engine:
        engine.submit((tmp_path, "a", ""))
        (reply,) = engine.wait(0.0)
        assert reply.value[0] == os.getpid()
        engine.submit((tmp_path, "b", "raise"))
        (reply,) = engine.wait(0.0)
        assert reply.value is None
        assert "RuntimeError: cannot do b" in reply.error


def test_an_interrupt_passes_through():
    def interrupted(_):
        raise KeyboardInterrupt

    with Here().start(interrupted) as engine:
        engine.submit(1)
        with pytest.raises(KeyboardInterrupt):
            engine.wait(0.0)


def test_a_study_is_done_here_whole(tmp_path):
    assert engine_kind("here") == Here()
    training = Training(tmp_path / "a", trouble={1: "raise"})
    outcome = execute(SMALL, tmp_path / "a", engine="here", train=training)
    assert (outcome.ended, outcome.failed, outcome.left) == (6, 1, 0)
    failed = [record.run for record in Store(tmp_path / "a").records() if record.status is Status.FAILED]
    assert [run.seed for run in failed] == [1]
    assert attempts(tmp_path / "a")[failed[0].key] == 2
    mended = execute(SMALL, tmp_path / "a", engine=Here(), train=Training(tmp_path / "a"), retry_failed=True)
    assert (mended.ended, mended.failed) == (1, 0)
    execute(SMALL, tmp_path / "b", engine=Here(), train=Training(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_is_missing_fails_no_run(tmp_path):
    study = Study(
        "lacking",
        initializers={"haar": "orthogonal"},
        experiments=(Experiment("mnist(folder='nowhere')"),),
        twin=False,
    )
    with pytest.raises(ArgumentError, match="folder must hold train-images"):
        execute(study, tmp_path, engine=Here())
    with pytest.raises(ArgumentError, match="workers is an option of the local engine only"):
        execute(SMALL, tmp_path, engine=Here(), workers=2)
