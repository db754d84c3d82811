"""A study from its first run to its last: killed, interrupted, resumed, and always with the same records."""

import errno
import math
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from rich.console import Console
from tests.experiments.engines.crashing import Training, attempts

from unitcircle.errors import ArgumentError, UnitcircleError
from unitcircle.experiments.engines import Engine, EngineKind, Local, Reply
from unitcircle.experiments.studies import Experiment, Store, Study, chosen_rate, execute, progress_display
from unitcircle.experiments.studies._lock import only_driver
from unitcircle.experiments.training import Status

STUDY = Study(
    "test",
    initializers={"haar": "orthogonal", "xavier": "xavier_normal"},
    experiments=(Experiment("adding(length=10)", sizes=(4,), learning_rates=(1e-3, 1e-2)),),
    seeds=4,
    tuning_seeds=2,
    twin=False,
)
RUNS = 2 * (2 * 2 + 4)
PATIENCE = 300.0
"""Seconds: beside many busy processes a worker takes more than a minute to load torch."""
TUNING = 2 * 2 * 2


class Shuffled(EngineKind, Engine):
    """Tasks in this process, ended in a random order."""

    def __init__(self, seed=0, *, shared=True, slots=3):
        self.shared, self._rng, self._slots, self._tasks = shared, random.Random(seed), slots, []

    def start(self, function):
        self._function = function
        return self

    @property
    def slots(self):
        return self._slots

    def submit(self, task):
        self._tasks.append(task)

    def wait(self, seconds):
        task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
        try:
            return [Reply(task, value=self._function(task))]
        except RuntimeError:
            return [Reply(task, error=traceback.format_exc())]

    def close(self):
        self._tasks.clear()


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "runs").glob("*.json")}


def eventually(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("shared", [True, False])
def test_the_records_do_not_depend_on_the_order_nor_on_who_writes_them(tmp_path, shared):
    reference = execute(STUDY, tmp_path / "a", engine=Shuffled(slots=1), train=Training(tmp_path / "a"))
    assert (reference.ended, reference.left, reference.failed, reference.complete) == (RUNS, 0, 0, True)
    for seed in range(3):
        folder = tmp_path / str(seed)
        execute(STUDY, folder, engine=Shuffled(seed, shared=shared), train=Training(folder))
        assert contents(folder) == contents(tmp_path / "a")
        assert set(attempts(folder).values()) == {1}


def test_running_again_does_what_is_missing(tmp_path):
    execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    again = execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    assert (again.ended, again.complete) == (0, True)
    whole = contents(tmp_path)
    lost = random.Random(0).sample(sorted(whole), 5)
    for name in lost[:4]:
        (tmp_path / "runs" / name).unlink()
    (tmp_path / "runs" / lost[4]).write_text("{")
    third = execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    assert third.ended == 5
    assert contents(tmp_path) == whole
    repeated = {f"{key}.json" for key, count in attempts(tmp_path).items() if count == 2}
    assert repeated == set(lost)


@pytest.mark.parametrize("shared", [True, False])
def test_a_run_that_raises_twice_is_recorded_as_failed_and_its_company_is_not(tmp_path, shared):
    training = Training(tmp_path, trouble={1: "raise", 1001: "raise once"})
    events = []
    outcome = execute(STUDY, tmp_path, engine=Shuffled(shared=shared), train=training, on_event=events.append)
    assert (outcome.ended, outcome.failed, outcome.left) == (RUNS, 2, 0)
    records = list(Store(tmp_path).records())
    assert len(records) == RUNS
    failed = [record for record in records if record.status is Status.FAILED]
    assert {record.run.seed for record in failed} == {1}
    for record in failed:
        assert "RuntimeError: seed 1 cannot be trained" in record.message
        assert attempts(tmp_path)[record.run.key] == 2
        assert math.isnan(record.summary["test_score"])
        assert record.summary["solved"] == 0
    assert sum(event.kind == "failed" for event in events) == 2
    assert any(event.kind == "lost" for event in events)

    assert execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path)).ended == 0
    mended = execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path), retry_failed=True)
    assert (mended.ended, mended.failed) == (2, 0)
    assert all(record.status is Status.FINISHED for record in Store(tmp_path).records())


