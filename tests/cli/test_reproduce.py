"""``unitcircle reproduce``, run as a user runs it."""

import pytest

from unitcircle import cli
from unitcircle.cli._reproduce import reproduce as command
from unitcircle.experiments import reproduce as measuring


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "reproduce", command)


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
