"""Many machines: Dask with its processes as nodes on loopback, Slurm with commands that run the job here."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from tests.experiments.engines.crashing import attempts

from unitcircle.errors import ArgumentError, MissingExtraError, UnitcircleError
from unitcircle.experiments.engines import TLS, Dask, Here, Local, Slurm, engine_kind
from unitcircle.experiments.engines._address import host_and_port, refuse_public
from unitcircle.experiments.engines._cluster import DaskEngine
from unitcircle.experiments.studies import Store
from unitcircle.experiments.training import Status

PATIENCE = 300.0
ROOT = Path(__file__).parents[3]


def test_an_engine_is_named_by_a_text():
    assert engine_kind("local") == Local()
    assert engine_kind("here") == Here()
    assert engine_kind("slurm") == Slurm()
    assert engine_kind("dask://10.0.0.1:8786") == Dask("10.0.0.1:8786")
    for text in ("ray", "dask", "dask://", "dask://host:port", "dask://host:1/path", "dask://me@host:1"):
        with pytest.raises(ArgumentError, match="engine"):
            engine_kind(text)


def test_addresses_are_read():
    assert host_and_port("node1:9000") == ("node1", 9000)
    assert host_and_port("node1") == ("node1", 8786)
    assert host_and_port("[::1]:9000") == ("::1", 9000)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.7", "172.16.0.1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_this_machine_and_private_networks_are_accepted(host):
    refuse_public(host)


NOT_ONE_MACHINE = ["::ffff:0.0.0.0", "0.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("host", NOT_ONE_MACHINE)
def test_addresses_of_no_single_private_machine_are_refused(host):
    with pytest.raises(ArgumentError, match="engine"):
        refuse_public(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "8.8.8.8", "172.32.0.1", "2001:4860:4860::8888"])
def test_public_addresses_are_refused_without_tls(host):
    with pytest.raises(ArgumentError, match="engine"):
        refuse_public(host)
    pytest.importorskip("distributed")
    with pytest.raises(ArgumentError, match="engine"):
        Dask(f"[{host}]:8786" if ":" in host else f"{host}:8786").start(len)
    with pytest.raises(ArgumentError, match="engine"):
        Slurm(host=host).cluster()


def test_tls_lets_a_public_address_through_but_not_all_of_a_machine():
    refuse_public("8.8.8.8", encrypted=True)
    for host in ("0.0.0.0", "::", "::ffff:0.0.0.0"):
        with pytest.raises(ArgumentError, match="one address"):
            refuse_public(host, encrypted=True)


def test_a_host_that_is_not_there(monkeypatch):
    def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ArgumentError, match="can be resolved"):
        refuse_public("nowhere")


def test_misuse_of_slurm():
    with pytest.raises(ArgumentError, match="jobs"):
        Slurm(jobs=0)
    with pytest.raises(ArgumentError, match="cores"):
        Slurm(cores=0)


@pytest.mark.parametrize("kind", [Dask("127.0.0.1:1"), Slurm()])
def test_the_missing_extra_is_named(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"unitcircle\[cluster\]"):
        kind.start(len)


class Future:
    def __init__(self, status, value=None):
        self.status, self._value, self.key = status, value, "key"

    def add_done_callback(self, callback):
        callback(self)

    def result(self):
        return self._value

    def exception(self):
        return self._value


def pretended(future, status="running"):
    return SimpleNamespace(
        submit=lambda function, task, *, pure: future,
        nthreads=lambda: {"tcp://a": 2, "tcp://b": 1},
        cancel=lambda futures: None,
        processing=lambda: {"tcp://a": ("other", "key"), "tcp://b": ()},
        subscribe_topic=lambda topic, hear: None,
        status=status,
    )


def test_what_a_future_says_becomes_a_reply():
    closed = []
    with DaskEngine(pretended(Future("finished", 5)), len, lambda: closed.append(True)) as engine:
        assert engine.slots == 3
        engine.submit("task")
        (reply,) = engine.wait(0)
        assert (reply.task, reply.value, reply.error) == ("task", 5, "")
        assert engine.wait(0) == []
    assert closed == [True]
    engine = DaskEngine(pretended(Future("error", ValueError("bad"))), len, list)
    engine.submit("task")
    assert "ValueError: bad" in engine.wait(0)[0].error


@pytest.mark.parametrize("nanny", [True, False])
def test_an_abandoned_task_has_no_reply_and_leaves_its_worker(nanny):
    cancelled, restarted = [], []
    client = pretended(Future("cancelled"))
    client.cancel = cancelled.extend

    def restart_workers(workers, *, timeout, raise_for_error):
        restarted.extend(workers)
        if not nanny:
            raise ValueError("these workers do not have a nanny")

    client.restart_workers = restart_workers
    engine = DaskEngine(client, len, list)
    engine.submit("task")
    engine.abandon("task")
    assert len(cancelled) == 1
    assert restarted == ["tcp://a"]
    assert engine.wait(0) == []


def test_a_task_has_begun_when_its_worker_says_so(monkeypatch):
    told = {}
    client = pretended(Future("pending"))
    client.subscribe_topic = told.__setitem__
    client.submit = lambda function, task, *, pure: told.update(function=function) or Future("pending")
    engine = DaskEngine(client, str.upper, list)
    assert engine.waiting_for == ""
    engine.submit("task")
    assert not engine.has_begun("task")
    assert engine.waiting_for == "a worker to begin (it loads torch, or is busy with other tasks)"
    # What the worker does.
    function = told.pop("function")
    worker = SimpleNamespace(get_current_task=lambda: "key")
    worker.log_event = lambda topic, message: told[topic]((0.0, message))
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(get_worker=lambda: worker))
    assert function("task") == "TASK"
    assert engine.has_begun("task")
    assert engine.waiting_for == ""
    client.nthreads = dict
    assert engine.waiting_for == "workers to connect"


def test_a_lost_scheduler_is_an_error_and_no_failure_of_the_runs():
    engine = DaskEngine(pretended(Future("cancelled")), len, list)
    engine.submit("task")
    with pytest.raises(UnitcircleError, match="scheduler does not answer"):
        engine.wait(0)
    with pytest.raises(UnitcircleError, match="scheduler does not answer"):
        DaskEngine(pretended(None, status="closed"), len, list).wait(0)
    client = pretended(None)

    def gone():
        raise OSError("closed")

    client.nthreads = gone
    with pytest.raises(UnitcircleError, match="scheduler does not answer"):
        DaskEngine(client, len, list).slots  # noqa: B018


def test_tls_is_for_every_role(monkeypatch):
    seen = {}
    module = SimpleNamespace(Security=lambda **options: options)
    monkeypatch.setitem(sys.modules, "distributed", module)
    client = pretended(None)
    client.close = lambda: None
    module.Client = lambda address, **options: seen.update(options, address=address) or client
    Dask("8.8.8.8:1", tls=TLS("ca.pem", "cert.pem", "key.pem")).start(len).close()
    assert seen["address"] == "tls://8.8.8.8:1"
    security = seen["security"]
    assert security.pop("require_encryption") is True
    assert security.pop("tls_ca_file") == "ca.pem"
    for role in ("client", "scheduler", "worker"):
        assert security.pop(f"tls_{role}_cert") == "cert.pem"
        assert security.pop(f"tls_{role}_key") == "key.pem"
    assert not security
    Dask("127.0.0.1:1").start(len)
    assert (seen["address"], seen["security"]) == ("tcp://127.0.0.1:1", None)


# Distributed starts threads and event loops that warn in a process of our tests, so it has its own from here on.


def environment(**more):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | more


@contextmanager
def process(*command, log, **more):
    """A process in a session of its own, of which nothing is left in the end."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True, env=environment(**more)
        )
    try:
        yield running
    finally:
        end(running)


