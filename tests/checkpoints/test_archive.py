"""Zip archives: every member as Python reads it, and no trust in what the archive declares."""

import struct
import zipfile
import zlib

import pytest

from unitcircle.checkpoints import _room
from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._room import room
from unitcircle.errors import CheckpointError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stored", b"abc" * 100)
        archive.writestr("deflated", bytes(100_000), zipfile.ZIP_DEFLATED)
        archive.writestr("bzip2", b"abc", zipfile.ZIP_BZIP2)
    return path


def test_members(path):
    archive = Archive(path)
    assert archive.names == ["stored", "deflated", "bzip2"]
    assert "stored" in archive
    assert bytes(archive.read("stored")) == b"abc" * 100
    assert bytes(archive.read("deflated")) == bytes(100_000)
    assert (archive.head("stored", 4), archive.head("deflated", 4)) == (b"abca", bytes(4))
    assert archive.size("deflated") == 100_000


@pytest.mark.parametrize(("name", "message"), [("none", "has no member 'none'"), ("bzip2", "unusual way")])
def test_what_is_not_read(path, name, message):
    with pytest.raises(CheckpointError, match=message):
        Archive(path).read(name)


def test_a_bomb_is_refused_by_its_declared_size(path, monkeypatch):
    monkeypatch.setattr(_room, "ALLOWANCE", 0)
    with room(), pytest.raises(CheckpointError, match=r"what its archive unpacks to would take 97 KB .*hostile"):
        Archive(path).read("deflated")


def test_a_member_read_often_uses_up_the_limit(path, monkeypatch):
    monkeypatch.setattr(_room, "ALLOWANCE", 250_000)
    with room():
        archive = Archive(path)
        archive.read("deflated")
        archive.read("deflated")
        with pytest.raises(CheckpointError, match="refused in case it is hostile"):
            archive.read("deflated")


def damaged(path, place, content):
    data = bytearray(path.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(data)
    return path


def test_a_wrong_byte_is_found_by_the_checksum(path):
    with pytest.raises(CheckpointError, match="checksum of member 'stored' is wrong"):
        Archive(damaged(path, 40, b"x")).read("stored")


def test_a_damaged_compressed_member(path):
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("deflated").header_offset + 38
    with pytest.raises(CheckpointError, match="'deflated' is damaged"):
        Archive(damaged(path, start, b"\xff" * 8)).read("deflated")


def central(path, name, field, content):
    """Change a field of a member's entry in the central directory."""
    entry = path.read_bytes().rindex(name.encode()) - 46
    return damaged(path, entry + field, content)


@pytest.mark.parametrize(
    ("name", "field", "content", "message"),
    [
        ("stored", 42, struct.pack("<I", 7), "not where the directory says"),
        ("stored", 42, struct.pack("<I", 1 << 30), "not where the directory says"),
        ("stored", 24, struct.pack("<I", 1 << 30), "truncated"),
        ("stored", 24, struct.pack("<I", 200), "truncated"),
        ("deflated", 24, struct.pack("<I", 200_000), "'deflated' is (truncated|damaged)"),
        ("deflated", 8, struct.pack("<H", 1), "'deflated' is damaged or encrypted"),
    ],
)
def test_a_directory_that_lies(path, name, field, content, message):
    with pytest.raises(CheckpointError, match=message):
        Archive(central(path, name, field, content)).read(name)


def test_a_truncated_archive_says_where_the_directory_was(path):
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="its directory, which is at the end, is missing"):
        Archive(path)


def test_a_damaged_directory(path):
    data = path.read_bytes()
    with pytest.raises(CheckpointError, match="damaged or truncated zip archive"):
        Archive(damaged(path, data.rindex(b"PK\x01\x02"), b"XXXX"))


def test_an_oversized_directory_is_refused_before_it_is_parsed(path):
    end = path.read_bytes().rindex(b"PK\x05\x06")
    with pytest.raises(CheckpointError, match="claims 1073741824 bytes"):
        Archive(damaged(path, end + 12, struct.pack("<I", 1 << 30)))


def test_the_directory_of_a_64_bit_archive(tmp_path, monkeypatch):
    path = tmp_path / "zip64"
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x")
    data = bytearray(path.read_bytes())
    assert b"PK\x06\x06" in data
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = b"\xff" * 4
    path.write_bytes(data)
    assert bytes(Archive(path).read("a")) == b"x"
    record = data.rindex(b"PK\x06\x06")
    data[record + 40 : record + 48] = struct.pack("<Q", 1 << 40)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=f"claims {1 << 40} bytes"):
        Archive(path)
    # Python reads the 64-bit record whenever there is a locator, whatever the ordinary record says.
    data[end + 12 : end + 16] = struct.pack("<I", 40)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=f"claims {1 << 40} bytes"):
        Archive(path)


def test_the_directory_is_parsed_once_and_a_checksum_computed_once(path, monkeypatch):
    archive = Archive(path)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    checked = []
    crc32 = zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda content: checked.append(1) or crc32(content))
    for _ in range(3):
        assert bytes(archive.read("stored")) == b"abc" * 100
    assert checked == [1]


def test_an_archive_inside_of_a_file(path, tmp_path):
    content = b"before" + path.read_bytes() + b"behind"
    archive = Archive(path, memoryview(content)[6 : 6 + path.stat().st_size])
    assert bytes(archive.read("stored")) == b"abc" * 100
    assert bytes(archive.read("deflated")) == bytes(100_000)


def test_a_long_name_is_cut_in_messages(tmp_path):
    with zipfile.ZipFile(tmp_path / "long", "w") as archive:
        archive.writestr("n" * 60_000, b"content")
    with pytest.raises(CheckpointError) as caught:
        Archive(tmp_path / "long").read("m" * 60_000)
    assert len(str(caught.value)) < 300
