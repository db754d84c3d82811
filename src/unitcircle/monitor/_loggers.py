"""Sinks for the loggers people use; each library is imported when its sink is made."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from unitcircle.diagnosis import Severity
from unitcircle.errors import MissingExtraError
from unitcircle.monitor._eigenvalue_image import eigenvalue_image
from unitcircle.monitor._record import Record, scalars

PREFIX = "unitcircle"
TITLE = 63
"""Most characters of the title of an alert."""


def _library(name: str, package: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(purpose, package, "monitor") from error


class TensorBoard:
    """Write numbers as scalars, eigenvalues as images of the complex plane and findings as text.

    Parameters
    ----------
    writer
        A ``SummaryWriter``, or the folder to write event files to.
    """

    def __init__(self, writer: Any) -> None:
        self._own = isinstance(writer, str | os.PathLike)
        if self._own:
            tensorboard = _library("torch.utils.tensorboard", "tensorboard", "writing TensorBoard events")
            writer = tensorboard.SummaryWriter(str(Path(cast("str", writer))))
        self.writer: Any = writer

    def __call__(self, record: Record, step: int) -> None:
        for name, value in scalars(record).items():
            self.writer.add_scalar(name, value, step)
        for block, values in record.get("eigenvalues", {}).items():
            self.writer.add_image(f"{block}/eigenvalues", eigenvalue_image(values), step, dataformats="HWC")
        for code, texts in _by_code(record).items():
            self.writer.add_text(f"findings/{code}", "\n\n".join(texts), step)
        self.writer.flush()

    def close(self) -> None:
        """Close the writer, if it was made here."""
        if self._own:
            self.writer.close()


class WandB:
    """Log numbers under ``unitcircle/`` with an axis of their own, so that they never compete with your steps.

    Eigenvalues are images of the complex plane. A finding is an entry ``unitcircle/findings/<code>/<place>`` of the
    run's summary, and if it is a warning or an error an alert, which W&B forwards as its user wishes.

    Parameters
    ----------
    run
        A run; by default the current one, or a new one.
    """

    def __init__(self, run: Any = None) -> None:
        wandb = _library("wandb", "wandb", "logging to Weights & Biases")
        self._wandb = wandb
        self._own = run is None and wandb.run is None
        self._begin(run or wandb.run or wandb.init())

    def _begin(self, run: Any) -> None:
        self.run: Any = run
        self._finished = False
        self.run.define_metric(f"{PREFIX}/step")
        self.run.define_metric(f"{PREFIX}/*", step_metric=f"{PREFIX}/step")

    def __call__(self, record: Record, step: int) -> None:
        if self._finished:
            # The same one, if it was made here: training goes on after it was closed.
            self._begin(self._wandb.init(id=self.run.id, project=self.run.project, resume="allow"))
        values: dict[str, Any] = {f"{PREFIX}/{name}": value for name, value in scalars(record).items()}
        for block, eigenvalues in record.get("eigenvalues", {}).items():
            values[f"{PREFIX}/{block}/eigenvalues"] = self._wandb.Image(eigenvalue_image(eigenvalues))
        self.run.log({f"{PREFIX}/step": step, **values})
        for finding in record.get("findings", ()):
            text = f"step {step}: {finding}. {finding.remedy}"
            self.run.summary[f"{PREFIX}/findings/{finding.code}/{finding.place}"] = text
            if finding.severity >= Severity.WARNING:
                level = (
                    self._wandb.AlertLevel.ERROR if finding.severity is Severity.ERROR else self._wandb.AlertLevel.WARN
                )
                # One title is not sent twice within a minute.
                title = f"{finding.code} at step {step}: {finding.place}"
                self.run.alert(title[:TITLE], text, level=level)

    def close(self) -> None:
        """Finish the run, if it was made here; a record that comes later resumes it."""
        if self._own and not self._finished:
            self.run.finish()
            self._finished = True


class MLflow:
    """Log numbers to the active MLflow run (or a new one), one batch a record.

    A finding is a tag of the run, ``unitcircle.<code>.<place>``.
    """

    def __init__(self) -> None:
        self._mlflow = _library("mlflow", "mlflow-skinny", "logging to MLflow")
        self._own = self._mlflow.active_run() is None
        self.run: Any = self._mlflow.active_run() or self._mlflow.start_run()

    def __call__(self, record: Record, step: int) -> None:
        run_id = self.run.info.run_id
        numbers = {_allowed(name): value for name, value in scalars(record).items()}
        self._mlflow.log_metrics(numbers, step=step, run_id=run_id)
        for finding in record.get("findings", ()):
            # Of this run, whichever is active now.
            tag = _allowed(f"{PREFIX}.{finding.code}.{finding.place}")
            self._mlflow.MlflowClient().set_tag(run_id, tag, f"step {step}: {finding}. {finding.remedy}")

    def close(self) -> None:
        """End the run, if it was started here."""
        if self._own:
            self._mlflow.end_run()


def _by_code(record: Record) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in record.get("findings", ()):
        found.setdefault(finding.code, []).append(f"{finding}. {finding.remedy}")
    return found


def _allowed(name: str) -> str:
    """Return a name of the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)