def test_a_run_whose_code_ends_the_process_is_recorded_as_failed(tmp_path):
    outcome = execute(SMALL, tmp_path, engine="here", train=Training(tmp_path, trouble={1: "exit"}))
    assert outcome.failed > 0
    assert outcome.complete
    messages = {record.message for record in Store(tmp_path).records() if record.status is Status.FAILED}
    assert all("the code of a run ended the process (0)" in message for message in messages)


def test_a_run_that_fails_again_when_it_is_tried_again_stays_failed(tmp_path):
    training = Training(tmp_path, trouble={1: "raise"})
    execute(STUDY, tmp_path, engine=Shuffled(), train=training)
    outcome = execute(STUDY, tmp_path, engine=Shuffled(), train=training, retry_failed=True)
    assert (outcome.ended, outcome.failed, outcome.left) == (2, 2, 0)


def test_a_failed_tuning_run_counts_against_its_rate(tmp_path):
    class Picky(Training):
        def __call__(self, runs):
            if any(run.learning_rate == 1e-3 and run.seed == 1000 for run in runs):
                message = "no"
                raise RuntimeError(message)
            return super().__call__(runs)

    execute(STUDY, tmp_path, engine=Shuffled(), train=Picky(tmp_path))
    store, (experiment,) = Store(tmp_path), STUDY.experiments
    (setting,) = experiment.settings()
    assert {chosen_rate(STUDY, experiment, setting, label, store.get) for label in STUDY.labels} == {1e-2}


def test_the_budget_ends_the_call_and_not_the_runs_in_flight(tmp_path, monkeypatch):
    now = [0.0]

    class Slow(Training):
        def __call__(self, runs):
            now[0] += 4.0
            return super().__call__(runs)

    monkeypatch.setattr("unitcircle.experiments.studies._execute.time.monotonic", lambda: now[0])
    monkeypatch.setattr("unitcircle.experiments.studies._execute.stack_limit", lambda run, engine: 1)
    outcome = execute(STUDY, tmp_path, engine=Shuffled(slots=2), train=Slow(tmp_path), minutes=0.1)
    # Two runs begin at 0 s, and one more when the first of them ends after 4 s; the budget are 6 s.
    assert outcome.ended == 3
    assert outcome.left == RUNS - outcome.ended
    assert not outcome.complete
    assert len(contents(tmp_path)) == outcome.ended
    assert execute(STUDY, tmp_path / "b", engine=Shuffled(), train=Training(tmp_path / "b"), minutes=0).ended == 0


def test_the_events_tell_the_whole_story(tmp_path):
    events = []
    execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path), on_event=events.append)
    assert [events[0].kind, events[-1].kind] == ["planned", "closed"]
    assert {event.progress.total for event in events} == {RUNS}
    ended = [event.progress.ended for event in events]
    assert ended == sorted(ended)
    assert ended[-1] == RUNS
    for kind in ("started", "ended"):
        assert len({run for event in events if event.kind == kind for run in event.runs}) == RUNS
    assert max(len(event.progress.running) for event in events) == 3
    assert events[-1].progress.running == ()
    assert events[-1].progress.remaining == 0
    assert math.isnan(events[0].progress.remaining)
    assert all(event.progress.remaining >= 0 for event in events if event.progress.ended)


def _without_seed_1(records):
    return [record for record in records if record.run.seed != 1]


