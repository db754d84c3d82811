"""``unitcircle reproduce``, run as a user runs it."""

import os
import signal
import time

import pytest
from matplotlib.figure import Figure

import unitcircle_reproduction as measuring
from unitcircle import cli
from unitcircle.cli import INTERRUPTED
from unitcircle_reproduction import Claim, Text, Verdict


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_measured(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measuring, "reproduce", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    assert cli.main(["reproduce", "radius", "--out", str(tmp_path / name)]) == 2
    said = "".join(capsys.readouterr())
    assert "--out must be a folder that can be written to" in " ".join(said.split())


def test_a_folder_is_made_and_left_without_a_trace_of_the_check(tmp_path, monkeypatch):
    out = tmp_path / "new" / "folder"
    found = []
    monkeypatch.setattr(measuring, "reproduce", lambda *_: found.extend([out.is_dir(), *out.iterdir()]) or [])
    monkeypatch.setattr(measuring, "write_report", lambda *_, **__: out)
    assert cli.main(["reproduce", "radius", "--out", str(out)]) == 0
    assert found == [True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_reproduction_that_ends_early_leaves_the_page_of_what_was_measured(error, tmp_path, monkeypatch, capsys):
    def claims(_):
        yield Claim("first", "The first", "He says 3.", "We find 3.", Verdict.HOLDS)
        raise error

    monkeypatch.setitem(measuring.TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": claims}))
    if error is KeyboardInterrupt:
        assert cli.main(["reproduce", "text", "--full", "--out", str(tmp_path)]) == INTERRUPTED
        assert "run again to go on" in capsys.readouterr().out
    else:
        assert cli.main(["reproduce", "text", "--full", "--out", str(tmp_path)]) == 2
        assert "unexpected error, RuntimeError" in capsys.readouterr().err
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "He says 3." in page
    assert "Stopped here" in page


def test_the_page_is_written_after_each_claim_and_each_claim_is_drawn_once(tmp_path, monkeypatch):
    pages, drawings = [], []

    def draw():
        drawings.append(None)
        figure = Figure()
        figure.subplots()
        return figure

    def claims(_):
        for name in ("first", "second", "third"):
            pages.append((tmp_path / "index.html").read_text(encoding="utf-8") if name != "first" else "")
            yield Claim(name, f"The {name}", "He says 3.", f"We find the {name}.", Verdict.HOLDS, figures={"a": draw})

    monkeypatch.setitem(measuring.TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": claims}))
    assert cli.main(["reproduce", "text", "--out", str(tmp_path)]) == 0
    assert ["We find the first." in page for page in pages] == [False, True, True]
    assert ["We find the second." in page for page in pages] == [False, False, True]
    assert all("Stopped here" in page for page in pages[1:])
    assert "Stopped here" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(drawings) == 2 * 3  # one as a file, one in the page


def test_sigterm_ends_a_reproduction_as_an_interrupt_does(tmp_path, monkeypatch, capsys):
    def claims(_):
        yield Claim("first", "The first", "He says 3.", "We find 3.", Verdict.HOLDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setitem(measuring.TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": claims}))
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the test must outlive a command that does not listen
    try:
        assert cli.main(["reproduce", "text", "--out", str(tmp_path)]) == INTERRUPTED
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "run again to go on" in capsys.readouterr().out
    assert "We find 3." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_was_said_is_on_the_page_though_it_was_being_written_when_the_command_was_stopped(
    tmp_path, monkeypatch, capsys
):
    def draw():
        if not drawings:
            drawings.append("stopped")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        figure = Figure()
        figure.subplots()
        return figure

    def claims(_):
        yield Claim("first", "The first", "He says 3.", "We find 3.", Verdict.HOLDS, figures={"a": draw})

    drawings = []
    monkeypatch.setitem(measuring.TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": claims}))
    assert cli.main(["reproduce", "text", "--out", str(tmp_path)]) == INTERRUPTED
    assert "no claim" not in capsys.readouterr().out
    assert "We find 3." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_nothing_measured_writes_no_page(tmp_path, monkeypatch):
    def claims(_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setitem(measuring.TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": claims}))
    assert cli.main(["reproduce", "text", "--out", str(tmp_path)]) == INTERRUPTED
    assert not (tmp_path / "index.html").exists()
