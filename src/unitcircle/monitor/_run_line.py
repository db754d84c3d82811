"""One line of the file that a monitor writes: whatever it holds, a record that can be shown, or none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from unitcircle._printable import printable

LARGEST_STEP = 2**53
"""The largest step, to which floats count exactly."""
TALLEST = 1e100
"""Values from here on are not drawn: the extent of an axis would overflow."""
COLUMNS = {
    "radius": "ρ",
    "norm": "σ₁",
    "orthogonality": "‖WᵀW−I‖",
    "drift": "drift",
    "update": "update",
    "gradient": "gradient",
    "departure": "departure",
    "transient": "transient",
}
"""What is measured of a weight, and its column."""
BATCH = {
    "exponent": "λ₁",
    "gradient_growth": "gradient growth",
    "gradient_horizon": "horizon",
    "saturation": "saturated",
    "dead": "dead",
}
"""What is measured of a layer on a batch, and its column."""
_METRICS = {*COLUMNS, *BATCH}
_TEXTS = {"code", "name", "severity", "layer", "message", "why", "remedy"}
"""What every finding must have, as text."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The names that a record has, which most records of a run share."""

    place: int
    names: Mapping[str, None]

    @classmethod
    def of(cls, names: tuple[str, ...], place: int, /) -> Self:
        """Return the shape of these names."""
        return cls(place, dict.fromkeys(names))

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The names that are shown as numbers."""
        shown = {"loss", "monitor/share"}
        return tuple(n for n in self.names if n in shown or ("/" in n and n.rpartition("/")[2] in _METRICS))

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """The numbers that every view draws over time."""
        return tuple(name for name in self.names if name == "loss" or (name.endswith("/radius") and name[0] != "/"))


def parse_record(line: str, shapes: dict[tuple[str, ...], Shape] | None = None, /) -> dict[str, Any] | None:
    """Return the record in a line, its names made printable; None where the line is not as a monitor writes it."""
    # What has neither escapes nor characters that cannot be printed has none in its names either.
    hook = None if line.isprintable() and "\\" not in line else _object
    try:
        record = json.loads(line, object_pairs_hook=hook)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    known = {} if shapes is None else shapes
    names = tuple(record)
    shape = known.get(names) or Shape.of(names, len(known))
    if not _is_record(record, shape):
        return None
    known[names] = shape
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {printable(key): printable(value) if isinstance(value, str) else value for key, value in pairs}


def _is_record(record: dict[str, Any], shape: Shape) -> bool:
    """Whether everything that is shown of a record has its type."""
    step, findings = record.get("step"), record.get("findings", [])
    eigenvalues, curves = record.get("eigenvalues", {}), record.get("gradient_by_lag", {})
    return (
        type(step) is int
        and abs(step) <= LARGEST_STEP
        and isinstance(record.get("run", ""), str)
        and all(type(record[name]) is float or _is_number(record[name]) for name in shape.numbers)
        and isinstance(findings, list)
        and all(map(_is_finding, findings))
        and isinstance(eigenvalues, dict)
        and all(map(_are_eigenvalues, eigenvalues.values()))
        and isinstance(curves, dict)
        and all(map(_are_numbers, curves.values()))
    )


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or one of the texts that strict JSON has for what is not finite."""
    if isinstance(value, str):
        return value in {"nan", "inf", "-inf"}
    return isinstance(value, float) or (type(value) is int and value.bit_length() < 1000)


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and len(values) > 0 and all(map(_is_number, values))


def _are_eigenvalues(pairs: Any) -> bool:
    return isinstance(pairs, list) and len(pairs) > 0 and all(_are_numbers(pair) and len(pair) == 2 for pair in pairs)


def _is_finding(finding: Any) -> bool:
    return (
        isinstance(finding, dict)
        and all(isinstance(finding.get(name), str) for name in _TEXTS)
        and isinstance(finding.get("gate", 0), str | None)
    )
