"""Strict JSON: what every reader of JSON accepts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np


def to_json(value: Any, /, *, indent: int | None = 2) -> str:
    """Return strict JSON: infinities and NaN become the strings ``"inf"``, ``"-inf"`` and ``"nan"``."""
    return json.dumps(_strict(value), ensure_ascii=False, indent=indent, allow_nan=False)


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
