"""The monitor as a callback of the Hugging Face Trainer."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from unitcircle._files import written_whole
from unitcircle.errors import MissingExtraError
from unitcircle.monitor._alarm import TrainingStopped, UnitcircleWarning
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._monitor import Monitor
from unitcircle.monitor._options import Options
from unitcircle.monitor._record import Record, scalars

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback
else:
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtraError("the Hugging Face callback", "transformers", "monitor") from error

STATE = "unitcircle_monitor.pt"


class TransformersCallback(TrainerCallback):
    """Watch recurrent weights while a Hugging Face ``Trainer`` trains; put it there with :func:`attach`.

    Gradients are measured after the Trainer has clipped them. Numbers join the Trainer's own logs, so that every
    ``report_to`` has them. The loss is the one the Trainer logs, a mean over ``logging_steps``. The state is saved
    beside each checkpoint of the Trainer and found again when it resumes from one in its ``output_dir``. With
    ``on_finding="stop"`` the other processes are told at the end of the step.

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
        self._latest: dict[str, float] = {}
        self._loss: float | None = None
        self._stop = False
        self.monitor: Monitor | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Make the monitor, or take up that of the checkpoint."""

        def to_logs(record: Record, _step: int) -> None:
            self._latest = scalars(record)

        self.monitor = Monitor(model, sinks=[to_logs, *self._sinks], **self._options)
        if not state.global_step:
            return
        saved = _state_file(args, state)
        if saved.is_file():
            import torch  # noqa: PLC0415  (transformers imports it only when it trains)

            self.monitor.load_state_dict(torch.load(saved, weights_only=True))
        elif state.is_world_process_zero:
            message = f"the monitor begins anew at step {state.global_step}: there is no {saved}"
            warnings.warn(message, UnitcircleWarning, stacklevel=2)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure, if it is time."""
        if self.monitor is None or not state.is_world_process_zero:
            return
        try:
            self.monitor.step(state.global_step, self._loss)
        except TrainingStopped as stopped:
            self._stop = True
            print(f"unitcircle: {stopped}", file=sys.stderr)  # noqa: T201  (why training ends)
        self._loss = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the training on every process, if it is to stop: one that went on alone would wait for ever."""
        if self._options.get("on_finding") == "stop":
            import torch  # noqa: PLC0415
            from accelerate.utils import broadcast  # noqa: PLC0415  (the Trainer needs it too)

            stop: Any = broadcast(torch.tensor(int(self._stop), device=args.device))
            control.should_training_stop = control.should_training_stop or bool(stop)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Add the latest numbers to what the Trainer logs, and note its loss."""
        if logs is None:
            return
        if isinstance(loss := logs.get("loss"), float):
            self._loss = loss
        # The Trainer has a loss of its own.
        logs |= {name: value for name, value in self._latest.items() if name not in {"loss", "loss_peak"}}
        self._latest = {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save the state beside the checkpoint."""
        file = _state_file(args, state)
        if self.monitor is not None and state.is_world_process_zero and file.parent.is_dir():
            import torch  # noqa: PLC0415

            with written_whole(file) as opened:
                torch.save(self.monitor.state_dict(), opened)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the sinks."""
        if self.monitor is not None:
            self.monitor.close()

    def attached(self, trainer: Trainer, /) -> Self:
        """Put this callback before those that report: the Trainer calls them in order, and they send what logs hold."""
        trainer.callback_handler.callbacks.insert(0, self)
        return self


def attach(trainer: Trainer, /, **options: Any) -> TransformersCallback:
    """Attach a monitor to a Hugging Face Trainer.

    ``trainer.add_callback`` would put it after the callbacks that report, which would then never see its numbers.

    Parameters
    ----------
    trainer
        The trainer.
    **options
        Of :class:`TransformersCallback`.

    Returns
    -------
    TransformersCallback
        The callback; its ``monitor`` is there once training begins.
    """
    return TransformersCallback(**options).attached(trainer)


def _state_file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
