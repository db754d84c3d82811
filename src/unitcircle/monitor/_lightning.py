"""The monitor as a Lightning callback."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from unitcircle.errors import MissingExtraError
from unitcircle.monitor._callback import MonitorCallback
from unitcircle.monitor._record import MonitorRecord, scalars

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    # One library under two names, whose classes do not mix: take the one that is in use.
    names = ("lightning.pytorch", "pytorch_lightning")
    name = names[1] if names[1] in sys.modules and names[0] not in sys.modules else names[0]
    try:
        Callback = import_module(name).Callback
    except ImportError as error:
        raise MissingExtraError("the Lightning callback", "lightning", "monitor") from error


class LightningCallback(MonitorCallback, Callback):
    """Watch recurrent weights while a Lightning ``Trainer`` fits.

    Gradients are measured as the optimizer sees them: accumulated, unscaled under mixed precision, before Lightning
    clips them. Numbers go to the trainer's loggers, from the main process, over ``trainer.global_step``. The state is
    saved in Lightning's checkpoints. With ``on_finding="stop"`` the trainer ends as with early stopping; the other
    processes stop at the end of the batch.

    Parameters
    ----------
    sinks
        More sinks, as in :class:`Monitor`; none by default.
    **options
        Those of :class:`Monitor`.

    Raises
    ------
    ArgumentError
        An option breaks its rule.

    Examples
    --------
    Passed to a ``Trainer`` as ``callbacks=[watch]``; its monitor exists once training begins.

    >>> watch = LightningCallback(overhead=0.02, on_finding="stop")
    >>> watch.monitor is None
    True
    """

    _loss: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the monitor: the module is on its device now."""

        def to_loggers(record: MonitorRecord, step: int) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(scalars(record), step=step)

        self._begin(pl_module, to_loggers)
        self._load()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """Note the loss, which Lightning has divided by the number of batches it accumulates."""
        self._loss = loss.detach() * trainer.accumulate_grad_batches

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measure, if it is time."""
        if trainer.is_global_zero and not trainer.sanity_checking:
            self._step(trainer.global_step, self._loss)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """End the training on every process, if one is to stop."""
        # Reduced only where it can happen: it makes all processes wait for each other.
        if self._checked.stops:
            stop = trainer.strategy.reduce_boolean_decision(self._stopped, all=False)
            trainer.should_stop = trainer.should_stop or stop

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the sinks; the next fit does not begin from this one's checkpoint."""
        self._state = None
        self._close()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a checkpoint's state, which some strategies read after the fit has started."""
        super().load_state_dict(state_dict)
        self._load()
