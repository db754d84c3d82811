"""What a study keeps of users' own tasks, so that its records can be compared where their modules are not."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from unitcircle._files import written_whole
from unitcircle._json import to_json
from unitcircle.experiments.tasks import Batch, OwnModule, Split, Task

# The attributes that a task's class states are fields here.
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false

NAME = "tasks.json"
"""The file beside the records."""
_NOT_FINITE = ("inf", "-inf", "nan")
"""Numbers that strict JSON holds as texts."""


@dataclass(frozen=True)
class DescribedTask(Task):
    """A task by what a comparison says of it: it has no data."""

    key_text: str = ""
    title: str = ""
    unit: str = ""
    signature: str = ""
    architecture: Literal["recurrent", "encoder_decoder"] = "recurrent"
    higher_is_better: bool = True
    every_step: bool = False
    inputs: int = 1
    outputs: int = 1
    baseline: float = math.nan
    threshold: float = math.nan
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return dict(self.parameters)

    def sample(self, rng: Any, size: int, /) -> Batch:
        raise NotImplementedError

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        raise NotImplementedError


_FACTS = [attribute.name for attribute in fields(DescribedTask) if attribute.name != "parameters"]


def keep_descriptions(texts: Iterable[str | Task], folder: Path, /) -> None:
    """Write what a comparison needs of the tasks that users' modules make."""
    kept = {
        text: {name: getattr(task, name) for name in _FACTS} | {"parameters": task.to_dict()}
        for text in texts
        if isinstance(text, str) and isinstance(Task.unresolved(text), OwnModule)
        for task in [Task.parse(text)]
    }
    if kept:
        with written_whole(folder / NAME) as file:
            file.write(to_json({"schema": 1, "tasks": kept}).encode())


def described_tasks(folder: str | os.PathLike[str], /) -> dict[str, Task]:
    """Return text in a study file → task, of those that an execution has described in a folder of results."""
    try:
        kept = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))["tasks"]
        return {text: _task(facts) for text, facts in kept.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Without a description the module is imported.
        return {}


def _task(facts: dict[str, Any]) -> DescribedTask:
    values: dict[str, Any] = {name: float(v) if v in _NOT_FINITE else v for name, v in facts.items()}
    task = DescribedTask(**values)
    Task.unresolved(task)  # raises for a text that names none
    return task