@pytest.mark.parametrize(
    ("shared", "answer"),
    [(True, _without_seed_1), (False, _without_seed_1), (True, lambda _: []), (False, lambda _: None)],
)
def test_a_training_that_returns_too_few_records_ends(tmp_path, shared, answer):
    class Forgetful(Training):
        def __call__(self, runs):
            records = super().__call__(runs)
            return answer(records) if any(run.seed == 1 for run in runs) else records

    outcome = execute(STUDY, tmp_path, engine=Shuffled(shared=shared, slots=1), train=Forgetful(tmp_path))
    assert (outcome.ended, outcome.failed, outcome.left) == (RUNS, 2, 0)
    failed = [record for record in Store(tmp_path).records() if record.status is Status.FAILED]
    assert {record.run.seed for record in failed} == {1}
    assert failed[0].message == "train returned no record of 1 of 1 runs"


@pytest.mark.slow
def test_a_run_that_hangs_is_stopped_and_its_company_is_not(tmp_path):
    outcome = execute(SMALL, tmp_path, workers=1, timeout=2.0, train=Training(tmp_path, trouble={1: "hang"}))
    assert (outcome.ended, outcome.failed, outcome.left) == (6, 1, 0)
    (failed,) = [record for record in Store(tmp_path).records() if record.status is Status.FAILED]
    assert failed.run.seed == 1
    assert failed.message == "stopped: it took longer than the timeout, 2 s a run"


@pytest.mark.parametrize(("engine", "timeout"), [("here", 1.0), ("local", 0.0), ("local", math.nan), ("local", -1.0)])
def test_a_timeout_that_means_nothing_is_refused(tmp_path, engine, timeout):
    with pytest.raises(ArgumentError, match="timeout must be positive, for an engine with workers"):
        execute(STUDY, tmp_path, engine=engine, timeout=timeout)


def test_the_files_that_were_repeated_are_listed(tmp_path):
    execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    spoilt = sorted((tmp_path / "runs").glob("*.json"))
    for path in spoilt:
        path.write_text("{")
    for shared in (True, False):
        outcome = execute(STUDY, tmp_path, engine=Shuffled(shared=shared), train=Training(tmp_path))
        assert outcome.complete
        assert sorted(outcome.problems) == (spoilt if shared else [])


@pytest.mark.parametrize("shared", [True, False])
def test_a_full_disk_says_what_is_kept(tmp_path, shared, monkeypatch):
    whole = Path.replace
    written = []

    def replace(path, target):
        if len(written) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        return whole(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(UnitcircleError, match=r"cannot be written.*No space left.*records of \d runs are kept"):
        execute(STUDY, tmp_path, engine=Shuffled(shared=shared, slots=1), train=Training(tmp_path))
    monkeypatch.undo()
    assert len(list((tmp_path / "runs").glob("[!.]*"))) == 5
    outcome = execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    assert (outcome.ended, outcome.failed, outcome.complete) == (RUNS - 5, 0, True)


def test_a_folder_by_the_name_of_a_record_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "runs" / "0123456789abcdef.json").mkdir(parents=True)
    with pytest.raises(ArgumentError, match=r"no folder by the name of a record; got .*0123456789abcdef.json. Move"):
        execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path))
    assert attempts(tmp_path) == {}


def test_a_second_driver_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="stop"):
        execute(STUDY, tmp_path, engine=Shuffled(), train=_Nested(tmp_path), on_event=_stop_at_the_end)
    # The lock ends with its driver, also if that raises.
    assert execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path)).complete
    # A complete study can be opened by any number of drivers.
    with only_driver(tmp_path / "runs"):
        assert execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path)).ended == 0


