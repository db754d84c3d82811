"""JSON that is parsed within a bound of memory: an index, a header, a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from unitcircle.checkpoints._room import ask, take
from unitcircle.errors import CheckpointError

_COSTS = {b"{": 232, b"[": 88, b":": 100, b",": 34, b'"': 30}
"""Bytes that Python keeps at most for each of these characters: an object, a list, a key, a number, half of a text."""


def parse_json(text: bytes, /, *, what: str = "it", kept: bool = True) -> Any:
    """Return what a JSON text holds, or raise before it takes too much memory, for long or until it is looked at."""
    # The objects of a hostile text, such as [[],[],..., take 25 times as much memory as the text; those of an index of
    # shards or of numbers with eight digits four times.
    widest = 1 if text.isascii() and b"\\u" not in text else 4
    needed = 2 * widest * len(text) + sum(cost * text.count(mark) for mark, cost in _COSTS.items())
    (take if kept else ask)(needed, f"{what} is JSON of {len(text) >> 10} KB that")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{what} is no valid JSON ({type(error).__name__})"
        raise CheckpointError(message) from error


def texts_of(document: Any, keys: Iterable[str], /, *, depth: int = 8) -> set[str]:
    """Return the texts that stand under some keys anywhere in a document, such as the kinds of its layers."""
    found: set[str] = set()
    wanted, level = set(keys), [document]
    for _ in range(depth):
        branches = [branch for branch in level if isinstance(branch, dict)]
        found |= {value for branch in branches for key, value in branch.items() if key in wanted and _is_word(value)}
        level = [child for branch in level for child in _children(branch)]
    return found


def _children(branch: Any) -> list[Any]:
    children = list(branch.values()) if isinstance(branch, dict) else branch
    return [child for child in children if isinstance(child, (dict, list))]


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w. -]{1,40}", value) is not None
