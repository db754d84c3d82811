"""What the command line prints of foreign origin, and in which encodings."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from unitcircle import cli
from unitcircle._printable import printable
from unitcircle.cli import main
from unitcircle.cli._terminal import in_ascii
from unitcircle.diagnosis import diagnose
from unitcircle.errors import CheckpointError, UnitcircleError
from unitcircle.recurrence import from_torch

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


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "words", [["diagnose", "examples/popular-lstm.safetensors"], ["spectrum", "orthogonal", "chain"]]
)
def test_ascii_is_ascii_at_any_width(words, width, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("unitcircle.cli._terminal.PLAIN_WIDTH", width)
    printed = {}
    for options in ([], ["--ascii"]):
        buffer = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="utf-8"))
        main([*options, *words])
        sys.stdout.flush()
        printed[bool(options)] = buffer.getvalue()
    text = printed[True].decode("ascii")
    assert "\\u" not in text
    assert "\x1b" not in text
    plain = printed[False].decode().splitlines()
    assert max(map(len, plain)) <= width
    # What stands for a sign may be longer than it: lines are folded after that.
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    first = plain[0] if words[0] == "diagnose" else ""
    assert " ".join(text.split()).startswith(first)  # the answer


def test_every_sign_of_our_texts_has_ascii_letters():
    signs = set("ρσλ∂₁₂×→‖≥≤·−²…±√∞–αβγδετφωΣΔ▲▼█┃▁▂▃▄▅▆▇ᵗᵀ✓ᵢⁿ½")
    assert {sign: in_ascii(sign) for sign in signs if "\\" in in_ascii(sign) or not in_ascii(sign).isascii()} == {}
    assert [in_ascii(sign) for sign in "ρλ₂‖"] == ["rho", "lambda", "2", "|"]
    assert in_ascii("表") == "\\u8868"


def test_a_pipe_gets_no_blanks_at_the_ends_of_lines(capsys):
    path = Path(__file__).parents[2] / "examples" / "popular-lstm.safetensors"
    assert main(["diagnose", str(path), "--fail-on", "never"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert "lstm     lstm  64  i      0.524" in "\n".join(lines)


def test_long_lists_are_folded_and_say_where_the_rest_is():
    layers = [from_torch(np.eye(4) * (2 if k == 50 else 1), cell="rnn_tanh", name=f"rnn{k}.") for k in range(60)]
    layers[50] = from_torch(np.full((4, 4), np.nan), cell="rnn_tanh", name="rnn50.")
    text = str(diagnose(layers, steps=3))
    assert text.count("rnn_tanh ") == 40
    assert "and 20 further layers: --html and --json have all" in text
    table = text.partition("layer ")[2]
    assert table.index("rnn50.") < table.index("rnn0.")
    assert len(text.splitlines()) < 130
