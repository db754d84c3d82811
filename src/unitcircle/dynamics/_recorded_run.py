"""One run of a model on a batch in which the states of its recurrent layers are recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle.dynamics._batch import Batch, call
from unitcircle.dynamics._layers import FUSED
from unitcircle.dynamics._manner import as_in_training
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.dynamics._state_gradients import GraphGradients, StateGradients, TapeGradients
from unitcircle.dynamics._tape import NeedsGraphError, Tape
from unitcircle.dynamics._trajectories import Point, StateRecord, Trajectory
from unitcircle.dynamics._unrolling import unrolled
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.torch import has_own_forward

_LENGTHS = re.compile(
    r"^(x_?|inputs?_?|seq(uence)?s?_?|src_?|source_?|text_?|batch_?)?(lengths?|lens?)$", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A run: what was recorded, what the model returned, and how it was run."""

    record: StateRecord
    output: Any
    target: Any
    lengths: Tensor | None  # (B,): the argument ``lengths`` of the model, if the batch has one
    notes: tuple[str, ...]  # Where the run differs from training
    tape: Tape | None = None  # The calls, if they are cut out of the graph
    scanned: StateGradients | None = None  # What differentiates the run, if it is one scan

    @cached_property
    def gradients(self) -> StateGradients:
        """Differentiates with respect to the states."""
        if self.scanned is not None:
            return self.scanned
        return GraphGradients(self.record) if self.tape is None else TapeGradients(self.record, self.tape)

    def lengths_of(self, trajectory: Trajectory, /) -> Tensor | None:
        """Return the steps after which each sequence of a trajectory ends; None where all take every step."""
        if (of_packed := trajectory.lengths) is not None:
            return of_packed
        lengths = self.lengths
        if lengths is None or trajectory.direction or len(lengths) != trajectory.batch:
            return None
        return lengths if int(lengths.min()) >= 1 and int(lengths.max()) <= trajectory.steps else None


@contextmanager
def recorded(
    model: nn.Module,
    batch: Batch,
    /,
    *,
    at: Sequence[str] = (),
    dtype: torch.dtype | None,
    objective: Callable[[RecordedRun], Tensor | None] = lambda _run: None,
) -> Generator[tuple[RecordedRun, Tensor | None]]:
    """Run a model in evaluation mode, and yield what was recorded with a scalar of its output; then leave it as found.

    Fused layers that are called once are run by scans; a model with other calls is run again in plain operations.
    """
    if not at and any(isinstance(module, FUSED) for module in model.modules()):
        with evaluation_mode(model), torch.enable_grad():
            found: tuple[RecordedRun, Tensor | None] | None = None
            try:
                run = _run(model, batch, at=(), dtype=dtype, tape=Tape())
                found = (run, objective(run)) if run.tape is not None and run.tape.calls else None
            except (NeedsGraphError, Exception):  # the second run raises what is wrong with the model
                found = None
            if found is not None:
                yield found
                return
    with evaluation_mode(model), torch.enable_grad():
        run = _run(model, batch, at=at, dtype=dtype, tape=None)
        yield run, objective(run)


def _run(
    model: nn.Module, batch: Batch, /, *, at: Sequence[str], dtype: torch.dtype | None, tape: Tape | None
) -> RecordedRun:
    """Run a model on a copy of its parameters and buffers, which require gradients."""

    def take(tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        if not tensor.is_floating_point():
            return tensor.clone()
        # Weights require gradients so that the states of hand-written recurrences are part of a graph.
        return tensor.to(dtype or tensor.dtype, copy=True).requires_grad_()

    record = StateRecord()
    tensors = {name: take(t) for name, t in model.named_parameters()}
    tensors |= {name: take(t).detach() for name, t in model.named_buffers()}
    modules = dict(model.named_modules())
    handles: list[Any] = []
    try:
        for name in at:
            if name not in modules:
                raise UnknownNameError("at", name, (key for key in modules if key))

            def hook(_module: nn.Module, arguments: tuple[Any, ...], name: str = name) -> None:
                if arguments[0].requires_grad:
                    _add_named_state(record, name, arguments[0])

            handles.append(modules[name].register_forward_pre_hook(hook))
        with as_in_training(model, tensors) as notes, unrolled(model, record=record, tape=tape):
            output, target = call(lambda *a, **k: functional_call(model, tensors, a, k), batch, dtype)
    finally:
        for handle in handles:
            handle.remove()
    return RecordedRun(record, output, target, lengths_in(batch), tuple(notes), tape)


def _add_named_state(record: StateRecord, name: str, state: Tensor) -> None:
    if name not in record.trajectories:
        record.trajectories[name] = Trajectory(name, 0, 0, [])
    trajectory = record.trajectories[name]
    trajectory.points.append(Point((state,)))
    trajectory.end = (state,)
    record.last = (name, 0)


class NoLayerError(ArgumentError):
    """A run in which no recurrent layer was called."""


def check_recorded(run: RecordedRun, model: nn.Module, /) -> None:
    """Refuse a run in which no recurrent layer was called."""
    if run.record.trajectories:
        return
    remedy = "It carries no state through a loop either; name the submodules of one that is not found with at=."
    own = unmeasured_subclasses(model)
    arrived = type(model).__name__ if not own else f"only {', '.join(own)}"
    raise NoLayerError("model", "must call an nn.RNN, GRU, LSTM or Cell", arrived, remedy)


def unmeasured_subclasses(model: nn.Module, /) -> list[str]:
    """Return the layers and cells whose ``forward`` is not torch's, which is another function than torch's."""
    return [
        f"{path or 'the model'} ({type(module).__name__}, with its own forward)"
        for path, module in model.named_modules()
        if has_own_forward(module)
    ]


def lengths_in(batch: Batch, /) -> Tensor | None:
    """Return the argument of a batch that gives the length of each sequence."""
    for name, value in batch.by_name().items():
        if _LENGTHS.match(name):
            lengths = torch.as_tensor(value)
            if lengths.ndim == 1 and not lengths.is_floating_point() and lengths.numel():
                return lengths.cpu().long()
    return None
