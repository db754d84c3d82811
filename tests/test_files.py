"""A file written whole: the old one or the new one, never a part."""

import errno
import os
import stat
from pathlib import Path

import pytest

from unitcircle.errors import ArgumentError
from unitcircle.report import written_whole


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


def test_an_interrupt_while_the_file_is_made_leaves_nothing(tmp_path, monkeypatch):
    created = os.open

    def interrupted(*arguments, **options):
        os.close(created(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "page.html"):
        pass
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_an_argument_error_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    pattern = r"folder.*Is a directory.*Nothing was changed"
    with pytest.raises(ArgumentError, match=pattern), written_whole(tmp_path / "folder") as file:
        file.write(b"content")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    pattern = r"must be a file that can be written; got .*No space left"
    with pytest.raises(ArgumentError, match=pattern), written_whole(tmp_path / "file") as file:
        file.write(b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(ArgumentError, match="No space left"), written_whole("/dev/full") as file:
        file.write(b"content")


def test_a_folder_that_is_a_file_is_an_argument_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="folder that can be written to"), written_whole(tmp_path / "file" / "x"):
        pass


@pytest.fixture
def umask():
    """Set the process's umask; the one before is back after the test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o027, 0o077])
def test_a_file_has_the_mode_that_open_would_give_it(tmp_path, umask, mask):
    umask(mask)
    with written_whole(tmp_path / "whole") as file:
        file.write(b"content")
    (tmp_path / "opened").write_bytes(b"content")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"whole": 0o666 & ~mask, "opened": 0o666 & ~mask}
    # Reading the umask, which only setting it can do, has left it as it was.
    assert os.umask(mask) == mask


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "real.txt").write_bytes(b"old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with written_whole(tmp_path / "link.txt") as file:
        file.write(b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with written_whole(pipe) as file:
        file.write(b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "loop", "loop/x"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ArgumentError, match="must be a name that a file can have"), written_whole(tmp_path / name):
        pytest.fail("it was opened")
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]