def end(running):
    """Kill a process and what it started, as a machine that goes down does."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait(PATIENCE)


def eventually(condition, log):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


STUDY = """
    import sys
    from tests.experiments.engines.crashing import Training
    from unitcircle.experiments.studies import _execute, _plan
    from unitcircle.experiments.engines import TLS, Dask, Slurm
    from unitcircle.experiments.studies import Experiment, Study, execute

    _execute.Plan = lambda *given, **named: _plan.Plan(*given, **named | {"limit": lambda _: 1})
    experiment = Experiment("adding(length=10)", sizes=(4,), learning_rates=(1e-3,))
    study = Study("nodes", initializers={"haar": "orthogonal"}, experiments=(experiment,), seeds=12, twin=False)
    folder = sys.argv[1]
"""
DRIVER = (
    STUDY
    + """
    engine = Dask(sys.argv[2], shared=sys.argv[3] == "shared")
    outcome = execute(study, folder, engine=engine, train=Training(folder, seconds=0.5))
    sys.exit(0 if outcome.complete else 1)
"""
)


@pytest.mark.slow
def test_with_the_driver_and_a_node_killed_every_run_is_done(tmp_path):
    pytest.importorskip("distributed")
    log, where = tmp_path / "log", tmp_path / "scheduler.json"
    dask = (sys.executable, "-m", "dask")
    quiet = ("--host", "127.0.0.1", "--no-dashboard")

    def tried():
        return sum(attempts(tmp_path).values())

    def driver(mode):
        code = textwrap.dedent(DRIVER)
        return process(sys.executable, "-c", code, str(tmp_path), address, mode, log=log)

    with ExitStack() as stack:
        stack.enter_context(process(*dask, "scheduler", *quiet, "--port", "0", "--scheduler-file", str(where), log=log))
        eventually(where.exists, log)
        eventually(lambda: where.read_text().endswith("}"), log)
        address = json.loads(where.read_text())["address"].removeprefix("tcp://")
        options = ("--nworkers", "1", "--nthreads", "1", "--local-directory", str(tmp_path / "scratch"))
        command = (*dask, "worker", f"tcp://{address}", *quiet, *options)
        nodes = [stack.enter_context(process(*command, log=log)) for _ in range(2)]

        # The results come back to the driver, which is killed: what was in flight is lost with it.
        with driver("returned") as first:
            eventually(lambda: tried() >= 4 or first.poll() is not None, log)
        kept = list(Store(tmp_path).records())
        assert 0 < len(kept) < 12, log.read_text()
        before = attempts(tmp_path)

        # The workers write, and one of the two goes down with the run it has.
        with driver("shared") as second:
            eventually(lambda: tried() >= sum(before.values()) + 3 or second.poll() is not None, log)
            end(nodes[0])
            eventually(lambda: second.poll() is not None, log)
            assert second.returncode == 0, log.read_text()

    records = list(Store(tmp_path).records())
    assert sorted(record.run.seed for record in records) == list(range(12))
    assert all(record.status is Status.FINISHED for record in records)
    after = attempts(tmp_path)
    assert all(after[record.run.key] == before[record.run.key] for record in kept)
    # Two runs were in flight when the driver died, and one or its result on the node that went down.
    assert sum(after.values()) <= 12 + 2 + 2


SLURM = (
    STUDY
    + """
    from pathlib import Path
    import distributed

    tls = TLS(*(f"{folder}/{name}.pem" for name in ("ca", "certificate", "key")))
    made = distributed.Security.temporary()
    Path(tls.ca).write_text(made.tls_ca_file)
    Path(tls.certificate).write_text(made.tls_client_cert)
    Path(tls.key).write_text(made.tls_client_key)
    slurm = Slurm(jobs=2, cores=1, memory="2GB", walltime="00:30:00", partition="long", account="lab",
                  directives=("--gres=gpu:1",), prologue=("export MODULE=loaded",), host="127.0.0.1", tls=tls)
    with slurm.cluster() as cluster:
        print(cluster.job_script())
    outcome = execute(study, folder, engine=slurm, train=Training(folder))
    sys.exit(0 if outcome.complete else 1)
