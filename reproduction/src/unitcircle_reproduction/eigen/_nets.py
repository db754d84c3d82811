"""Trained tanh-RNNs: their spectra and hidden states before and after, read from records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.experiments.comparison import Comparison
from unitcircle.experiments.studies import Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Status
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen._studies import reported


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """A trained tanh-RNN."""

    task: str  # task, label: What it was trained on, and from which initializer
    label: str
    classes: bool  # Whether it answers with classes, or with numbers
    score: float  # score, solved: On test data
    solved: bool
    start: np.ndarray  # start, end: Moduli of the eigenvalues of its recurrent weight, descending (n,)
    end: np.ndarray
    distance: tuple[float, float]  # distance, saturation: Of h_T, before and after
    saturation: tuple[float, float]


def trained_nets(context: Context, comparisons: Iterable[tuple[Study, Comparison]], /) -> list[TrainedNet]:
    """Return the tanh-RNNs of some studies whose spectra were recorded at start and end, the A/A rows left out."""
    nets: list[TrainedNet] = []
    for study, comparison in comparisons:
        for group, row, records in reported(context, study, comparison):
            if group.factors["cell"] == "tanh" and row.label in study.initializers:
                nets += [_net(group.task, row.label, record) for record in records if _has_spectra(record)]
    return nets


def _has_spectra(record: Record) -> bool:
    both = len(record.diagnostics) > 1 and all("eigenvalues[h]" in at for at in record.diagnostics)
    return both and record.status is Status.FINISHED


def _net(task: str, label: str, record: Record) -> TrainedNet:
    first, last = record.diagnostics[0], record.diagnostics[-1]
    summary = record.summary
    return TrainedNet(
        task,
        label,
        Task.parse(task).classes,
        summary["test_score"],
        summary["solved"] == 1,
        _moduli(first),
        _moduli(last),
        (first["hidden.distance"], last["hidden.distance"]),
        (first["hidden.saturation"], last["hidden.saturation"]),
    )


def _moduli(measured: Any) -> np.ndarray:
    return np.sort(np.hypot(*np.array(measured["eigenvalues[h]"]).T))[::-1]
