"""Training many runs as one batched program."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training._diagnostics import Diagnostics
from unitcircle.experiments.training._evaluation import Evaluation, evaluate, held_out_data, stack_batches
from unitcircle.experiments.training._network import build_network
from unitcircle.experiments.training._peak_memory import forget_peak, peak_memory
from unitcircle.experiments.training._penalties import loss_and_penalty
from unitcircle.experiments.training._progress import TrainingProgress
from unitcircle.experiments.training._record import Record, Status
from unitcircle.experiments.training._run import Run
from unitcircle.experiments.training._weights import initial_parameters

_DATA_STREAM = 0x64617461
"""Seed word that separates the stream of a run's training data from those of its weights."""
_CHECK_EVERY = 20
"""Steps between two checks for a loss that is not finite: each waits for the device."""


def train(runs: Sequence[Run], /) -> list[Record]:
    """Train runs that differ in recurrent initializer, bias, seed and twin only, as one batched program.

    Every parameter, state and gradient has a leading axis of R runs, products are batched, and no operation mixes
    runs: a run gives the same numbers alone and in any stack (bit for bit on the machines of our tests; elsewhere to
    rounding, if a library's batched product rounds differently for another R). A run that has ended, by divergence
    or patience, is removed, and the others continue.

    Parameters
    ----------
    runs
        One or more, equal in everything else (:attr:`Run.stack`).

    Returns
    -------
    list of Record
        In the order of the runs.

    Raises
    ------
    ArgumentError
        There are no runs, or they cannot be trained together.

    Examples
    --------
    Two seeds trained together, for four steps:

    >>> options = {"steps": 4, "evaluate_every": 4, "batch_size": 2, "measure_at": ()}
    >>> runs = [Run("adding(length=4)", "tanh(size=4)", "orthogonal", seed=seed, **options) for seed in (0, 1)]
    >>> [(record.run.seed, str(record.status), record.summary["steps"]) for record in train(runs)]
    [(0, 'finished', 4.0), (1, 'finished', 4.0)]
    """
    if not runs or any(run.stack != runs[0].stack for run in runs):
        arrived = "none" if not runs else "runs that differ in more"
        raise ArgumentError("runs", "must differ in recurrent initializer, bias and seed only", arrived)
    if len(runs) > 1 and Task.parse(runs[0].task).ragged:
        raise ArgumentError("runs", "must be trained one by one where batches differ in length", f"{len(runs)} runs")
    with _without_subnormals():
        return _Stack(runs).train()


@contextmanager
def _without_subnormals() -> Generator[None]:
    """Flush subnormal numbers to 0: vanishing gradients become subnormal, which makes a CPU a hundred times slower."""
    before = not torch.full((1,), 2.0**-1060, dtype=torch.float64).mul(0.5).any()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


