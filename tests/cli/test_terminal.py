"""What the command line prints of foreign origin, and in which encodings."""

import io
import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from unitcircle import cli
from unitcircle._printable import printable
from unitcircle.cli import main
from unitcircle.errors import CheckpointError, UnitcircleError

CONTROL = [*range(32), *range(127, 160), 0x2028, 0x202E, 0x2066, 0xFEFF]


@pytest.mark.parametrize("code", CONTROL)
def test_what_is_not_printed(code):
    char = chr(code)
    assert char not in printable(f"a{char}b")
    assert printable(f"a{char}b").encode().decode("unicode_escape") == f"a{char}b"


@pytest.mark.parametrize("text", ["", "lstm.weight_hh", "ρ σ₁ × ‖W‖", "表 é"])
def test_what_is_printed_as_it_is(text):
    assert printable(text) == text


def test_half_of_a_surrogate_pair():
    assert printable("a\ud800") == "a\\ud800"


EVIL = "\x1b[2J\x1b]0;owned\x07\u202e\nno findings"


@pytest.mark.parametrize("options", [[], ["--json"], ["--html", "report.html"]])
def test_a_name_cannot_move_the_cursor_or_forge_a_line(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    save_file({f"{EVIL}.weight_hh": np.eye(4), f"{EVIL}.skipped": np.eye(3)}, "evil.safetensors")
    main(["diagnose", "evil.safetensors", "--fail-on", "never", *options])
    out = capsys.readouterr().out
    assert not set(map(ord, out)) & (set(CONTROL) - {10})
    assert "no findings.weight_hh" not in out.splitlines()


def test_a_name_that_cannot_be_encoded(tmp_path, monkeypatch, capsys):
    header = json.dumps({"\ud800.weight_hh": {"dtype": "F64", "shape": [2, 2], "data_offsets": [0, 32]}}).encode()
    (tmp_path / "s.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(32))
    for options in ([], ["--json"], ["--html", str(tmp_path / "report.html")]):
        assert main(["diagnose", str(tmp_path / "s.safetensors"), "--fail-on", "never", *options]) == 0
        capsys.readouterr().out.encode()
    assert "\\ud800" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_prints_a_report(tmp_path, monkeypatch, encoding):
    np.save(tmp_path / "W.npy", np.eye(3))
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    assert main(["diagnose", str(tmp_path / "W.npy"), "--fail-on", "never"]) == 0
    sys.stdout.flush()
    text = buffer.getvalue().decode(encoding)
    assert ("ρ" if encoding == "utf-8" else "rho") in text


def fail(error):
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize("message", ["name \x1b[31mred", "name\nunitcircle: no findings"])
def test_an_error_is_printed_on_one_line_without_control_characters(monkeypatch, capsys, message):
    monkeypatch.setitem(cli.COMMANDS, "radius", fail(CheckpointError(message)))
    assert main(["radius"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_a_long_error_loses_its_middle(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "radius", fail(UnitcircleError("first " + "x" * 10**6 + " last")))
    assert main(["radius"]) == 2
    err = capsys.readouterr().err
    assert len(err) < 2100
    assert err.startswith("unitcircle: first")
    assert err.endswith(" last\n")
