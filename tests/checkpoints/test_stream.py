"""A buffer as a file: the same answers as Python's own file in memory."""

import io

import pytest

from unitcircle.checkpoints._stream import Stream

CONTENT = b"first\n" + b"x" * 1000 + b"\n\nlast"


def test_it_reads_as_a_file_does():
    for stream in (io.BytesIO(CONTENT), Stream(memoryview(CONTENT))):
        assert [stream.readline() for _ in range(5)] == [*CONTENT.splitlines(keepends=True), b""]
        assert stream.tell() == len(CONTENT)
        assert (stream.seek(-4, io.SEEK_END), stream.read(2), stream.seek(1, io.SEEK_CUR)) == (1004 + 4, b"la", 1011)
        assert (stream.read(), stream.read(3), stream.seek(2), stream.read(4)) == (b"t", b"", 2, b"rst\n")
        assert stream.read(None) == CONTENT[6:]
        assert stream.seekable()
        stream.close()


@pytest.mark.parametrize("count", [1 << 62, 1 << 100])
def test_a_huge_count_allocates_nothing(count):
    assert Stream(b"abc").read(count) == b"abc"


def test_a_place_behind_the_end_is_empty():
    stream = Stream(b"abc")
    stream.seek(100)
    assert stream.read(5) == b""
    assert stream.tell() == 100
