"""Pickles that no ``torch.save`` wrote: arrays, and objects that hold arrays; nothing in them is executed."""

from __future__ import annotations

from typing import Any

from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._objects import named_tensors
from unitcircle.checkpoints._pickle import Inert, unpickle
from unitcircle.checkpoints._pickled_arrays import bytes_of
from unitcircle.checkpoints._pytorch import TorchCalls, unpickle_legacy
from unitcircle.checkpoints._stream import Stream
from unitcircle.errors import CheckpointError

MAX_PICKLES = 1000
"""Pickles that may follow each other in one file."""


class _Calls(TorchCalls):
    """torch's calls, and the one that holds a whole PyTorch file as bytes: tensors that were pickled by ``pickle``."""

    def build(self, call: Inert) -> Any:
        """Return a storage for the bytes of a PyTorch file, a tensor for torch's calls, else the record."""
        match call.name, call.arguments:
            case "torch.storage._load_from_bytes", (content,):
                return unpickle_legacy(memoryview(bytes_of(content)))
            case name, _ if name.startswith("joblib."):
                message = "it is a joblib file, a pickle with raw arrays in it; load it and save it with numpy.savez"
                raise CheckpointError(message)
            case _:
                return super().build(call)


def _no_storage(key: str) -> memoryview:
    message = f"storage {key!r:.80} is not in the file; save it with torch.save"
    raise CheckpointError(message)


def read_pickle(memory: memoryview, /, *, alone: str = "array") -> Contents:
    """Return the arrays of a pickle, or of several that follow each other in one file."""
    calls = _Calls(_no_storage)
    stream = Stream(memory)
    roots: list[Any] = []
    while stream.tell() < len(memory) and len(roots) < MAX_PICKLES:
        roots.append(unpickle(stream, persistent=calls.persistent, build=calls.build))
    contents = named_tensors(roots[0] if len(roots) == 1 else roots, alone=alone)
    if not (contents.tensors or contents.unread or contents.notes):
        what = f", a {roots[0].name:.80}" if roots and isinstance(roots[0], Inert) and roots[0].name else ""
        message = f"it is a pickle{what}, and holds no array of numbers"
        raise CheckpointError(message)
    return contents
