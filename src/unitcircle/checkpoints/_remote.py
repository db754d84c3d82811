"""Files behind an address (``hf://``, ``https://``, ``s3://``): only headers and needed tensors are fetched."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard

from unitcircle._progress import Progress
from unitcircle.checkpoints._folder import READABLE, shard_names
from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._safetensors import Source, tensors_of
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError, MissingExtraError

MAX_DOWNLOAD = 2 << 30
"""Bytes that are fetched of a model that is not stored as safetensors, of which parts cannot be read."""
MAX_HEADER = 64 << 20
"""Bytes of one header or index that are fetched: some 500,000 tensors."""
CONNECTIONS = 8
"""Shards whose headers are read at the same time."""
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def is_address(source: object, /) -> TypeGuard[str]:
    """Return whether a source is an address rather than a path."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


@contextmanager
def remote(address: str, /) -> Generator[dict[str, StoredTensor] | Path]:
    """Open what an address names: the tensors of safetensors, or else a copy of the file or files for a moment."""
    with _named_errors(address):
        fs, path = _file_system(address)
        files = _files_of(fs, path, address)
        safe = [file for file in files if file.endswith(".safetensors")]
        if safe:
            yield _range_tensors(fs, safe, address)
            return
        with TemporaryDirectory(prefix="unitcircle-") as folder:
            yield _download(fs, files, Path(folder))


@contextmanager
def _named_errors(address: str) -> Generator[None]:
    """Give every error of a file system, whose kinds are those of its library, the address and one kind."""
    try:
        yield
    except (CheckpointError, MissingExtraError):
        raise
    except FileNotFoundError as error:
        message = f"{address}: there is no such file or repository ({error})"
        raise CheckpointError(message) from error
    except Exception as error:
        detail = " ".join(str(error).split())[:300]
        message = f"{address}: it cannot be reached ({type(error).__name__}: {detail})"
        raise CheckpointError(message) from error


def _file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it."""
    scheme = address.partition("://")[0].lower()
    try:
        import fsspec  # noqa: PLC0415  (an extra)

        if scheme == "hf":
            from huggingface_hub import HfFileSystem  # noqa: PLC0415

            return HfFileSystem(), address.partition("://")[2].strip("/")
        if scheme not in fsspec.available_protocols():
            message = f"{address}: no address of the kind {scheme}:// is known; hf://, https:// and s3:// are"
            raise CheckpointError(message)
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}://", "fsspec and its file systems", "remote") from error


def _files_of(fs: Any, path: str, address: str) -> list[str]:
    """Return the files with weights that an address stands for: one, the shards of an index, or those of a folder."""
    # A web server has no folders, and is not asked: its whole answer would be read.
    web = address.lower().startswith(("http:", "https:"))
    if not web and not path.endswith((".json", *READABLE)) and fs.isdir(path):
        names = sorted(entry["name"] for entry in fs.ls(path, detail=True) if entry["type"] == "file")
        indices = [name for name in names if name.endswith(".safetensors.index.json")]
        safe = [name for name in names if name.endswith(".safetensors")]
        readable = [name for name in names if name.lower().endswith(READABLE)]
        chosen = indices[:1] or safe or readable
        if not chosen:
            message = f"{address}: it holds no file of weights"
            raise CheckpointError(message)
        if not indices:
            return chosen
        (path,) = chosen
    if not path.endswith(".json"):
        return [path]
    with fs.open(path, "rb") as file:
        content = file.read(MAX_HEADER)
    if b'"weight_map"' not in content:
        return [path]
    folder = path.rpartition("/")[0]
    return [f"{folder}/{name}" for name in shard_names(parse_json(content, kept=False))]


def _range_tensors(fs: Any, files: Sequence[str], address: str) -> dict[str, StoredTensor]:
    def tensors(file: str) -> dict[str, StoredTensor]:
        ranges = RangeFile(fs, file, address)
        return tensors_of(Source(ranges.size, ranges.read), largest=MAX_HEADER)

    found: dict[str, StoredTensor] = {}
    with ThreadPoolExecutor(CONNECTIONS) as pool, Progress("files") as progress:
        progress.expect(len(files))
        for part in pool.map(tensors, files):
            found |= part
            progress.advance()
    return found


class RangeFile:
    """A file of which single ranges are read, and nothing else."""

    def __init__(self, fs: Any, path: str, address: str) -> None:
        # Without a cache, which would read ahead: what is asked for is all that is fetched.
        self._file = fs.open(path, "rb", cache_type="none")
        self._address = address
        self._lock = threading.Lock()
        size = getattr(self._file, "size", None)
        self._whole_only = f"{address}: its server does not give parts of a file; download it, and pass its path"
        if size is None or not self._file.seekable():
            raise CheckpointError(self._whole_only)
        self.size: int = size

    def read(self, begin: int, end: int, /) -> memoryview:
        """Return the bytes of a range, fewer only at the end of the file."""
        end = min(end, self.size)
        with _named_errors(self._address), self._lock:
            self._file.seek(begin)
            try:
                content = self._file.read(max(end - begin, 0))
            except ValueError as error:  # fsspec's error for a server that gives whole files only
                raise CheckpointError(self._whole_only) from error
        if len(content) != max(end - begin, 0):
            message = f"{self._address}: its server gave {len(content)} bytes where {end - begin} were asked for"
            raise CheckpointError(message)
        return memoryview(content)


def _download(fs: Any, files: Sequence[str], folder: Path) -> Path:
    """Fetch whole files, if they are small enough, and return the file, or the folder of several."""
    size = sum(fs.size(file) or 0 for file in files)
    if size > MAX_DOWNLOAD:
        message = f"it has {size / 1e9:.0f} GB, and only safetensors are read in parts; download it, and pass its path"
        raise CheckpointError(message)
    copies: list[Path] = []
    done = 0
    with Progress("MB") as progress:
        for file in files:
            name = re.sub(r"[^\w.-]", "_", file.partition("?")[0].rstrip("/").rpartition("/")[2]) or "file"
            fs.get_file(file, str(folder / name), callback=_counting(progress, done, size))
            copies.append(folder / name)
            done += (folder / name).stat().st_size
    return copies[0] if len(copies) == 1 else folder


def _counting(progress: Progress, done: int, total: int) -> Any:
    """Return what a file system calls while it copies a file, some bytes being done before."""
    from fsspec.callbacks import Callback  # noqa: PLC0415  (an extra)

    def count(size: int | None, value: int, **_: object) -> None:
        del size
        progress.reach_bytes(done + value, total)

    return Callback(hooks={"count": count})
