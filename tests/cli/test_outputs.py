"""Where the output of a command goes: never over an input, never half, and what a pipe or a full disk does to it."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from unitcircle.cli import main

ROOT = Path(__file__).parents[2]
POPULAR = ROOT / "examples" / "popular-lstm.safetensors"
COMMAND = [sys.executable, "-m", "unitcircle"]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A working directory with model.safetensors, which has findings."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(POPULAR.read_bytes())
    return path


def environment():
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    "options",
    [
        ["--output-file", "model.safetensors"],
        ["--output-file", "folder/../model.safetensors"],
        ["--output-file", "link.safetensors"],
        ["--html", "./model.safetensors"],
        ["--baseline", "model.safetensors", "--write-baseline"],
        ["--config", "settings.toml", "--output-file", "settings.toml"],
        ["--baseline", "known.json", "--output-file", "known.json"],
        ["--fix", "-o", "new", "--output-file", "new"],
        ["--output-file", "new", "--html", "new"],
    ],
)
def test_no_output_replaces_an_input_or_another_output(options, model, capsys):
    (model.parent / "folder").mkdir()
    Path("link.safetensors").symlink_to(model.name)
    Path("settings.toml").write_text("steps = 5\n")
    Path("known.json").write_text('{"schema": 1, "findings": []}')
    before = {path.name: path.read_bytes() for path in model.parent.iterdir() if path.is_file()}
    assert main(["diagnose", model.name, *options]) == 2
    assert "must name a file of its own" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in model.parent.iterdir() if path.is_file()} == before


def test_a_baseline_replaces_only_a_baseline(model, capsys):
    Path("other.json").write_text('{"precious": true}')
    assert main(["diagnose", model.name, "--baseline", "other.json", "--write-baseline"]) == 2
    assert "must be a baseline" in capsys.readouterr().err
    assert json.loads(Path("other.json").read_text()) == {"precious": True}
    assert main(["diagnose", model.name, "--baseline", "known.json", "--write-baseline"]) == 0
    assert main(["diagnose", model.name, "--baseline", "known.json", "--write-baseline"]) == 0


@pytest.mark.parametrize("form", ["json", "sarif", "gitlab", "junit", "github"])
@pytest.mark.parametrize("options", [["--fix", "-o", "fixed.safetensors"], ["--diff"]])
def test_a_format_is_all_that_is_printed(form, options, model, capsys):
    status = main(["diagnose", model.name, *options, "--output-format", form])
    out, err = capsys.readouterr()
    assert "recurrent orthogonal" in err
    assert status == (1 if options == ["--diff"] else 0)
    if form in {"json", "sarif", "gitlab"}:
        json.loads(out)
    else:
        assert out.startswith({"junit": "<?xml", "github": "::warning" if status else "\n"}[form]) or not out


def test_a_file_that_cannot_be_read_is_in_the_json_and_in_the_log(model, capsys):
    assert main(["diagnose", "nothing.pt", "--json"]) == 2
    out, err = capsys.readouterr()
    assert "nothing.pt" in json.loads(out)["files"][0]["error"]
    assert "unitcircle: nothing.pt" in err
    assert main(["diagnose", "nothing.pt", "--output-format", "sarif", "--output-file", "log.sarif"]) == 2
    assert "unitcircle: nothing.pt" in capsys.readouterr().err
    assert json.loads(Path("log.sarif").read_text())["runs"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--statistics", "--json"], "--statistics must be given with text"),
        (["--config", "a.toml", "--isolated"], "--isolated"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_options_that_would_be_dropped_without_a_word_are_refused(options, words, model, capsys):
    assert main(["diagnose", model.name, *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("buffering", [0, 8192])
@pytest.mark.parametrize(
    ("words", "status"),
    [(["diagnose", "model.safetensors", "--html", "page.html"], 1), (["--help"], 0), (["diagnose", "none.npz"], 2)],
)
def test_a_command_outlives_the_reader_of_its_output(words, status, buffering, model, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    for name, descriptor in (("stdout", write), ("stderr", os.dup(write))):
        pipe = io.FileIO(descriptor, "w")
        binary = io.BufferedWriter(pipe, buffering) if buffering else pipe
        monkeypatch.setattr(sys, name, io.TextIOWrapper(binary, write_through=not buffering))
    streams = sys.stdout, sys.stderr
    assert main(words) == status
    for stream in streams:
        stream.close()
    assert Path("page.html").exists() == ("page.html" in words)


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
PRINTING = [
    ["--help"],
    ["diagnose", "--help"],
    ["diagnose", "model.safetensors"],
    ["diagnose", "model.safetensors", "--json"],
    ["diagnose", "model.safetensors", "--output-format", "sarif"],
    ["diff", "model.safetensors", "model.safetensors"],
    ["radius", "--n", "8"],
    ["rule"],
    ["schema"],
    ["spectrum", "orthogonal"],
    ["study", "show", "quick", "--out", "."],
    ["watch", "run.jsonl"],
]


@FULL
@pytest.mark.parametrize("buffering", [0, 8192])
@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_full_disk_is_said_in_one_line(words, buffering, model, monkeypatch, capsys):
    Path("run.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    file = io.FileIO("/dev/full", "w")
    binary = io.BufferedWriter(file, buffering) if buffering else file
    with io.TextIOWrapper(binary, write_through=not buffering) as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 2
        sys.stdout.flush()  # as Python does at its end
    said = "unitcircle: the output cannot be written (No space left on device): what was printed is not whole\n"
    assert capsys.readouterr().err == said


@FULL
def test_a_log_on_a_full_disk_changes_no_status(model, monkeypatch, capsys):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert main(["diagnose", "nothing.pt"]) == 2
        assert main(["diagnose", "model.safetensors"]) == 1
    assert "UC" in capsys.readouterr().out


@FULL
def test_help_on_a_full_disk_does_not_end_the_process_as_done():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False, text=True
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_an_output_that_was_closed_before(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["rule"]) == 0
    sys.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_private_file_stays_private_when_it_is_repaired_in_place(model):
    model.chmod(0o600)
    assert main(["diagnose", model.name, "--fix", "--in-place"]) == 0
    assert stat.S_IMODE(model.stat().st_mode) == 0o600


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_repair_that_is_killed_leaves_the_file_whole(sent, tmp_path):
    path = tmp_path / "model.pt"
    lstm = torch.nn.LSTM(3, 16)
    torch.nn.init.orthogonal_(lstm.weight_hh_l0)
    torch.save(lstm.state_dict() | {"other": torch.zeros(20_000_000)}, path)
    before = path.read_bytes()
    process = subprocess.Popen(
        [*COMMAND, "diagnose", str(path), "--fix", "--in-place"], stdout=subprocess.DEVNULL, env=environment()
    )
    while process.poll() is None and not list(tmp_path.glob(".model.pt.*")):
        time.sleep(0.001)
    process.send_signal(sent)
    process.wait()
    assert process.returncode != 0
    assert path.read_bytes() == before
    if sent != signal.SIGKILL:  # which nothing can clean up behind
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_more_files_than_a_process_may_open(tmp_path):
    np.savez(tmp_path / "0.npz", **{"rnn.weight_hh_l0": np.eye(8), "rnn.weight_ih_l0": np.ones((8, 3))})
    for place in range(1, 120):
        (tmp_path / f"{place}.npz").write_bytes((tmp_path / "0.npz").read_bytes())
    script = 'ulimit -n 64; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "diagnose", f"{tmp_path}/*.npz", "--statistics", "--fail-on", "never"],
        capture_output=True,
        env=environment(),
        check=False,
        text=True,
    )
    assert "120 files" in done.stdout
    assert "cannot be read" not in done.stdout
    assert done.returncode == 0, done.stderr