def test_a_lock_on_a_file_that_was_removed_locks_nothing(tmp_path, monkeypatch):
    import fcntl

    def flock(file, how):
        (tmp_path / ".driver").unlink()  # as the driver before does, between opening and locking

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UnitcircleError, match="Another process just ran"), only_driver(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk of Linux")
def test_the_lock_needs_no_room_on_a_disk(tmp_path):
    (tmp_path / ".driver").symlink_to("/dev/full")
    with only_driver(tmp_path):
        pass
    assert Path("/dev/full").exists()


def _stop_at_the_end(event):
    if event.kind == "ended":
        message = "stop"
        raise RuntimeError(message)


class _Nested(Training):
    def __call__(self, runs):
        pattern = rf"Another process runs a study in .* \(process {os.getpid()} on .*\): wait until it ends"
        with pytest.raises(UnitcircleError, match=pattern):
            execute(STUDY, self.folder, engine=Shuffled(), train=Training(self.folder))
        return super().__call__(runs)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_display_says_what_runs_and_what_is_left(tmp_path, terminal):
    console = Console(force_terminal=terminal, width=200, file=(tmp_path / "shown").open("w"))
    with console.file, progress_display(console, every=0.0) as show:
        execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path, trouble={1: "raise"}), on_event=show)
    shown = (tmp_path / "shown").read_text()
    assert f"{RUNS}/{RUNS}" in shown if terminal else f"{RUNS} of {RUNS} runs" in shown
    assert "2 failed" in shown
    assert "failed for good: RuntimeError: seed 1 cannot be trained" in shown
    assert "adding(length=10) · tanh(size=4)" in shown
    assert ("\x1b" in shown) is terminal


def test_plain_lines_are_few(tmp_path):
    console = Console(force_terminal=False, width=80, file=(tmp_path / "shown").open("w"))
    with console.file, progress_display(console, every=3600) as show:
        execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path), on_event=show)
    assert len((tmp_path / "shown").read_text().splitlines()) == 2
    with (tmp_path / "again").open("w") as file:
        console = Console(force_terminal=False, width=80, file=file)
        with progress_display(console, every=3600) as show:
            execute(STUDY, tmp_path, engine=Shuffled(), train=Training(tmp_path), on_event=show)
    assert (tmp_path / "again").read_text() == f"{RUNS} of {RUNS} runs, done in 0 s\n"


def test_the_display_says_that_no_worker_has_come(tmp_path):
    class Late(Shuffled):
        waited = 0
        needs = "something to begin"

        @property
        def slots(self):
            return 3 if self.waited else 0

        def wait(self, seconds):
            self.waited += 1
            return super().wait(seconds) if self._tasks else []

    console = Console(force_terminal=False, width=80, file=(tmp_path / "shown").open("w"))
    with console.file, progress_display(console, every=3600) as show:
        assert execute(STUDY, tmp_path, engine=Late(), train=Training(tmp_path), on_event=show).complete
    first, second, *_ = (tmp_path / "shown").read_text().splitlines()
    assert first == f"0 of {RUNS} runs, waiting for something to begin"
    assert second == f"0 of {RUNS} runs, waiting for workers to connect"


def test_what_runs_at_the_same_time_is_told_by_what_differs(tmp_path):
    study = replace(STUDY, experiments=(replace(STUDY.experiments[0], title="Ten numbers"),))
    console = Console(force_terminal=False, width=80, file=(tmp_path / "shown").open("w"))
    with console.file, progress_display(console, every=0.0) as show:
        execute(study, tmp_path, engine=Shuffled(slots=2), train=Training(tmp_path), on_event=show)
    lines = (tmp_path / "shown").read_text().splitlines()
    both = next(line for line in lines if "rate 0.01" in line and "rate 0.001" in line)
    assert re.search(r"; now Ten numbers · tanh\(size=4\) · 4 runs of [^:]+: rate 0\.0+1; rate 0\.0+1$", both)
    assert (both.count("Ten numbers"), both.count("tanh")) == (1, 1)
    assert not any("adding" in line for line in lines)


