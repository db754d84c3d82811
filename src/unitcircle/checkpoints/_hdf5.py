"""HDF5 files without trust: h5py says in a process of its own where the arrays lie, and we read the bytes here."""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from unitcircle.checkpoints._room import ask, take, work
from unitcircle.checkpoints._tensor import of_bfloat16
from unitcircle.errors import CheckpointError, MissingExtraError

# Why not h5py alone: libhdf5 crashes and hangs on damaged files, and would take this process with it. Why h5py at all:
# the structure around the arrays (B-trees, heaps, object headers in two versions) is too large to write again. So a
# process that may die reads the structure; the bytes of arrays are read and decompressed here, within a limit.

PATIENCE = 60.0
"""Seconds after which a file that libhdf5 still ponders counts as damaged, where its processor's time has no limit."""
STARTUP = 60.0
"""Seconds given to the process to load h5py."""
MAX_ANSWER = 16 << 20
"""Characters of the longest index: 50,000 arrays with names of 200 characters."""
PROCESS_MEMORY = 128 << 20
"""Bytes of data of the process, beyond the size of the file; it ends before an array is read."""
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
CHECKSUM_BYTES = 4
STEPS_OF_CHUNK = 20


class Hdf5Process:
    """A process in which h5py indexes HDF5 files, so that a crash or a hang of it harms nobody."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        if importlib.util.find_spec("h5py") is None:
            raise MissingExtraError("reading Keras files", "h5py", "formats")
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def index(self, path: Path, /, *, shown: Path | None = None) -> dict[str, Any]:
        """Return where every array of a file lies."""
        limit = PROCESS_MEMORY + path.stat().st_size
        answer = json.loads(self._ask(json.dumps([str(path), limit])) or "{}")
        if "index" in answer:
            return answer["index"]
        if "refused" in answer:
            message = (
                f"{shown or path} is refused: it {answer['refused']}. "
                "Save the weights again from Keras, with model.save_weights, into one plain file."
            )
            raise CheckpointError(message)
        reason = answer.get("damaged", "the HDF5 library crashed or never finished")
        message = f"{shown or path} cannot be read: not a sound HDF5 file ({reason}). Copy or save it again."
        raise CheckpointError(message)

    def _ask(self, line: str) -> str:
        process = self._process or self._start()
        return self._answer(process, line, self._patience) if process is not None else ""

    def _start(self) -> subprocess.Popen[str] | None:
        # One thread: the process must start fast, and BLAS threads would count against its memory.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("_hdf5_index.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        # The first answer says that h5py is loaded: a slow machine does not count against the file.
        return process if self._answer(process, "", STARTUP) else None

    def _answer(self, process: subprocess.Popen[str], line: str, patience: float) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(patience, process.kill)
        timer.start()
        try:
            if line:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            answer = process.stdout.readline(MAX_ANSWER)
        except OSError:  # the process died with the pipe open
            answer = ""
        finally:
            timer.cancel()
        if answer.endswith("\n"):
            return answer
        self._stop()
        return ""

    def _stop(self) -> None:
        if (process := self._process) is not None:
            process.kill()
            process.communicate()
            self._process = None


class Hdf5File(Mapping[str, np.ndarray]):
    """The floating-point arrays of an HDF5 file by path, each read, checked and bounded when it is asked for."""

    def __init__(self, path: str | Path, /, *, process: Hdf5Process | None = None, shown: Path | None = None) -> None:
        self._path = Path(path)
        self._shown = shown or self._path
        with nullcontext(process) if process is not None else Hdf5Process() as indexing:
            index = indexing.index(self._path, shown=self._shown)
        self.attributes: dict[str, Any] = index["attributes"]
        self.shapes: dict[str, tuple[int, ...] | None] = {
            name: None if entry["shape"] is None else tuple(entry["shape"]) for name, entry in index["datasets"].items()
        }
        self._entries: dict[str, Any] = {
            name: entry
            for name, entry in index["datasets"].items()
            if entry["shape"] is not None and entry["type"] is not None
        }
        self._size = self._path.stat().st_size

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, name: str) -> np.ndarray:
        """Read one array."""
        entry = self._entries[name]
        bits = np.dtype("<u2" if entry["type"] == "bfloat16" else entry["type"])
        shape = tuple(entry["shape"])
        nbytes = math.prod(shape) * bits.itemsize
        take(nbytes, f"the array {name!r:.80}")
        if "inline" in entry:
            data = base64.b64decode(entry["inline"])
        elif "offset" in entry:
            data = self._bytes(name, entry["offset"], nbytes)
        else:
            return self._join_chunks(name, entry, bits, shape)
        if len(data) != nbytes:
            raise self._error(name, f"declares {nbytes} bytes and holds {len(data)}")
        return _decode(np.frombuffer(data, bits).reshape(shape), entry["type"])

    def dtype(self, name: str, /) -> str:
        """Return the element type an array is stored in: ``"float32"``, or ``"bfloat16"``, which NumPy cannot name."""
        kind = self._entries[name]["type"]
        return kind if kind == "bfloat16" else np.dtype(kind).name

    def _join_chunks(self, name: str, entry: dict[str, Any], bits: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        chunk = tuple(entry["chunk"])
        nbytes = math.prod(chunk) * bits.itemsize
        # A chunk at the edge is stored whole, so that it may exceed the array, but not each of its sides by far.
        if min(chunk) < 1:
            raise self._error(name, f"is cut into chunks of {nbytes} bytes")
        ask(nbytes, f"a chunk of the array {name!r:.80}")
        if math.prod(math.ceil(n / c) for n, c in zip(shape, chunk, strict=True)) != len(entry["chunks"]):
            raise self._error(name, f"does not hold all of its chunks, only {len(entry['chunks'])}")
        result = np.zeros(shape, bits)
        for corner, offset, size, mask in entry["chunks"]:
            work(STEPS_OF_CHUNK + (nbytes >> 10), "its chunks")
            data = self._bytes(name, offset, size)
            for position, method in reversed(list(enumerate(entry["filters"]))):
                if not mask >> position & 1:
                    data = self._undo_filter(name, data, method, nbytes, bits.itemsize)
            if len(data) != nbytes:
                raise self._error(name, f"has a chunk of {len(data)} bytes where {nbytes} belong")
            target = result[tuple(slice(start, start + side) for start, side in zip(corner, chunk, strict=True))]
            piece = np.frombuffer(data, bits).reshape(chunk)
            target[...] = piece[tuple(slice(side) for side in target.shape)]
        return _decode(result, entry["type"])

    def _undo_filter(self, name: str, data: bytes, method: int, nbytes: int, itemsize: int) -> bytes:
        # Not by libhdf5: memory is bounded by the size of a chunk, whatever the stream says.
        if method == DEFLATE:
            # At most one chunk and its checksum.
            inflater = zlib.decompressobj()
            try:
                return inflater.decompress(data, nbytes + CHECKSUM_BYTES)
            except zlib.error as error:
                raise self._error(name, f"has a damaged compressed chunk ({error})") from error
        if method == SHUFFLE:
            # First bytes of all entries, then all second ones: these compress better.
            count = len(data) // itemsize
            planes = np.frombuffer(data, np.uint8, count * itemsize).reshape(itemsize, count)
            return planes.T.tobytes() + data[count * itemsize :]
        if method == FLETCHER32:
            return data[:-CHECKSUM_BYTES]
        raise self._error(name, f"is compressed by filter {method}, which is neither gzip nor shuffle")

    def _bytes(self, name: str, offset: int | None, nbytes: int) -> bytes:
        if nbytes == 0:
            return b""
        if offset is None or offset < 0 or offset + nbytes > self._size:
            raise self._error(name, f"declares {nbytes} bytes at {offset} in a file of {self._size}")
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(nbytes)

    def _error(self, name: str, what: str) -> CheckpointError:
        return CheckpointError(f"{self._shown} cannot be read: the array {name!r} {what}. Copy or save it again.")


def _decode(array: np.ndarray, kind: str) -> np.ndarray:
    return of_bfloat16(array) if kind == "bfloat16" else array.astype(array.dtype.newbyteorder("="), copy=False)
