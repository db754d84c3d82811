"""The JSON schema of a report."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _content() -> str:
    return files("unitcircle.linting").joinpath("diagnosis.schema.json").read_text(encoding="utf-8")


def diagnosis_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``unitcircle diagnose --json``.

    It describes one diagnosis, as :meth:`unitcircle.Diagnosis.to_json` gives it, and the report of several files.

    Returns
    -------
    dict
        The schema.

    Examples
    --------
    >>> diagnosis_schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    return json.loads(_content())
