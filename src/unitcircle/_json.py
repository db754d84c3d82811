"""Strict JSON: what every reader of JSON accepts."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

# Control characters that JSON allows, signs of direction, line ends, halves of surrogate pairs: names may hold them.
_NOT_PRINTED = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def to_json(value: Any, /, *, indent: int | None = 2) -> str:
    """Return strict JSON: infinities and NaN become the strings ``"inf"``, ``"-inf"`` and ``"nan"``.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> to_json({"horizon": float("inf")}, indent=None)
    '{"horizon": "inf"}'
    """
    text = json.dumps(_strict(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return _NOT_PRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _strict(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