class _Stack:
    """R runs while they are trained."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.shared = list(runs), runs[0]
        self.task, self.cell = Task.parse(self.shared.task), TrainableCell.parse(self.shared.cell)
        self.device = torch.device(self.shared.device)
        self.network = build_network(self.task, self.cell)
        dtype = torch.float64 if self.shared.precision == "float64" else torch.float32
        computed = torch.bfloat16 if self.shared.precision == "bfloat16" else dtype
        unrolled = self.shared.omega or self.shared.norm_stabilizer
        self.alone = not unrolled and self.cell.is_faster_alone(self.device, computed)
        """Whether a step goes forward and backward run by run."""
        specifications = self.network.parameters()
        weights = initial_parameters(specifications, self.runs, cell=self.cell, dtype=dtype, device=self.device)
        self.parameters = {n: v.requires_grad_(specifications[n].trainable) for n, v in weights.items()}
        self.trained = [v for v in self.parameters.values() if v.requires_grad]
        self.data = [np.random.default_rng([_DATA_STREAM, run.seed]) for run in self.runs]
        self.validation = held_out_data(self.task, "validation", self.device, size=self.cell.size)
        self.progress = TrainingProgress(self.runs, self.task, self.parameters)
        self.diagnostics = Diagnostics(self.network, self.validation, self.runs)
        self.optimizer = _optimizer(self.shared, self.trained)
        self.losses: list[Tensor] = []
        """Losses ``(rows,)`` of the steps since the last evaluation."""
        self.norms: list[Tensor] = []
        """Norms ``(rows,)`` of the gradients, from the last step that was checked on."""
        self.unchecked = 0
        """Steps since the last check for a loss that is not finite."""

    def _cast(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return parameters in the precision of the forward pass."""
        if self.shared.precision != "bfloat16":
            return parameters
        return {name: value.bfloat16() for name, value in parameters.items()}

    def train(self) -> list[Record]:
        """Train all runs to their end."""
        forget_peak(self.device)
        began = time.perf_counter()
        step = 0
        self._evaluate(step)
        self._measure(step)
        while self._remove_ended():
            step += 1
            self.losses.append(self._step())
            self.unchecked += 1
            evaluates = step % self.shared.evaluate_every == 0 or step == self.shared.steps
            if evaluates or step % _CHECK_EVERY == 0:
                self._check(step)
            if evaluates:
                self._evaluate(step)
            self._measure(step)
        seconds = (time.perf_counter() - began - self.diagnostics.seconds) / len(self.runs)
        return self._records(seconds)

    def _remove_ended(self) -> bool:
        """Remove the rows of the runs that have ended, and return whether any is left."""
        rows = torch.from_numpy(self.progress.leave(self.parameters)).to(self.device)
        if 0 < len(rows) < len(self.data):
            self.data = [self.data[k] for k in rows.tolist()]
            self.losses = [loss[rows] for loss in self.losses]
            self.norms = [norm[rows] for norm in self.norms]
            for parameter in self.parameters.values():
                parameter.grad, parameter.data = None, parameter.data[rows]
            for state in self.optimizer.state.values():
                # Adam's count of steps has no axis of runs.
                state |= {name: x[rows] for name, x in state.items() if torch.is_tensor(x) and x.ndim}
        return len(rows) > 0

    def _check(self, step: int) -> None:
        """End the runs whose loss was not finite since the last check, with what overflowed first."""
        bad = ~torch.isfinite(torch.stack(self.losses[-self.unchecked :])).cpu().numpy()
        lost, first = np.asarray(bad.any(0)), bad.argmax(0)
        # Of the step before each of these; there is none before the first of all.
        norms = ~torch.isfinite(torch.stack(self.norms)).cpu().numpy()
        if len(norms) == self.unchecked:
            norms = np.concatenate([np.zeros_like(norms[:1]), norms])
        broken = norms[first, np.arange(len(first))]
        steps = step - self.unchecked + 1 + first
        self.progress.lose(
            step, lost, [_overflow(at, b) for at, b in zip(steps.tolist(), broken.tolist(), strict=True)]
        )
        del self.norms[:-1]
        self.unchecked = 0

    def _step(self) -> Tensor:
        """Take one optimizer step and return the loss of every run before it."""
        batches = [self.task.sample(rng, self.shared.batch_size) for rng in self.data]
        inputs, targets, weights = stack_batches(batches, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        if self.alone:
            loss = self._add_gradients_run_by_run(inputs, targets, weights)
        else:
            loss = self._add_gradients(self.parameters, inputs, targets, weights)
        self.norms.append(_clip(self.trained, math.inf if self.shared.clip is None else self.shared.clip))
        self.optimizer.step()
        return loss

    def _add_gradients_run_by_run(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        # Each run backward right after its forward pass: what that keeps stays in the cache, and its memory serves the
        # next run. Of 16 runs at once it is some 200 MB, which a step would get from the system and give back.
        losses: list[Tensor] = []
        for r in range(len(inputs)):
            run = {n: v.detach()[r : r + 1].requires_grad_(v.requires_grad) for n, v in self.parameters.items()}
            data = (inputs[r : r + 1], targets[r : r + 1], None if weights is None else weights[r : r + 1])
            losses.append(self._add_gradients(run, *data))
            for name, value in self.parameters.items():
                if (gradient := run[name].grad) is not None:
                    if value.grad is None:
                        value.grad = torch.empty_strided(
                            value.shape, value.stride(), dtype=value.dtype, device=value.device
                        )
                    value.grad[r] = gradient[0]
        return torch.cat(losses)

    def _add_gradients(
        self, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> Tensor:
        """Add the gradients of the loss to those of parameters ``(K, ...)`` and return the loss of every run."""
        values, loss_of = self._cast(parameters), self._loss(targets, weights)
        loss, penalty = loss_and_penalty(self.network, values, inputs, loss_of, self.shared)
        (loss + penalty).sum().backward()
        return loss.detach()

    def _loss(self, targets: Tensor, weights: Tensor | None) -> Any:
        def loss(outputs: Tensor) -> Tensor:
            return self.task.losses(outputs if outputs.dtype != torch.bfloat16 else outputs.float(), targets, weights)

        return loss

    def _evaluate(self, step: int) -> None:
        # Steps on the last axis: the order of a sum over the first would depend on the number of runs.
        losses = (
            torch.stack(self.losses, 1).double().cpu().numpy()
            if self.losses
            else np.full((len(self.data), 1), math.nan)
        )
        self.losses.clear()
        evaluation = evaluate(self.network, self._cast(self.parameters), self.task, self.validation)
        weights = self.diagnostics.weights(self.parameters, self.progress.rows)
        broken = ~torch.isfinite(self.norms[-1]).cpu().numpy() if self.norms else np.zeros(len(self.data), bool)
        messages = [_overflow(step + 1, gradient) for gradient in broken.tolist()]
        self.progress.add(step, losses.mean(-1), evaluation, weights, self.parameters, messages=messages)

    def _measure(self, step: int) -> None:
        rows = self.progress.rows
        ended, lost = ~self.progress.running[rows], self.progress.diverged[rows]
        self.diagnostics.measure(step, self.parameters, rows, ended=ended, lost=lost)

    def _records(self, seconds: float) -> list[Record]:
        test = held_out_data(self.task, "test", self.device, size=self.cell.size)
        best = evaluate(self.network, self._cast(self.progress.best), self.task, test)
        final = Evaluation(best.loss.copy(), best.score.copy())
        if len(rows := np.flatnonzero(self.progress.fell_back)):
            last = {name: value[rows] for name, value in self.progress.last.items()}
            evaluation = evaluate(self.network, self._cast(last), self.task, test)
            final.loss[rows], final.score[rows] = evaluation.loss, evaluation.score
        environment = _environment(len(self.runs), self.device)
        if self.task.signature:
            environment["bleu"] = self.task.signature
        return [
            Record(
                run,
                Status.DIVERGED if self.progress.diverged[r] else Status.FINISHED,
                summary=self.progress.summary(r, best, final),
                curves=self.progress.curves(r),
                diagnostics=self.diagnostics.of(r),
                seconds=seconds,
                memory_mb=peak_memory(self.device),
                environment=environment,
                message=self.progress.message(r),
            )
            for r, run in enumerate(self.runs)
        ]


def _overflow(step: int, gradient: bool, /) -> str:
    """Return what overflowed where the loss of a step is not finite, and whether the gradient before it was not."""
    if gradient:
        # The weights are not finite then, and the loss is a consequence.
        return f"the gradient of a finite loss overflowed at step {step - 1}"
    return f"the loss overflowed at step {step}"


def _optimizer(run: Run, parameters: list[Tensor]) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": run.learning_rate, "weight_decay": run.weight_decay}
    if run.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, **options)
    if run.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=run.momentum, **options)
    kind = torch.optim.AdamW if run.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, **options)


@torch.no_grad()
def _clip(parameters: list[Tensor], largest: float) -> Tensor:
    """Scale the gradient of each run down to a norm, as ``torch.nn.utils.clip_grad_norm_`` does; return the norms."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients], 1)
    norm = torch.linalg.vector_norm(norms, dim=1)
    if largest < math.inf:
        factor = (largest / (norm + 1e-6)).clamp(max=1.0)
        for g in gradients:
            g.mul_(factor.reshape(-1, *[1] * (g.ndim - 1)))
    return norm


def _environment(stack: int, device: torch.device) -> dict[str, Any]:
    return {
        "unitcircle": version("unitcircle"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "stack": stack,
    }
