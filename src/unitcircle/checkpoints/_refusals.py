"""What is called by its right name and refused, each with a remedy that works."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MAX_ENTRIES = 10_000
"""Names of a folder that are looked at."""


class Head(NamedTuple):
    """What tells the format of a file."""

    start: bytes  # Its first bytes, at most 4096
    size: int  # Its size in bytes, -1 of a folder
    at_user_block: bool  # Whether HDF5 starts behind a user block
    name: str = ""  # Its name


def starts_with(*magics: bytes, at: int = 0) -> Callable[[Head], bool]:
    """Return a test whether some bytes stand at a place of a file."""
    return lambda head: head.start[at:].startswith(magics)


def _variables(path: str) -> str:
    return f"in TensorFlow: r = tf.train.load_checkpoint({path!r}); {_CHECKPOINT}"


_CHECKPOINT = (
    "numpy.savez('weights.npz', **{name.removesuffix('/.ATTRIBUTES/VARIABLE_VALUE'): r.get_tensor(name) "
    "for name in r.get_variable_to_shape_map()})"
)
_FREEZE = "python -m tf2onnx.convert --graphdef FILE --output model.onnx --inputs NAME:0 --outputs NAME:0"
_R_MATRICES = "in R: jsonlite::write_json(list(weight_hh = W, weight_ih = V), 'weights.json', digits = NA)"
_TEXT = (
    "numpy.savez('weights.npz', **{p.stem: numpy.loadtxt(p, delimiter=',') "
    "for p in pathlib.Path('FOLDER').glob('*.csv')})"
)


def _is_graph(head: Head) -> bool:
    """Whether a file is a frozen graph: its first node has a name and an operation."""
    node = rb"\n[\x80-\xff]{0,4}[\x00-\x7f]\n[\x01-\x7f][\x20-\x7e]+\x12[\x01-\x40][A-Z]"
    return re.match(node, head.start, re.DOTALL) is not None


def _is_saved_model(head: Head) -> bool:
    """Whether a file is a SavedModel: version 1, then a meta graph, where ONNX has the name of its producer."""
    model = rb"\x08\x01\x12[\x80-\xff]{0,4}[\x00-\x7f]\n"
    return head.name == "saved_model.pb" or re.match(model, head.start, re.DOTALL) is not None


def _unpacked(head: Head) -> bytes:
    """Return the first bytes of a gzip stream."""
    if not head.start.startswith(b"\x1f\x8b"):
        return head.start
    try:
        return zlib.decompressobj(31).decompress(head.start, 64)
    except zlib.error:
        return b""


def _is_table_of_numbers(head: Head) -> bool:
    number = rb'\s*"?[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"?\s*'
    lines = [line for line in head.start.split(b"\n")[:3] if line.strip()]
    rows = lines[1:] if len(lines) > 1 and not re.match(number, lines[0]) else lines[:2]
    return bool(rows) and all(re.fullmatch(number + rb"([,;\t ]" + number + rb")*", row) for row in rows)


REFUSED: tuple[tuple[Callable[[Head], bool], str], ...] = (
    (
        lambda head: _unpacked(head).startswith((b"X\n\0\0\0", b"RDX2\n", b"RDX3\n", b"A\n2\n", b"A\n3\n", b"RDA")),
        f"a file of R (.rds or .RData); write its matrices as JSON, {_R_MATRICES}",
    ),
    (starts_with(b"\x1f\x8b"), "a gzip archive; unpack it first"),
    (starts_with(b"7z\xbc\xaf"), "a 7-zip archive; unpack it first"),
    (starts_with(b"BZh"), "a bzip2 archive; unpack it first"),
    (starts_with(b"\xfd7zXZ"), "an xz archive; unpack it first"),
    (starts_with(b"ustar", at=257), "a tar archive; unpack it first, or load and save it with a newer torch"),
    (starts_with(b"version https://git-lfs"), "a Git LFS pointer, not the file itself; run git lfs pull"),
    (
        _is_saved_model,
        "a TensorFlow SavedModel; read its variables, " + _variables("FOLDER/variables/variables"),
    ),
    (
        lambda head: head.name.endswith(".meta") and head.start.startswith(b"\n"),
        "the graph of a TensorFlow 1 checkpoint, without its weights; read those, " + _variables("PREFIX"),
    ),
    (
        lambda head: re.search(r"\.data-\d{5}-of-\d{5}$|\.ckpt\S*\.index$|^variables\.index$", head.name) is not None,
        "a part of a TensorFlow checkpoint; read its variables, " + _variables("PREFIX"),
    ),
    (
        starts_with(b"model_checkpoint_path:"),
        "the list of TensorFlow's checkpoints; read the variables of one, " + _variables("PREFIX"),
    ),
    (
        _is_graph,
        f"a frozen graph of TensorFlow; convert it, {_FREEZE}",
    ),
    (
        lambda head: head.name.endswith(".mlmodel") and head.start.startswith(b"\x08"),
        "a Core ML model; convert the model it was made from to ONNX",
    ),
    (
        lambda head: head.name.lower().endswith((".csv", ".tsv", ".txt")) and _is_table_of_numbers(head),
        f"a table of numbers without the names of weights; collect all of them in one file, {_TEXT}",
    ),
)
"""How a file is recognised, what it is, and what to do."""


OCDBT = (
    "an orbax checkpoint in an OCDBT database; restore it with orbax and write it again, "
    "open('weights.msgpack', 'wb').write(flax.serialization.to_bytes(tree))"
)
"""What an orbax checkpoint of today's default is, and what to do."""


def is_ocdbt(names: set[str], /) -> bool:
    """Whether a folder with some entries is a database of orbax."""
    return "manifest.ocdbt" in names or any(name.startswith("ocdbt.process_") for name in names)


def refused_folder(folder: Path, /) -> str | None:
    """Return what a folder is that is not read, and what to do, or None."""
    names = sorted(path.name for _, path in zip(range(MAX_ENTRIES), folder.iterdir(), strict=False))
    if "saved_model.pb" in names:
        path = f"{folder.name}/variables/variables"
        return "a TensorFlow SavedModel: save it as .keras, or read its variables, " + _variables(path)
    if any(re.search(r"\.data-\d{5}-of-\d{5}$", name) for name in names):
        prefix = next(name for name in names if ".data-" in name).partition(".data-")[0]
        return "a TensorFlow checkpoint; read its variables, " + _variables(f"{folder.name}/{prefix}")
    if is_ocdbt(set(names)):
        return OCDBT
    if names and any(name.lower().endswith((".csv", ".tsv")) for name in names):
        return f"a folder of tables of numbers; collect all of them in one file, {_TEXT}"
    if any(name.lower().endswith((".rds", ".rdata", ".rda")) for name in names):
        return f"a folder of files of R; write the matrices as JSON, {_R_MATRICES}"
    return None
