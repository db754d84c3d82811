"""A file written whole: the old one or the new one, never a part."""

import os
from pathlib import Path

import pytest

from unitcircle._files import written_whole
from unitcircle.errors import ArgumentError


def test_the_name_is_taken_after_the_content_has_reached_the_disk(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda _: order.append("synced"))
    monkeypatch.setattr(Path, "replace", lambda *_: order.append("named"))
    with written_whole(tmp_path / "deep" / "file") as file:
        file.write(b"content")
    assert order == ["synced", "named"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="closed file"), written_whole(path) as file:
        file.close()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_an_argument_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="folder that can be written to"), written_whole(tmp_path / "file" / "x"):
        pass