def test_misuse_is_named(tmp_path):
    with pytest.raises(ArgumentError, match="workers"):
        execute(STUDY, tmp_path, engine="dask://localhost:1", workers=2)
    with pytest.raises(ArgumentError, match="engine"):
        execute(STUDY, tmp_path, engine="ray")
    for minutes in (math.nan, -3.0):
        with pytest.raises(ArgumentError, match=f"minutes must be a number that is not negative; got {minutes}"):
            execute(STUDY, tmp_path, minutes=minutes, workers=1)
    with pytest.raises(
        ArgumentError, match=r"gpu_fraction needs an experiment on a GPU; got 0\.25 for .* device = 'cuda'"
    ):
        execute(STUDY, tmp_path, engine=Local(gpu_fraction=0.25))


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("mnist(folder='nowhere')", {}, "folder must hold train-images"),
        ("adding(length=10)", {"device": "cuda:99"}, "device must be one that torch has here; got cuda:99"),
        ("adding(length=10)", {"device": "meta"}, "device must be one that torch has here; got meta"),
        ("adding(length=10)", {"device": "xpu"}, "device must be one that torch has here; got xpu"),
        (
            "adding(length=10)",
            {"sizes": (1_000_000,)},
            "sizes must be such that one run fits the memory",
        ),
    ],
)
def test_what_this_machine_lacks_fails_no_run(task, options, said, tmp_path):
    sizes = options.pop("sizes", (64,))
    study = Study(
        "lacking",
        initializers={"haar": "orthogonal"},
        experiments=(Experiment(task, sizes=sizes, options=options),),
        twin=False,
    )
    with pytest.raises(ArgumentError, match=said):
        execute(study, tmp_path / "out", workers=1)
    assert list((tmp_path / "out" / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="folder must be one that can be created"):
        execute(STUDY, tmp_path / "file", workers=1)


SMALL = Study(
    "small",
    initializers={"haar": "orthogonal"},
    experiments=(Experiment("adding(length=10)", sizes=(4,), learning_rates=(1e-3,)),),
    seeds=6,
    twin=False,
)


@pytest.mark.slow
def test_a_run_that_kills_its_worker_takes_no_other_with_it(tmp_path):
    training = Training(tmp_path, trouble={1: "die once"})
    outcome = execute(SMALL, tmp_path, workers=1, train=training)
    assert (outcome.ended, outcome.failed, outcome.left) == (6, 0, 0)
    assert attempts(tmp_path) == {record.run.key: 2 for record in Store(tmp_path).records()}


DRIVER = """
    import signal
    import sys
    from tests.experiments.engines.crashing import Training
    from tests.experiments.studies.test_execute import SMALL
    from unitcircle.experiments.studies import execute
    from unitcircle.experiments.studies import _execute

    # A shell lets what it runs in the background ignore Ctrl-C, and so would all that tests start there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _execute.stack_limit = lambda run, engine: 1
    try:
        execute(SMALL, sys.argv[1], workers=1, train=Training(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
def test_killed_and_interrupted_it_is_resumed_with_the_same_records(tmp_path):
    folder = tmp_path / "killed"

    def tried():
        return sum(attempts(folder).values())

    def drive(signum, finished):
        """Send a signal while a run is held, after some have ended; the held run goes on afterwards."""
        hold = folder / "hold"
        folder.mkdir(exist_ok=True)
        hold.write_text(str(tried() + finished))
        command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(folder)]
        before = tried()
        with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as driver:
            try:
                eventually(lambda: tried() > before + finished or driver.poll() is not None)
                driver.send_signal(signum)
                return driver.wait(PATIENCE)
            finally:
                driver.kill()
                hold.unlink()

    assert drive(signal.SIGKILL, 1) == -signal.SIGKILL
    # The worker finishes the run it had when its driver was killed.
    eventually(lambda: len(contents(folder)) == tried() == 2)
    first = tried()
    assert drive(signal.SIGINT, 0) == 130
    # The worker is stopped in the run it had.
    lost = tried() - len(contents(folder))
    assert lost == 1
    missing = 6 - len(contents(folder))
    assert missing == 6 - first
    outcome = execute(SMALL, folder, engine=Shuffled(), train=Training(folder))
    assert (outcome.ended, outcome.complete) == (missing, True)
    assert tried() == 6 + lost
    execute(SMALL, tmp_path / "whole", engine=Shuffled(), train=Training(tmp_path / "whole"))
    assert contents(folder) == contents(tmp_path / "whole")
