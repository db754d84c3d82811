"""Training deep feed-forward stacks from orthogonal weights, and recurrent networks, watching how the weights move."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.tasks import Batch, Task
from unitcircle.experiments.training import Status
from unitcircle.initializers import Gaussian, Orthogonal
from unitcircle.spectra import tangent_share
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.well_behaved._movement import Movement, movement

DEPTH = 8
BATCH = 64


@dataclass(frozen=True)
class Regimen:
    """One way to train."""

    network: str  # "stack": eight square ReLU layers; "rnn": a tanh network reading pixel by pixel
    width: int  # n, units of a layer
    optimizer: str  # "sgd" or "adam"
    learning_rate: float  # Step size
    steps: int  # Optimizer steps
    task: str = "digits"  # The digits, delayed or not

    def __str__(self) -> str:
        where = "" if self.task == "digits" else f", {self.task.replace('_', ' ')}"
        return f"{self.network}, n = {self.width}, {self.optimizer} {self.learning_rate:g}{where}"


@dataclass(frozen=True, eq=False)
class WeightCourse:
    """What the weights did; arrays over recorded steps, runs and layers ``(T, R, L)``."""

    setting: Regimen  # How it was trained
    steps: np.ndarray  # (T,)
    moved: Movement  # From the start
    gradient_share: np.ndarray  # Tangent share of the gradient at these steps (T, R, L); NaN where it was not measured
    accuracy: np.ndarray  # On test data, (R,)
    diverged: int  # Runs that did, and are left out of everything else

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was measured, by name, for a file."""
        moved = {field.name: getattr(self.moved, field.name) for field in fields(Movement)}
        rest = {name: np.asarray(getattr(self, name)) for name in ("steps", "gradient_share", "accuracy", "diverged")}
        return moved | rest

    @classmethod
    def of(cls, setting: Regimen, arrays: dict[str, np.ndarray], /) -> WeightCourse:
        """Return what :meth:`arrays` has written."""
        moved = Movement(*(arrays[field.name] for field in fields(Movement)))
        lost = int(arrays["diverged"])
        return cls(setting, arrays["steps"], moved, arrays["gradient_share"], arrays["accuracy"], lost)


def train_recurrent(context: Context, setting: Regimen, runs: int, /) -> WeightCourse:
    """Train recurrent networks from orthogonal weights."""
    options: dict[str, Any] = {"optimizer": setting.optimizer, "steps": setting.steps, "measure_at": ()}
    options |= {"evaluate_every": max(1, setting.steps // 12)}
    sizes, rates = (setting.width,), (setting.learning_rate,)
    experiment = Experiment(setting.task, sizes=sizes, learning_rates=rates, options=options)
    name = f"well-behaved-{setting.width}-{setting.optimizer}-{setting.learning_rate:g}-{setting.task}"
    planned = Study(
        name,
        initializers={"orthogonal": "orthogonal"},
        experiments=(experiment,),
        seeds=runs,
        twin=False,
    )
    study = context.seeded(planned)
    context.study(study, here=True)
    reported = study.reported_runs(next(experiment.settings()), "orthogonal", setting.learning_rate)
    records = list(context.store(study).records(reported))
    diverged = [record for record in records if record.status is Status.DIVERGED]
    records = [record for record in records if record.status is Status.FINISHED]
    if not records:
        nothing = np.empty((0, 0, 1))
        return WeightCourse(setting, np.empty(0), Movement(*[nothing] * 4), nothing, np.empty(0), len(diverged))

    def curve(name: str) -> np.ndarray:
        return np.array([record.curves[f"{name}[h]"] for record in records]).T[1:, :, None]

    share = curve("tangent_share")
    moved = Movement(curve("orthogonality"), curve("drift"), share, np.full_like(share, np.nan))
    steps = np.array(records[0].curves["step"])[1:]
    accuracy = np.array([record.summary["final_test_score"] for record in records])
    return WeightCourse(setting, steps, moved, np.full_like(share, np.nan), accuracy, len(diverged))


def trained_stack(context: Context, setting: Regimen, runs: int, /) -> WeightCourse:
    """Return what :func:`train_stack` measures: from its file if it is there."""
    key = (*vars(setting).values(), runs)
    measured = context.kept("well-behaved-stacks", key, lambda: train_stack(setting, runs, context.first_seed).arrays())
    return WeightCourse.of(setting, measured)


def train_stack(setting: Regimen, runs: int, seed: int, /) -> WeightCourse:
    """Train deep stacks h ← relu(W_l h), l = 1 … 8, from orthogonal W_l on whole digits."""
    task = Task.parse(setting.task)
    generators = [np.random.default_rng([seed + run, setting.width]) for run in range(runs)]
    n = setting.width
    start = np.stack([Orthogonal().sample(n, rng=rng, size=DEPTH) for rng in generators])
    ends = [
        np.stack([Gaussian().sample(shape, rng=rng) for rng in generators]) for shape in ((n, 64), (task.outputs, n))
    ]
    square, first, last = (torch.tensor(value, dtype=torch.float32, requires_grad=True) for value in (start, *ends))
    parameters = [square, first, last]
    optimizer_class = torch.optim.Adam if setting.optimizer == "adam" else torch.optim.SGD
    optimizer = optimizer_class(parameters, lr=setting.learning_rate)
    recorded = np.unique(np.geomspace(1, setting.steps, 14).round().astype(int))
    moved: list[Movement] = []
    shares: list[np.ndarray] = []
    for step in range(1, setting.steps + 1):
        inputs, labels = _whole([task.sample(rng, BATCH) for rng in generators])
        optimizer.zero_grad()
        outputs = _outputs(inputs, square, first, last)
        # A mean over the batch, a sum over the networks: they do not meet.
        loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="sum") / BATCH
        loss.backward()
        assert square.grad is not None, "the backward pass has just been run"
        if step in recorded:
            gradient = square.grad.double().numpy()
            # A run that has diverged has no direction: it is left out below.
            sound = np.isfinite(gradient).all((-2, -1), keepdims=True)
            shares.append(tangent_share(np.where(sound, gradient, 0.0), start))
        optimizer.step()
        if step in recorded:
            moved.append(movement(square.detach().double().numpy(), start))
    inputs, labels = _whole(list(task.held_out("test")) * runs)
    with torch.no_grad():
        right = _outputs(inputs, square, first, last).argmax(-1) == labels
    names = [field.name for field in fields(Movement)]
    together = Movement(*(np.array([getattr(m, name) for m in moved]) for name in names))
    finite = np.asarray(np.isfinite(together.deviation).all((0, 2)))
    accuracy = right.double().mean(-1).numpy()[finite]
    return WeightCourse(
        setting, recorded, together.of(finite), np.array(shares)[:, finite], accuracy, int(np.sum(~finite))
    )


def _whole(batches: list[Batch]) -> tuple[Tensor, Tensor]:
    """Return digits as whole images ``(R, B, 64)`` of mean square 1, and labels ``(R, B)``."""
    inputs = np.stack([batch.inputs[:64, :, 0].T for batch in batches])
    return torch.from_numpy(inputs) / 0.48, torch.from_numpy(np.stack([batch.targets for batch in batches])).long()


def _outputs(inputs: Tensor, square: Tensor, first: Tensor, last: Tensor) -> Tensor:
    h = torch.relu(inputs @ first.mT)
    for layer in square.unbind(1):
        h = torch.relu(h @ layer.mT)
    return h @ last.mT
