"""Sinks for common loggers; each library is imported when its sink is created."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from unitcircle.diagnosis import Severity
from unitcircle.errors import MissingExtraError
from unitcircle.monitor._eigenvalue_image import eigenvalue_image
from unitcircle.monitor._record import MonitorRecord, scalars

PREFIX = "unitcircle"
TITLE = 63
"""Most characters of the title of an alert."""


def _import_library(name: str, package: str, purpose: str) -> Any:
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

    Examples
    --------
    An object of your own with the methods of a ``SummaryWriter``, in place of one:

    >>> class Writer:
    ...     def add_scalar(self, name, value, step):
    ...         print(step, name, value)
    ...     def flush(self):
    ...         pass
    >>> TensorBoard(Writer())({"loss": 2.0, "W/radius": 0.9}, 10)
    10 loss 2.0
    10 W/radius 0.9
    """

    def __init__(self, writer: Any) -> None:
        self._owned = isinstance(writer, str | os.PathLike)
        if self._owned:
            tensorboard = _import_library("torch.utils.tensorboard", "tensorboard", "writing TensorBoard events")
            writer = tensorboard.SummaryWriter(str(Path(cast("str", writer))))
        self.writer: Any = writer

    def __call__(self, record: MonitorRecord, step: int) -> None:
        for name, value in scalars(record).items():
            self.writer.add_scalar(name, value, step)
        for block, values in record.get("eigenvalues", {}).items():
            self.writer.add_image(f"{block}/eigenvalues", eigenvalue_image(values), step, dataformats="HWC")
        for code, texts in _by_code(record).items():
            self.writer.add_text(f"findings/{code}", "\n\n".join(texts), step)
        self.writer.flush()

    def close(self) -> None:
        """Close the writer if it was created here."""
        if self._owned:
            self.writer.close()


class WandB:
    """Log numbers under ``unitcircle/`` with a separate step axis, so that they do not conflict with your steps.

    Eigenvalues are logged as images of the complex plane. A finding is written to the run's summary as
    ``unitcircle/findings/<code>/<place>``; a warning or an error is also sent as an alert.

    Parameters
    ----------
    run
        A run; by default the current one, or a new one if there is none.
    """

    def __init__(self, run: Any = None) -> None:
        wandb = _import_library("wandb", "wandb", "logging to Weights & Biases")
        self._wandb = wandb
        self._owned = run is None and wandb.run is None
        self._start(run or wandb.run or wandb.init())

    def _start(self, run: Any) -> None:
        self.run: Any = run
        self._finished = False
        self.run.define_metric(f"{PREFIX}/step")
        self.run.define_metric(f"{PREFIX}/*", step_metric=f"{PREFIX}/step")

    def __call__(self, record: MonitorRecord, step: int) -> None:
        if self._finished:
            # Training continues after close, as in a second fit: resume the same run.
            self._start(self._wandb.init(id=self.run.id, project=self.run.project, resume="allow"))
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
        """Finish the run if it was started here; a later record resumes it."""
        if self._owned and not self._finished:
            self.run.finish()
            self._finished = True


class MLflow:
    """Log numbers to the active MLflow run, or a new one, in one batch per record.

    A finding is written as a tag of the run, ``unitcircle.<code>.<place>``.
    """

    def __init__(self) -> None:
        self._mlflow = _import_library("mlflow", "mlflow-skinny", "logging to MLflow")
        self._owned = self._mlflow.active_run() is None
        self.run: Any = self._mlflow.active_run() or self._mlflow.start_run()

    def __call__(self, record: MonitorRecord, step: int) -> None:
        run_id = self.run.info.run_id
        numbers = {_allowed_name(name): value for name, value in scalars(record).items()}
        self._mlflow.log_metrics(numbers, step=step, run_id=run_id)
        for finding in record.get("findings", ()):
            # By the client: mlflow.set_tag would write to the run that is active now.
            tag = _allowed_name(f"{PREFIX}.{finding.code}.{finding.place}")
            self._mlflow.MlflowClient().set_tag(run_id, tag, f"step {step}: {finding}. {finding.remedy}")

    def close(self) -> None:
        """End the run if it was started here."""
        if self._owned:
            self._mlflow.end_run()


def _by_code(record: MonitorRecord) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for finding in record.get("findings", ()):
        texts.setdefault(finding.code, []).append(f"{finding}. {finding.remedy}")
    return texts


def _allowed_name(name: str) -> str:
    """Return a name with only characters that MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name)
