"""The monitor as a callback of the Hugging Face Trainer."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from unitcircle._files import written_whole
from unitcircle.errors import MissingExtraError
from unitcircle.monitor._callback import MonitorCallback
from unitcircle.monitor._finding_reporter import UnitcircleWarning
from unitcircle.monitor._json_lines import Sinks
from unitcircle.monitor._options import MonitorOptions
from unitcircle.monitor._record import MonitorRecord, scalars

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback
else:
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtraError("the Hugging Face callback", "transformers", "monitor") from error

STATE = "unitcircle_monitor.pt"


class TransformersCallback(MonitorCallback, TrainerCallback):
    """Watch recurrent weights while a Hugging Face ``Trainer`` trains; add it with :func:`attach`.

    Gradients are measured after the Trainer has clipped them. Numbers are added to the Trainer's own logs, so that
    every logger in ``report_to`` gets them. The loss is the one that the Trainer logs, a mean over ``logging_steps``.
    The state is saved with each checkpoint of the Trainer, and read again when training resumes from a checkpoint in
    ``output_dir``. With ``on_finding="stop"`` the other processes stop at the end of the step.

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
    It measures once :func:`attach` has given it to a ``Trainer``, and training begins:

    >>> watch = TransformersCallback(overhead=0.02)
    >>> watch.monitor is None
    True
    """

    def __init__(self, *, sinks: Sinks = (), **options: Unpack[MonitorOptions]) -> None:
        super().__init__(sinks=sinks, **options)
        self._latest: dict[str, float] = {}
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Make the monitor, in the state of the checkpoint if training resumes from one."""

        def to_logs(record: MonitorRecord, _step: int) -> None:
            self._latest = scalars(record)

        monitor = self._begin(model, to_logs)
        self._load()
        self._state = None
        if not state.global_step:
            return
        file = _state_file(args, state)
        if file.is_file():
            import torch  # noqa: PLC0415  (transformers imports it only when it trains)

            monitor.load_state_dict(torch.load(file, weights_only=True))
        elif state.is_world_process_zero:
            message = f"the monitor starts without a saved state at step {state.global_step}: {file} does not exist"
            warnings.warn(message, UnitcircleWarning, stacklevel=2)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure, if it is time."""
        if state.is_world_process_zero:
            self._step(state.global_step, self._loss)
        self._loss = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the training on every process, if one is to stop: a process that continued alone would wait forever."""
        if self._checked.stops:
            import torch  # noqa: PLC0415
            from accelerate.utils import broadcast  # noqa: PLC0415  (the Trainer needs it too)

            stop: Any = broadcast(torch.tensor(int(self._stopped), device=args.device))
            control.should_training_stop = control.should_training_stop or bool(stop)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Add the latest numbers to what the Trainer logs, and note its loss."""
        if logs is None:
            return
        if isinstance(loss := logs.get("loss"), float):
            self._loss = loss
        # The Trainer logs its own loss.
        logs |= {name: value for name, value in self._latest.items() if name not in {"loss", "loss_peak"}}
        self._latest = {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save the state with the checkpoint."""
        file = _state_file(args, state)
        if self.monitor is not None and state.is_world_process_zero and file.parent.is_dir():
            import torch  # noqa: PLC0415

            with written_whole(file) as opened:
                torch.save(self.monitor.state_dict(), opened)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the sinks."""
        self._close()

    def attached(self, trainer: Trainer, /) -> Self:
        """Put this callback before those that report: they are called in order, and send the current logs."""
        trainer.callback_handler.callbacks.insert(0, self)
        return self


def attach(trainer: Trainer, /, *, sinks: Sinks = (), **options: Unpack[MonitorOptions]) -> TransformersCallback:
    """Attach a monitor to a Hugging Face Trainer.

    ``trainer.add_callback`` would put it after the callbacks that report, which would then never see its numbers.

    Parameters
    ----------
    trainer
        The trainer.
    sinks
        More sinks, as in :class:`Monitor`; none by default.
    **options
        Those of :class:`Monitor`.

    Returns
    -------
    TransformersCallback
        The callback; its ``monitor`` exists once training begins.
    """
    return TransformersCallback(sinks=sinks, **options).attached(trainer)


def _state_file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
