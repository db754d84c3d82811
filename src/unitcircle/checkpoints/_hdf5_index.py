"""The index of an HDF5 file: where every array lies, found by h5py in a process that may die.

libhdf5 crashes or loops on about one corrupted file in a thousand, so nothing of it runs in the process of the
caller: :class:`unitcircle.checkpoints._hdf5.Hdf5Process` runs this file as a script of its own. It answers each line
of standard input, the path of a file as JSON, with one line of JSON. No array passes through libhdf5: the index says
at which bytes of the file an array lies, and the caller reads them.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

MAX_OBJECTS = 50_000
MAX_CHUNKS = 50_000
MAX_DEPTH = 64
MAX_SECONDS = 9
"""Seconds of the processor for one file: other processes of a busy machine do not count against it."""
MAX_INLINE = 1 << 16
"""libhdf5 stores at most 64 KiB inside an object header."""
ATTRIBUTES = ("keras_version", "backend", "model_config", "layer_names")


class Refused(Exception):  # noqa: N818  (it crosses a process boundary as text, and is raised as CheckpointError there)
    """The file holds something that must not be read, or too much of it."""


def index(path: str | Path, /) -> dict[str, Any]:
    """Return where every array of an HDF5 file lies."""
    h5py: Any = importlib.import_module("h5py")  # an extra, and untyped
    size = Path(path).stat().st_size
    datasets: dict[str, Any] = {}
    seen: set[int] = set()

    def visit(group: Any, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            message = f"nests groups deeper than {MAX_DEPTH}"
            raise Refused(message)
        for name in group:
            here = f"{prefix}{_text(name)}"
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                message = f"holds the soft or external link {here!r}, which can point at any other file or place"
                raise Refused(message)
            item = h5py.h5o.open(group, name)
            address = h5py.h5o.get_info(item).addr
            # A second hard link to one object is an alias, and a link to an ancestor would be an endless tree.
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MAX_OBJECTS:
                message = f"holds more than {MAX_OBJECTS} objects"
                raise Refused(message)
            if isinstance(item, h5py.h5g.GroupID):
                visit(item, f"{here}/", depth + 1)
            elif isinstance(item, h5py.h5d.DatasetID):
                datasets[here] = _dataset(h5py, h5py.Dataset(item), here)

    with h5py.File(path, "r", locking=False) as file:
        root = h5py.h5o.open(file.id, b"/")
        seen.add(h5py.h5o.get_info(root).addr)
        visit(root, "", 0)
        attributes = _attributes(file, size)
        if isinstance(weights := file.get("model_weights"), h5py.Group):
            attributes = _attributes(weights, size) | attributes
    return {"attributes": attributes, "datasets": datasets}


def _dataset(h5py: Any, item: Any, path: str) -> dict[str, Any]:
    properties = item.id.get_create_plist()
    if properties.get_external_count() or item.is_virtual:
        message = f"keeps the array {path!r} in other files (external or virtual storage)"
        raise Refused(message)
    shape, kind = item.shape, _type(h5py, item)
    entry: dict[str, Any] = {"shape": shape, "type": kind}
    if shape is None or kind is None:
        return entry
    layout = properties.get_layout()
    if layout == h5py.h5d.COMPACT:
        if item.nbytes > MAX_INLINE:
            message = f"declares {item.nbytes} bytes inside the header of {path!r}"
            raise Refused(message)
        entry["inline"] = base64.b64encode(item[()].tobytes()).decode()
    elif layout == h5py.h5d.CONTIGUOUS:
        entry["offset"] = item.id.get_offset()
    else:
        count = item.id.get_num_chunks()
        if count > MAX_CHUNKS:
            message = f"cuts the array {path!r} into {count} chunks"
            raise Refused(message)
        chunks = [item.id.get_chunk_info(number) for number in range(count)]
        entry["chunk"] = item.chunks
        entry["filters"] = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
        entry["chunks"] = [[c.chunk_offset, c.byte_offset, c.size, c.filter_mask] for c in chunks]
    return entry


def _type(h5py: Any, item: Any) -> str | None:
    h5t = h5py.h5t
    kind = item.id.get_type()
    known = {
        "<f2": h5t.IEEE_F16LE,
        ">f2": h5t.IEEE_F16BE,
        "<f4": h5t.IEEE_F32LE,
        ">f4": h5t.IEEE_F32BE,
        "<f8": h5t.IEEE_F64LE,
        ">f8": h5t.IEEE_F64BE,
    }
    for name, standard in known.items():
        if kind.equal(standard):
            return name
    # Keras marks bfloat16, which HDF5 stores as two opaque bytes, by an attribute of the array.
    if kind.get_size() == 2 and "dtype" in item.attrs and str(item.attrs["dtype"]) == "bfloat16":
        return "bfloat16"
    return None


def _attributes(group: Any, size: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name in group.attrs:
        # Keras cuts a list of names that does not fit one attribute into layer_names0, layer_names1, ...
        base = name.rstrip("0123456789")
        if base not in ATTRIBUTES:
            continue
        if group.attrs.get_id(name).get_storage_size() > size:
            message = f"declares an attribute {name!r} larger than the file"
            raise Refused(message)
        value = group.attrs[name]
        if base == "layer_names":
            attributes.setdefault(base, []).extend(_text(one) for one in value)
        else:
            attributes[name] = _text(value)
    return attributes


def _text(value: Any) -> str:
    # h5py carries bytes that are not UTF-8 as surrogates, which no terminal can print.
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "replace")


def main() -> None:
    """Say that h5py is loaded, then answer each path on standard input by its index on standard output."""
    importlib.import_module("h5py")
    _reply({})
    for line in sys.stdin:
        path, limit = json.loads(line)
        _bound(limit)
        try:
            answer = {"index": index(path)}
        except Refused as error:
            answer = {"refused": str(error)}
        except Exception as error:  # whatever h5py raises on a file, the file is damaged
            answer = {"damaged": f"{type(error).__name__}: {error}"}
        _reply(answer)


def _reply(answer: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


def _bound(limit: int) -> None:
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    seconds = int(time.process_time()) + MAX_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
