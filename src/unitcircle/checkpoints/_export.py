"""Programs of ``torch.export`` (``.pt2``): their weights; the program itself is not looked at."""

from __future__ import annotations

from typing import Any

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._format import EXPORTED
from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._nested import read_members
from unitcircle.checkpoints._tensor import StoredTensor, elements
from unitcircle.errors import CheckpointError

_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    34: "uint32",
    35: "uint64",
}
"""Numbers of the element types in torch/_export/serde/schema.py."""


def read_export(archive: Archive, /) -> Contents:
    """Return the weights of an exported program, by the names of its state dict."""
    members = [name for name in archive.names if EXPORTED.search(name)]
    configurations = [name for name in members if name.endswith("_weights_config.json")]
    if not configurations:
        # Up to torch 2.8 a state dict as torch.save writes it.
        return read_members(archive, members)
    tensors: dict[str, StoredTensor] = {}
    notes: list[str] = []
    for path in configurations:
        document = parse_json(bytes(archive.read(path)))
        entries = document.get("config") if isinstance(document, dict) else None
        if not isinstance(entries, dict):
            message = f"{path!r:.200} does not list the weights: the file is damaged"
            raise CheckpointError(message)
        folder = path.rpartition("/")[0]
        model = "" if len(configurations) == 1 else path.rpartition("/")[2].removesuffix("_weights_config.json") + "."
        for name, entry in entries.items():
            tensor = _tensor(archive, folder, entry)
            if tensor is None:
                notes.append(f"{model}{name:.200}: a subclass of tensor, or one without numbers for sizes: not read")
            else:
                tensors[model + name] = tensor
    return Contents(tensors, notes=tuple(notes[:20]))


def _tensor(archive: Archive, folder: str, entry: Any) -> StoredTensor | None:
    match entry:
        case {
            "path_name": str(member),
            "use_pickle": False,
            "tensor_meta": {
                "dtype": int(kind),
                "sizes": list(sizes),
                "strides": list(steps),
                "storage_offset": {"as_int": int(offset)},
            },
        }:
            shape, strides = _numbers(sizes), _numbers(steps)
        case _:
            return None
    if (
        shape is None
        or strides is None
        or len(shape) != len(strides)
        or kind not in _DTYPES
        or not 0 <= offset < 1 << 62
    ):
        return None
    name, dtype = f"{folder}/{member}", _DTYPES[kind]

    def load() -> Any:
        return elements(archive.read(name), dtype, shape, offset=offset, strides=strides)

    return StoredTensor(shape, dtype, load, (name, dtype, offset, shape, strides))


def _numbers(values: list[Any]) -> tuple[int, ...] | None:
    """Return sizes or strides, or None where they are no plain numbers."""
    numbers = [value.get("as_int") if isinstance(value, dict) else None for value in values]
    whole = tuple(number for number in numbers if type(number) is int and 0 <= number < 1 << 62)
    return whole if len(whole) == len(numbers) <= 64 else None
