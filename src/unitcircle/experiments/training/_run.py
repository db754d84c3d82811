"""The configuration of a training run: everything that its result depends on, and the key computed from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task
from unitcircle.initializers import Initializer

PROTOCOL = 2
"""A part of every key; increased whenever the same configuration would train differently."""

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]
Precision = Literal["float32", "float64", "bfloat16"]

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
PRECISIONS = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Run:
    """The configuration of one training run: equal runs train alike, runs that train differently have different keys.

    Attributes
    ----------
    task
        Specification of the task: ``"delayed_digits"``, ``"tomita(grammar=4)"``.
    cell
        Specification of the cell with its size: ``"tanh(size=64)"``.
    recurrent
        Initializer of every recurrent gate block.
    bias
        Initializer of the biases: ``zeros``, ``constant``, ``forget_bias``, ``chrono`` or ``uniform_gate``.
    input, input_scale
        Initializer of the input blocks, and a factor on it.
    readout
        Initializer of the readout.
    optimizer, learning_rate, momentum, weight_decay
        As in torch.optim; momentum is used by ``"sgd"`` only.
    batch_size, steps
        Sequences per step, optimizer steps.
    evaluate_every
        Steps between evaluations on validation data.
    clip
        Largest norm of the gradient of all parameters; None: no clipping.
    omega, norm_stabilizer, soft_orthogonality
        Weights in the loss of Pascanu's Ω, of the norm stabilizer and of Σ‖WᵀW − I‖_F².
    patience
        Successive evaluations at the task's threshold after which a run stops; None: it never stops early.
    measure_at
        Steps at which the diagnostics are measured; −1 stands for the last step.
    precision, device
        Number type of the forward and backward pass (with bfloat16, parameters are float32), torch device.
    seed
        Seed of data, weights and everything else that is random.
    twin
        Number of another draw of the recurrent weight from the same law, all else equal: the A/A row of a study.

    Examples
    --------
    >>> run = Run("adding(length=10)", "tanh(size=8)", "orthogonal")
    >>> run.optimizer, run.seed
    ('adam', 0)
    """

    task: str
    cell: str
    recurrent: str
    bias: str = "zeros"
    input: str = "xavier_normal"
    input_scale: float = 1.0
    readout: str = "xavier_normal"
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 32
    steps: int = 1000
    evaluate_every: int = 100
    clip: float | None = 1.0
    omega: float = 0.0
    norm_stabilizer: float = 0.0
    soft_orthogonality: float = 0.0
    patience: int | None = None
    measure_at: tuple[int, ...] = (0, -1)
    precision: Precision = "float32"
    device: str = "cpu"
    seed: int = 0
    twin: int = 0

    def __post_init__(self) -> None:
        # Different texts of the same specification must give one key.
        canonical: dict[str, Any] = {
            "task": Task.canonical(self.task),
            "cell": TrainableCell.canonical(self.cell),
        }
        canonical |= {name: Initializer.canonical(getattr(self, name)) for name in _INITIALIZERS}
        canonical |= {name: float(getattr(self, name)) for name in _NUMBERS}
        canonical["clip"] = None if self.clip is None else float(self.clip)
        canonical["measure_at"] = tuple(int(step) for step in self.measure_at)
        for name, value in canonical.items():
            object.__setattr__(self, name, value)
        for name in ("batch_size", "steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ArgumentError(name, "must be at least 1", str(getattr(self, name)))
        if not self.learning_rate > 0:
            raise ArgumentError("learning_rate", "must be positive", str(self.learning_rate))
        if self.clip is not None and not self.clip > 0:
            raise ArgumentError("clip", "must be positive, or none", str(self.clip))
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits of the SHA-256 of the configuration and the protocol: the name of its record.

        It does not depend on where data are stored (:attr:`Task.identity`), so records of two machines match.
        """
        text = json.dumps({"protocol": PROTOCOL} | self.to_dict() | {"task": _identity(self.task)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def stack(self) -> Run:
        """The run without what may differ between runs that are trained as one batched program."""
        return replace(self, recurrent="zeros", bias="zeros", seed=0, twin=0)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON-ready values."""
        return {name: getattr(self, name) for name in _NAMES} | {"measure_at": list(self.measure_at)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], /) -> Run:
        """Return the run that :meth:`to_dict` wrote.

        Parameters
        ----------
        values
            Attributes by name.

        Returns
        -------
        Run
            Equal to the run that was written.

        Raises
        ------
        UnknownNameError
            A name is not an attribute of a run.
        """
        for name in values:
            if name not in _NAMES:
                raise UnknownNameError("attribute of a run", name, _NAMES)
        options: dict[str, Any] = values | {"measure_at": tuple(values.get("measure_at", (0, -1)))}
        return cls(**options)


_INITIALIZERS = ("recurrent", "bias", "input", "readout")
_NAMES = tuple(field.name for field in fields(Run))
_NUMBERS = tuple(field.name for field in fields(Run) if field.type == "float")


@lru_cache(256)
def _identity(task: str) -> str:
    """Return what names a task in a key: the runs of a study repeat a few tasks."""
    return Task.unresolved(task).identity
