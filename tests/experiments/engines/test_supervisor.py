"""Worker processes: they answer, die, are replaced, and never outlive their driver by more than a task."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing.connection import Pipe
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("torch")

from tests.experiments.engines.crashing import attempts, obey, square

from unitcircle.errors import ArgumentError, UnitcircleError
from unitcircle.experiments.engines import Local
from unitcircle.experiments.engines._supervisor import ONE_THREAD, Supervisor
from unitcircle.experiments.engines._worker import serve

PATIENCE = 300.0


def all_replies(engine, count):
    replies, end = [], time.monotonic() + PATIENCE
    while len(replies) < count and time.monotonic() < end:
        replies += engine.wait(1.0)
    assert len(replies) == count
    return replies


def eventually(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_answers_come_back_with_their_tasks():
    with Supervisor(square, [ONE_THREAD] * 2) as engine:
        done = {}
        for pair in ((1, 2), (3, 4), (5, 6)):
            for x in pair:
                engine.submit(x)
            done |= {reply.task: reply.value for reply in all_replies(engine, 2)}
        assert len(engine.processes) == 2
    assert done == {x: x * x for x in range(1, 7)}


def test_workers_are_persistent_single_threaded_and_start_with_their_first_task(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Supervisor(obey, Local(workers=2).environments([])) as engine:
        assert engine.slots == 2
        assert engine.processes == []
        seen = []
        for name in "abc":
            engine.submit((tmp_path, name, "go"))
            (reply,) = all_replies(engine, 1)
            seen.append(reply.value)
        assert [pid for pid, _ in seen] == engine.processes * 3
        assert {variables["OMP_NUM_THREADS"] for _, variables in seen} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert gone(seen[0][0])


@pytest.mark.parametrize(
    ("order", "said"), [("raise", "RuntimeError: cannot do b"), ("die", "last words"), ("exit", "status 3")]
)
def test_a_task_that_fails_is_a_reply_and_harms_no_other(tmp_path, order, said):
    with Supervisor(obey, [{}] * 2) as engine:
        engine.submit((tmp_path, "a", "wait 0.2"))
        engine.submit((tmp_path, "b", order))
        replies = {reply.task[1]: reply for reply in all_replies(engine, 2)}
        assert replies["a"].error == ""
        assert said in replies["b"].error
        engine.submit((tmp_path, "c", "go"))
        engine.submit((tmp_path, "d", "go"))
        assert [reply.error for reply in all_replies(engine, 2)] == ["", ""]
    assert attempts(tmp_path) == dict.fromkeys("abcd", 1)


def test_a_worker_killed_from_outside_in_the_middle_of_a_task(tmp_path):
    with Supervisor(obey, [{}]) as engine:
        engine.submit((tmp_path, "a", "sleep"))
        eventually((tmp_path / "a.pid").exists)
        os.kill(engine.processes[0], signal.SIGKILL)
        (reply,) = all_replies(engine, 1)
        assert "signal 9" in reply.error
        engine.submit((tmp_path, "b", "go"))
        assert all_replies(engine, 1)[0].error == ""


def test_an_idle_worker_that_dies_is_replaced_silently(tmp_path):
    with Supervisor(obey, [{}]) as engine:
        engine.submit((tmp_path, "a", "go"))
        all_replies(engine, 1)
        (first,) = engine.processes
        os.kill(first, signal.SIGKILL)
        eventually(lambda: engine.wait(0.1) == [] and engine.processes == [])
        engine.submit((tmp_path, "b", "go"))
        assert all_replies(engine, 1)[0].value[0] != first


def test_no_more_tasks_than_workers(tmp_path):
    with Supervisor(obey, [{}]) as engine:
        engine.submit((tmp_path, "a", "go"))
        with pytest.raises(ArgumentError, match="1"):
            engine.submit((tmp_path, "b", "go"))


def test_closing_kills_what_is_in_flight(tmp_path):
    with Supervisor(obey, [{}]) as engine:
        engine.submit((tmp_path, "a", "sleep"))
        eventually((tmp_path / "a.pid").exists)
        (pid,) = engine.processes
    assert gone(pid)


def test_workers_that_cannot_start_are_an_error_and_not_a_loop(tmp_path, monkeypatch):
    (tmp_path / "vanishing.py").write_text("def work(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import vanishing

    engine = Supervisor(vanishing.work, [{}])
    (tmp_path / "vanishing.py").unlink()
    with engine:
        engine.submit(1)
        with pytest.raises(UnitcircleError, match=r"(?s)cannot start.*vanishing"):
            all_replies(engine, 1)


def test_gpus_are_dealt_out_in_turn():
    environments = Local(gpu_fraction=0.25).environments(["0", "3"])
    assert [e["CUDA_VISIBLE_DEVICES"] for e in environments] == ["0", "3"] * 4
    assert all(e["OMP_NUM_THREADS"] == "1" for e in environments)
    assert len(Local(workers=3, gpu_fraction=0.5).environments(["0", "1"])) == 3
    assert len(Local(gpu_fraction=1.0).environments(["0"])) == 1
    # 1/3 rounds up to 0.3333...: three still fit.
    assert len(Local(gpu_fraction=1 / 3).environments(["0"])) == 3
    with pytest.raises(ArgumentError, match="GPU"):
        Local(gpu_fraction=0.5).environments([])
    with pytest.raises(ArgumentError, match="gpu_fraction"):
        Local(gpu_fraction=0.0)
    with pytest.raises(ArgumentError, match="workers"):
        Local(workers=0)


def test_the_worker_answers_until_its_driver_is_gone():
    ours, theirs = Pipe()
    path = list(sys.path)
    thread = Thread(target=serve, args=(theirs,))
    thread.start()
    ours.send(path)
    ours.send(square)
    assert ours.recv() is None
    ours.send(3)
    assert ours.recv() == (True, 9)
    ours.send("three")
    returned, error = ours.recv()
    assert not returned
    assert "TypeError" in error
    ours.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert sys.path == path


DRIVER = """
    import sys
    from tests.experiments.engines.crashing import obey
    from unitcircle.experiments.engines._supervisor import Supervisor

    engine = Supervisor(obey, [{}, {}])
    engine.submit((sys.argv[1], "a", "wait 1"))
    engine.submit((sys.argv[1], "b", "wait 1"))
    print(*engine.processes, flush=True)
    while True:
        engine.wait(1.0)
"""


def test_when_the_driver_is_killed_the_task_in_flight_is_finished_and_no_orphan_stays(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        try:
            workers = [int(pid) for pid in driver.stdout.readline().split()]
            eventually(lambda: len(attempts(tmp_path)) == 2)
        finally:
            driver.kill()
    assert len(workers) == 2
    eventually(lambda: all(map(gone, workers)))
    assert {path.name for path in tmp_path.glob("*.done")} == {"a.done", "b.done"}


@pytest.mark.parametrize(("fraction", "count"), [(1 / 3, 3), (0.333333333334, 3), (0.166666666667, 6), (0.26, 3)])
def test_a_fraction_typed_with_many_digits_means_the_share(fraction, count):
    assert len(Local(gpu_fraction=fraction).environments(["0"])) == count
