"""The result of one run: one JSON file, written whole, named by the run's key."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from unitcircle._files import written_whole
from unitcircle._json import to_json
from unitcircle.errors import ArgumentError
from unitcircle.experiments.training._run import Run

SCHEMA = 1


class Status(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    """After all steps, or with the threshold held for the run's patience."""
    DIVERGED = "diverged"
    """With a loss or a gradient that was not finite: a result, not a crash."""
    FAILED = "failed"
    """Its process was killed twice or raised an exception: there is no result."""


@dataclass(frozen=True, eq=False)
class Record:
    """The result of one run.

    Attributes
    ----------
    run
        The configuration.
    status
        How it ended.
    summary
        Numbers by name, NaN if they do not exist: ``validation_score`` (the best), ``test_score`` and ``test_loss``
        (with the parameters of the best validation score), ``final_test_score``, ``final_train_loss``, ``steps``
        (trained), ``steps_to_threshold`` (of the validation score, inf if never), ``solved`` (0 or 1, on test data).
    curves
        One list for each name, one entry for each evaluation: ``"step"``, ``"train_loss"`` (mean since the evaluation
        before), ``"validation_loss"``, ``"validation_score"``, and for every recurrent gate block ``"radius[h]"``,
        ``"norm[h]"``, ``"orthogonality[h]"``, ``"drift[h]"`` and ``"tangent_share[h]"``. Test data are used twice only,
        for ``summary``.
    diagnostics
        One mapping for each measured step, with ``"step"`` and measurements of :mod:`unitcircle.dynamics` and
        :mod:`unitcircle.spectra`.
    seconds
        Wall time of the run's share of its stack: training and evaluation, without the diagnostics.
    memory_mb
        Peak memory of the process while the run's stack was trained (of the device for CUDA), MiB.
    environment
        Versions, machine, device, thread count, size of the stack, signature of BLEU.
    message
        Why the run failed or diverged; empty otherwise.

    Examples
    --------
    >>> run = Run("adding(length=10)", "tanh(size=8)", "orthogonal")
    >>> record = Record(run, Status.FINISHED, summary={"test_score": 0.02})
    >>> Record.from_dict(record.to_dict()).summary["test_score"]
    0.02
    """

    run: Run
    status: Status
    summary: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    diagnostics: tuple[Mapping[str, Any], ...] = ()
    seconds: float = float("nan")
    memory_mb: float = float("nan")
    environment: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON-ready values, non-finite numbers included."""
        values = {f: getattr(self, f) for f in ("summary", "curves", "seconds", "memory_mb", "environment", "message")}
        head = {"schema": SCHEMA, "key": self.run.key, "status": str(self.status), "run": self.run.to_dict()}
        return head | values | {"diagnostics": list(self.diagnostics)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], /, *, expected: Run | None = None) -> Record:
        """Return the record that :meth:`to_dict` wrote.

        Parameters
        ----------
        values
            What the JSON file holds.
        expected
            The run whose record this should be: equal values are not checked again.

        Returns
        -------
        Record
            Equal in every number.

        Raises
        ------
        ArgumentError
            The values are not a record of this schema, or the key is not that of the configuration: the protocol has
            changed since.
        """
        _check_type("record", values, dict)
        if values.get("schema") != SCHEMA:
            raise ArgumentError("record", f"must have schema {SCHEMA}", f"schema {values.get('schema')}")
        for name, kind in _TYPES.items():
            _check_type(name, values[name], kind)
        for measured in values["diagnostics"]:
            _check_type("diagnostics", measured, dict)
        for curve in values["curves"].values():
            _check_type("curves", curve, list)
        same = expected is not None and values["run"] == expected.to_dict()
        run = expected if expected is not None and same else Run.from_dict(values["run"])
        if run.key != values["key"]:
            rule = "must have been written under the current protocol"
            raise ArgumentError("record", rule, f"key {values['key']} for a run whose key is {run.key}")
        numbers = {name: _read_numbers(values[name]) for name in ("summary", "curves", "seconds", "memory_mb")}
        return cls(
            run,
            Status(values["status"]),
            diagnostics=tuple(_read_numbers(values["diagnostics"])),
            environment=values["environment"],
            message=values["message"],
            **numbers,
        )

    def write(self, folder: str | os.PathLike[str], /) -> Path:
        """Write the record whole as ``folder/<key>.json``.

        Parameters
        ----------
        folder
            Created if it does not exist.

        Returns
        -------
        Path
            The file.
        """
        path = Path(folder) / f"{self.run.key}.json"
        with written_whole(path) as file:
            file.write(to_json(self.to_dict(), indent=None).encode())
        return path

    @classmethod
    def read(cls, path: str | os.PathLike[str], /, *, expected: Run | None = None) -> Record:
        """Read one record.

        Parameters
        ----------
        path
            A file that :meth:`write` wrote.
        expected
            As in :meth:`from_dict`.

        Returns
        -------
        Record
            The record.

        Raises
        ------
        ArgumentError
            The file is not a record of this schema and protocol.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")), expected=expected)
        except KeyError as error:
            raise ArgumentError("path", "must be a record of a run", f"{path} (without {error})") from error
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ArgumentError("path", "must be a record of a run", f"{path} ({error})") from error


_TYPES: dict[str, type] = {
    "run": dict,
    "summary": dict,
    "curves": dict,
    "diagnostics": list,
    "environment": dict,
    "message": str,
}
"""Types in the JSON file, checked when it is read and not where a record is used."""


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ArgumentError(name, f"must be {_IN_JSON[kind]}", type(value).__name__)


_IN_JSON: dict[type, str] = {dict: "an object", list: "an array", str: "a text"}


_NUMBERS = {float, int}


def _read_numbers(value: Any) -> Any:
    """Return numbers that strict JSON holds as texts, inf and nan, as numbers again."""
    if isinstance(value, str) and value in {"inf", "-inf", "nan"}:
        return float(value)
    if isinstance(value, dict):
        return {key: _read_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return value.copy() if _NUMBERS.issuperset(map(type, value)) else [_read_numbers(item) for item in value]
    return value
