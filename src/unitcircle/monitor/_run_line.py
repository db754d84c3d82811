"""One line of the file that a monitor writes: whatever it holds, a record that can be shown, or none."""

from __future__ import annotations

import json
from typing import Any

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


def parse_record(line: str, /) -> dict[str, Any] | None:
    """Return the record in a line, its names made printable; None where the line is not as a monitor writes it."""
    try:
        record = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_record(record) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {printable(key): printable(value) if isinstance(value, str) else value for key, value in pairs}


def _is_record(record: dict[str, Any]) -> bool:
    """Whether everything that is shown of a record has its type."""
    step, findings = record.get("step"), record.get("findings", [])
    eigenvalues, curves = record.get("eigenvalues", {}), record.get("gradient_by_lag", {})
    numbers = [
        value
        for name, value in record.items()
        if name in {"loss", "monitor/share"} or ("/" in name and name.rpartition("/")[2] in _METRICS)
    ]
    return (
        type(step) is int
        and abs(step) <= LARGEST_STEP
        and isinstance(record.get("run", ""), str)
        and all(map(_is_number, numbers))
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
