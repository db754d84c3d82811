"""``unitcircle schema``: the JSON Schema of what ``diagnose --json`` prints."""

from __future__ import annotations


def schema() -> int:
    """Print the JSON Schema (draft 2020-12) of the output of diagnose --json."""
    from unitcircle._json import to_json
    from unitcircle.linting import diagnosis_schema

    print(to_json(diagnosis_schema()))
    return 0
