"""What was done to a file, in its metadata: a list of entries, to which every further copy adds its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import IO, Any

from unitcircle._json import to_json

KEY = "unitcircle"
"""Name of the note in the metadata of a file, and of its list of entries."""
Entries = Sequence[Mapping[str, Any]]
_ONNX_PROPERTY, _ONNX_KEY = bytes([14 << 3 | 2]), bytes([1 << 3 | 2, len(KEY)]) + KEY.encode() + bytes([2 << 3 | 2])
"""How an entry of ``metadata_props``, field 14 of a model, begins, and its key with the head of its value."""


def joined(earlier: str, entries: Entries, /, *, longest: float = math.inf) -> str:
    """Return the note of a file with further entries; what exceeds a length gives way to the number left out."""
    every = [*_entries(earlier), *entries]
    texts = [len(to_json(entry, indent=None)) + 2 for entry in every]
    room, kept = longest - 80, len(every)
    if sum(texts) > room:
        kept = sum(1 for end in range(1, len(texts) + 1) if sum(texts[:end]) <= room)
    left = [{"left_out": len(every) - kept}] if kept < len(every) else []
    return to_json({KEY: [*every[:kept], *left]}, indent=None)


def _entries(note: object) -> list[Any]:
    """Return the entries of a note; what is no note of ours has none."""
    try:
        content = json.loads(note) if isinstance(note, str | bytes) else None
        entries = content[KEY]  # pyright: ignore[reportOptionalSubscript]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return entries if isinstance(entries, list) else []


def with_onnx_note(copy: IO[bytes], entries: Entries, /) -> None:
    """Write a note behind a model, in place of an earlier one there: fields of a message may follow its end."""
    copy.seek(0)
    content = copy.read()
    start, earlier = _onnx_note(content)
    text = joined(earlier, entries).encode()
    value = _ONNX_KEY + _varint(len(text)) + text
    copy.seek(start)
    copy.truncate()
    copy.write(_ONNX_PROPERTY + _varint(len(value)) + value)


def _onnx_note(content: bytes) -> tuple[int, str]:
    """Return where the note at the end of a model begins, and the note; the end and nothing if there is none."""
    key = content.rfind(_ONNX_KEY)
    begin = key + len(_ONNX_KEY)
    # The head of an entry: its tag, and its length in at most five bytes.
    for start in range(key - 1, max(key - 7, -1), -1) if key > 0 else ():
        value = content[key:]
        if content[start:key] == _ONNX_PROPERTY + _varint(len(value)):
            for digits in range(1, 6):
                text = content[begin + digits :]
                if content[begin : begin + digits] == _varint(len(text)):
                    return start, text.decode(errors="replace")
    return len(content), ""


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes([*result, number])