"""
)
SBATCH = """#!/bin/sh
cp "$1" {folder}/job.$$
setsid sh {folder}/job.$$ >> {folder}/log 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
echo "$1" >> {folder}/cancelled
kill -KILL -- "-$1"
"""


@pytest.mark.slow
def test_slurm_jobs_are_submitted_work_under_tls_and_are_cancelled(tmp_path):
    pytest.importorskip("dask_jobqueue")
    pytest.importorskip("cryptography")
    log, commands = tmp_path / "log", tmp_path / "bin"
    commands.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (commands / name).write_text(text.format(folder=tmp_path))
        (commands / name).chmod(stat.S_IRWXU)
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    code = textwrap.dedent(SLURM)
    with process(sys.executable, "-c", code, str(tmp_path), log=log, PATH=path) as driver:
        eventually(lambda: driver.poll() is not None, log)
        assert driver.returncode == 0, log.read_text()
    assert len(list(Store(tmp_path).records())) == 12
    assert set(attempts(tmp_path).values()) == {1}

    jobs = [path.read_text() for path in tmp_path.glob("job.*")]
    assert len(jobs) == 2
    assert len((tmp_path / "cancelled").read_text().split()) == 2
    for line in (
        "#SBATCH -p long",
        "#SBATCH -A lab",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --mem=2G",
        "#SBATCH -t 00:30:00",
        "#SBATCH --gres=gpu:1",
        "export OMP_NUM_THREADS=1",
        "export MODULE=loaded",
    ):
        assert all(line in job.splitlines() for job in jobs)
        assert line in log.read_text()
    for job in jobs:
        assert "tls://127.0.0.1:" in job
        assert "--nthreads 1" in job
        assert "--preload torch" in job
        assert f"--tls-ca-file {tmp_path}/ca.pem" in job
