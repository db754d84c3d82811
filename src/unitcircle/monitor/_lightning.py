"""The monitor as a Lightning callback."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from unitcircle.errors import MissingExtraError
from unitcircle.monitor._alarm import TrainingStopped
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._monitor import Monitor
from unitcircle.monitor._options import Options
from unitcircle.monitor._record import Record, scalars

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    # One library under two names, whose classes do not mix: the one that is in use.
    names = ("lightning.pytorch", "pytorch_lightning")
    name = names[1] if names[1] in sys.modules and names[0] not in sys.modules else names[0]
    try:
        Callback = import_module(name).Callback
    except ImportError as error:
        raise MissingExtraError("the Lightning callback", "lightning", "monitor") from error


class LightningCallback(Callback):
    """Watch recurrent weights while a Lightning ``Trainer`` fits.

    Gradients are measured as the optimizer sees them: accumulated, unscaled under mixed precision, before Lightning
    clips. Numbers go to the trainer's loggers, from the main process, over ``trainer.global_step``; the state is saved
    with Lightning's checkpoints. With ``on_finding="stop"`` the trainer ends as early stopping does; across several
    processes the others are told at the end of the batch.

    Parameters
    ----------
    sinks
        Further sinks; none by default.
    **options
        Of :class:`Monitor`.
    """

    def __init__(self, *, sinks: Sinks = (), **options: Any) -> None:
        Options.check(options)
        self._sinks, self._options = sinks_of(sinks), options
        self._state: dict[str, Any] | None = None
        self._loss: Any = None
        self._stop = False
        self.monitor: Monitor | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the monitor: the module is on its device now."""

        def to_loggers(record: Record, step: int) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(scalars(record), step=step)

        self.monitor = Monitor(pl_module, sinks=[to_loggers, *self._sinks], **self._options)
        if self._state is not None:
            self.monitor.load_state_dict(self._state)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """Note the loss, which Lightning has divided by the number of batches it accumulates."""
        self._loss = loss.detach() * trainer.accumulate_grad_batches

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measure, if it is time."""
        if self.monitor is None or not trainer.is_global_zero or trainer.sanity_checking:
            return
        try:
            self.monitor.step(trainer.global_step, self._loss)
        except TrainingStopped as stopped:
            self._stop = True
            print(f"unitcircle: {stopped}", file=sys.stderr)  # noqa: T201  (why training ends)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """End the training on every process, if it is to stop."""
        if self._options.get("on_finding") == "stop":
            stop = trainer.strategy.reduce_boolean_decision(self._stop, all=False)
            trainer.should_stop = trainer.should_stop or stop

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the sinks."""
        self._state = None
        if self.monitor is not None:
            self.monitor.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the monitor's state for the checkpoint."""
        return {} if self.monitor is None else self.monitor.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a checkpoint's state for the monitor of this fit, which some strategies make before they read it."""
        self._state = state_dict or None
        if self.monitor is not None and self._state is not None:
            self.monitor.load_state_dict(self._state)
