"""Many files in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from unitcircle.diagnosis import Diagnosis, Finding, diagnose
from unitcircle.errors import CheckpointError, MissingExtraError
from unitcircle.linting._baseline import Baseline
from unitcircle.linting._report import Checked, Report
from unitcircle.linting._settings import Settings
from unitcircle.report import Progress

Examine = Callable[..., Diagnosis]
"""Diagnose what a call names: ``examine(path, steps=, select=)``."""


def check(
    paths: Sequence[str],
    /,
    settings: Settings | None = None,
    *,
    baseline: Baseline | None = None,
    examine: Examine = diagnose,
    jobs: int | None = None,
) -> Report:
    """Diagnose files, as a linter does.

    Parameters
    ----------
    paths
        The files; :func:`expand` finds those of a glob.
    settings
        What is judged; the defaults where it is None.
    baseline
        The known findings, which do not make the call fail.
    examine
        Function of a path and the keyword arguments ``steps`` and ``select`` that gives the diagnosis.
    jobs
        Files that are read at the same time; by default the number of cores.

    Returns
    -------
    Report
        One entry a file, in the order of ``paths``. A file that cannot be read is an entry with an error, and the
        others are read all the same.

    Examples
    --------
    >>> report = check(["examples/popular-lstm.safetensors"], Settings(select=("UC101",)))
    >>> report.summary, report.status
    ('1 file: 2 warnings', 1)
    """
    settings = settings or Settings()
    one = partial(_check_one, settings=settings, baseline=baseline, examine=examine)
    workers = min(len(paths), jobs or os.cpu_count() or 1)
    checked: list[Checked] = []
    # Threads: LAPACK and the reading of files run without the interpreter's lock, and weights need no copy.
    with ThreadPoolExecutor(workers) if workers > 1 else nullcontext() as pool, Progress("files") as progress:
        for each in (pool.map if pool else map)(one, paths):
            checked.append(each)
            progress.reach(len(checked), len(paths))
    return Report(tuple(checked), settings, baseline)


def _check_one(path: str, *, settings: Settings, baseline: Baseline | None, examine: Examine) -> Checked:
    codes = settings.codes_for(path)
    try:
        diagnosis = examine(path, steps=settings.steps, select=codes)
    except (CheckpointError, MissingExtraError) as error:
        return Checked(path, error=str(error))
    # An empty selection means all rules to diagnose(): a file whose rules are all ignored has no findings.
    found = sorted((settings.judged(finding) for finding in diagnosis.findings if codes), key=lambda f: -f.severity)
    known: list[Finding] = []
    new: list[Finding] = []
    for finding in found:
        (known if baseline is not None and baseline.knows(path, finding) else new).append(finding)
    return Checked(path, replace(diagnosis, findings=tuple(new)), known=tuple(known))
