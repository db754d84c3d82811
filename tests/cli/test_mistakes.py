"""Mistakes on the command line: each ends with status 2 and says what is wrong, and none with a traceback."""

import sys

import numpy as np
import pytest

from unitcircle import cli

SENTENCES = {
    "diagnos x": "Did you mean 'diagnose'?",
    "spectrm orthogonal": "Did you mean 'spectrum'?",
    "Study run quick": "command must be one of",
    "frobnicate": "command must be one of",
    "diagnose": "at least one file",
    "diagnose nothing.pt": "nothing.pt",
    "diagnose no*thing.pt": "which matches none",
    "diagnose square.npy text.txt --html page.html": "one file",
    "diagnose square.npy --write-baseline": "--baseline",
    "diagnose square.npy --baseline text.txt": "baseline",
    "diagnose square.npy --config text.txt": "settings",
    "diagnose square.npy --severity UC101": "--severity",
    "diagnose square.npy --per-file-ignores UC101": "--per-file-ignores",
    "diagnose nothing.pt --html page.html": "nothing.pt",
    "diagnose empty.pt": "empty",
    "diagnose text.txt": "text.txt",
    "diagnose text.onnx": "text.onnx",
    "diagnose folder": "folder",
    "diagnose broken.npz": "broken.npz",
    "diagnose square.npy --steps 0": "steps",
    "diagnose square.npy --steps -3": "steps",
    "diagnose square.npy --select UC999": "UC999",
    "diagnose square.npy --ignore XX": "XX",
    "diagnose square.npy --tensor Q": "'Q'",
    "diagnose square.npy --tensor recurrent=": "tensor",
    "diagnose square.npy --layout torhc": "layout",
    "diagnose square.npy --data nothing.npy": "--data",
    "diagnose square.npy --data text.txt": "--data",
    "diagnose square.npy --leak 2": "leak",
    "diagnose no_module:net": "no_module:net",
    "diagnose json:nothing": "json:nothing",
    "diagnose json:dumps": "without arguments",
    "diagnose os:getcwd": "torch.nn.Module",
    "diagnose os:sep": "path must name",
    "diagnose square.npy --seed -1": "seed",
    "explain UC999": "UC999",
    "explain uc": "must be one of",
    "radius --n 0": "n must",
    "radius --n -3": "n must",
    "radius --std 0": "std",
    "radius --std -1": "std",
    "radius --std nan": "std",
    "radius --draws -1": "--draws",
    "radius --std inf": "std",
    "radius --draws 100000000000": "--draws must have at most 100,000,000,000 entries",
    "radius --n 100000 --draws 1000": "1,000 weights of 100,000 units",
    "radius --n 4 --figure radius.xyz": "xyz",
    "spectrum": "weights must be at least one",
    "spectrum nothing.npy": "nothing.npy",
    "spectrum rectangular.npy": "square",
    "spectrum orthgonal": "Did you mean 'orthogonal'?",
    "spectrum eigen(modulus=": "eigen(modulus=",
    "spectrum eigen(modulos=1)": "Did you mean 'modulus'?",
    "spectrum eigen(modulus=x)": "modulus",
    "spectrum eigen(modulus=-1)": "modulus",
    "spectrum chrono(max_steps=9)": "which is a bias",
    "spectrum orthogonal --n 0": "n must",
    "spectrum orthogonal --n -1": "n must",
    "spectrum orthogonal --n 100000000000": "--n must be at most 10,000",
    "spectrum orthogonal --n 8 --steps -1": "steps",
    "spectrum orthogonal --n 8 --steps 100000000000": "--steps must be at most 1,000,000",
    "spectrum square.npy --steps 1000001": "--steps must be at most 1,000,000",
    "spectrum orthogonal --seed -1": "seed",
    "spectrum folder": "folder",
    "spectrum nan.npy": "finite",
    "spectrum vector.npy": "square",
    "spectrum texts.npy": "texts.npy",
    "spectrum orthogonal --n 8 --figure x.xyz": "xyz",
    "study run nothing.toml": "nothing.toml",
    "study run text.txt": "text.txt",
    "study run quikc": "quikc",
    "study show nothing": "nothing",
    "study compare text.toml": "text.toml",
    "study run quick --engine ray": "engine",
    "study run quick --engine dask://": "engine",
    "study run quick --workers 0": "workers",
    "study run quick --minutes -1": "minutes",
    "study run quick --minutes nan": "minutes",
    "study run quick --timeout 0": "timeout must be positive",
    "study run quick --timeout nan": "timeout must be positive",
    "study run quick --engine here --timeout 5": "the engine here",
    "study run quick --engine dask://127.0.0.1:99999": "HOST:PORT",
    "study run quick --engine slurm --jobs 0": "jobs",
    "study run quick --tls a b c": "--tls is not an option",
    "study run quick --gpu-fraction 2": "gpu_fraction",
    "study run quick --out text.txt": "text.txt",
    "study compare quick --figure x.xyz": "xyz",
    "study export quick --csv runs.txt": "--csv must end in .csv",
    "study run quick --jobs 2": "--jobs",
    "study query quick select": "study",
    "watch nothing.jsonl": "nothing.jsonl",
    "watch folder": "folder",
    "watch text.txt": "must hold records",
    "watch empty.pt": "must hold records",
    "reproduce radios": "Did you mean 'radius'?",
    "reproduce radius --quick --full": "exclude each other",
    "reproduce radius --seed 100": "seed",
    "reproduce prediction --records nothing": "records",
}  # fmt: skip
"""The words → what the one line on the standard error stream holds."""
BOXES = {
    "diagnose x --stps 3": "--steps",
    "diagnose x --steps abc": "--steps",
    "diagnose x --fail-on maybe": "--fail-on",
    "radius --n ten": "--n",
    "spectrum orthogonal --n 1.5": "--n",
    "study": "Missing subcommand",
    "study rum quick": "Available subcommands",
    "study run": "Missing from unitcircle study run",
    "watch": "Missing from unitcircle watch",
    "watch a b": "Unrecognized",
    "--vresion": "Unrecognized",
}
"""What the parser refuses, in a box."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "empty.pt").touch()
    (tmp_path / "folder").mkdir()
    for name in ("text.txt", "text.onnx", "text.toml", "broken.npz"):
        (tmp_path / name).write_bytes((b"PK\3\4" if name == "broken.npz" else b"") + b"no weights\n")
    np.save(tmp_path / "square.npy", 0.5 * np.eye(3))
    np.save(tmp_path / "rectangular.npy", np.ones((4, 5)))
    np.save(tmp_path / "vector.npy", np.ones(4))
    np.save(tmp_path / "nan.npy", np.full((3, 3), np.nan))
    np.save(tmp_path / "texts.npy", np.array([["a", "b"], ["c", "d"]]))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", SENTENCES)
def test_a_mistake_is_a_sentence(words, capsys):
    assert cli.main(words.split(" ")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("unitcircle: ")
    assert "unexpected error" not in line
    assert SENTENCES[words] in line


def test_the_table_is_large():
    assert len(SENTENCES) + len(BOXES) > 60


@pytest.mark.parametrize("words", BOXES)
def test_a_mistake_of_the_parser_is_a_box(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words.split(" "))
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert BOXES[words] in err
    assert "Traceback" not in err


@pytest.mark.parametrize("error", [RuntimeError("first\nsecond \x1b[2J\ud800"), RecursionError("deep")])
def test_an_unexpected_error_is_a_line_that_names_a_log(error, tmp_path, monkeypatch, capsys):
    def fail() -> int:
        """Fail."""
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(cli.COMMANDS, "explain", fail)
    assert cli.main(["explain"]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    (log,) = tmp_path.glob("unitcircle-*.log")
    assert out == ""
    assert line.startswith(f"unitcircle: unexpected error, {type(error).__name__}: ")
    assert line.endswith(f"; please report it with {log}")
    assert "\x1b" not in line
    text = log.read_text(encoding="utf-8")
    assert f"Python {sys.version}" in text
    assert "['explain']" in text
    assert "Traceback (most recent call last)" in text
    assert "raise error" in text


def test_where_memory_ends_the_line_says_so(monkeypatch, capsys):
    def fail() -> int:
        """Fail."""
        raise MemoryError("Unable to allocate 745. GiB")

    monkeypatch.setitem(cli.COMMANDS, "explain", fail)
    assert cli.main(["explain"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "unitcircle: there is not enough memory (Unable to allocate 745. GiB): ask for fewer units, steps, draws or "
        "sequences"
    )


def test_where_no_log_can_be_written_the_line_is_printed_all_the_same(tmp_path, monkeypatch, capsys):
    def fail() -> int:
        """Fail."""
        raise RuntimeError("why")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.setitem(cli.COMMANDS, "explain", fail)
    assert cli.main(["explain"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("unitcircle: unexpected error, RuntimeError: why; its log cannot be written")


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def stop() -> int:
        """Stop."""
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "explain", stop)
    assert cli.main(["explain"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == ""
