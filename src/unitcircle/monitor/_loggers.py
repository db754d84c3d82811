"""Sinks for the loggers people use; each library is imported when its sink is made."""

from __future__ import annotations

__all__ = ["MLflow", "TensorBoard", "WandB"]

import os
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from unitcircle.errors import MissingExtraError
from unitcircle.monitor._plane import plane_image
from unitcircle.monitor._record import Record, scalars

PREFIX = "unitcircle"


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
            self.writer.add_image(f"{block}/eigenvalues", plane_image(values), step, dataformats="HWC")
        for finding in record.get("findings", ()):
            self.writer.add_text(f"findings/{finding.code}", f"{finding}. {finding.remedy}", step)
        self.writer.flush()

    def close(self) -> None:
        """Close the writer, if it was made here."""
        if self._own:
            self.writer.close()


class WandB:
    """Log numbers under ``unitcircle/`` with an axis of their own, so that they never compete with your steps.

    Parameters
    ----------
    run
        A run; by default the current one, or a new one.
    """

    def __init__(self, run: Any = None) -> None:
        wandb = _library("wandb", "wandb", "logging to Weights & Biases")
        self._wandb = wandb
        self._own = run is None and wandb.run is None
        self.run: Any = run or wandb.run or wandb.init()
        self.run.define_metric(f"{PREFIX}/step")
        self.run.define_metric(f"{PREFIX}/*", step_metric=f"{PREFIX}/step")

    def __call__(self, record: Record, step: int) -> None:
        values: dict[str, Any] = {f"{PREFIX}/{name}": value for name, value in scalars(record).items()}
        for block, eigenvalues in record.get("eigenvalues", {}).items():
            values[f"{PREFIX}/{block}/eigenvalues"] = self._wandb.Image(plane_image(eigenvalues))
        self.run.log({f"{PREFIX}/step": step, **values})

    def close(self) -> None:
        """Finish the run, if it was made here."""
        if self._own:
            self.run.finish()


class MLflow:
    """Log numbers to the active MLflow run (or a new one), one batch a record; findings as tags of the run."""

    def __init__(self) -> None:
        self._mlflow = _library("mlflow", "mlflow-skinny", "logging to MLflow")
        self._own = self._mlflow.active_run() is None
        self.run: Any = self._mlflow.active_run() or self._mlflow.start_run()

    def __call__(self, record: Record, step: int) -> None:
        run_id = self.run.info.run_id
        self._mlflow.log_metrics(scalars(record), step=step, run_id=run_id)
        for finding in record.get("findings", ()):
            self._mlflow.set_tag(f"{PREFIX}.{finding.code}", str(finding))

    def close(self) -> None:
        """End the run, if it was started here."""
        if self._own:
            self._mlflow.end_run()
