"""Cells to be trained: their parameters, what initializes each, and a step for many runs at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from unitcircle._specification import Specification
from unitcircle.errors import ArgumentError
from unitcircle.experiments._torch import torch
from unitcircle.initializers import Initializer

if TYPE_CHECKING:
    from torch import Tensor

Parameters = Mapping[str, "Tensor"]
"""Name → values of all runs, ``(R, ...)``."""
State = tuple["Tensor", ...]
"""Parts of the state, each ``(R, B, features)``."""


class Role(StrEnum):
    """Which initializer a parameter has: the run's initializer for this role, or one that the cell defines."""

    RECURRENT = "recurrent"
    """Square gate blocks, each drawn independently."""
    INPUT = "input"
    """Gate blocks ``(n, m)``, times the input scale."""
    BIAS = "bias"
    """Stacked gate biases ``(k·n,)``: the initializer's values in the gates that it sets, zeros in the others."""
    READOUT = "readout"
    """``(outputs, features)``."""
    OWN = "own"
    """An initializer that the cell defines."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a cell.

    Attributes
    ----------
    shape
        Of one run: ``(k·n, n)`` for stacked recurrent blocks, in torch's orientation (rows are outputs).
    role
        Which initializer it has.
    gates
        Names of the k stacked blocks.
    own
        Its initializer, for the role OWN; of its shape, or elementwise.
    trainable
        Whether it is trained; otherwise it keeps its initial value.
    """

    shape: tuple[int, ...]
    role: Role
    gates: tuple[str, ...] = ("h",)
    own: Initializer | None = None
    trainable: bool = True


@dataclass(frozen=True)
class TrainableCell(Specification, ABC):
    """The specification of a cell to be trained, with its step, for R runs at once.

    Every tensor has a leading axis of R runs, and no operation mixes runs.

    The result of a run does not depend on the other runs; a single run has R = 1. A subclass is a frozen dataclass with
    a ``name``, its parameters, and :meth:`step`; it may override :meth:`scan` with a faster method for sequences.

    Parameters
    ----------
    size
        n, the number of units.
    """

    kind = "cell"
    registry: ClassVar[dict[str, type[Specification]]] = {}
    example = "leaky(size=64, alpha=0.2)"

    recurrent: ClassVar[bool] = True
    """Whether there is a step; a feed-forward stack has none."""
    gated: ClassVar[str | None] = None
    """``"lstm"`` or ``"gru"``, if a forget bias applies to the cell."""

    size: int = 64

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ArgumentError("size", "must be at least 1 unit", str(self.size))

    @property
    def features(self) -> int:
        """How many numbers of the state are read out: n, or 2n where they are complex."""
        return self.size

    @abstractmethod
    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        """Return the parameters for inputs of m features a step, in a fixed order.

        Parameters
        ----------
        inputs
            m.

        Returns
        -------
        dict
            Name → shape and role.
        """

    @abstractmethod
    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        """Return the next state.

        Parameters
        ----------
        parameters
            Of R runs, or what :meth:`effective` made of them.
        x
            Inputs of one step ``(R, B, m)``.
        state
            Parts ``(R, B, features)``; the first is h, which is read out.

        Returns
        -------
        tuple of Tensor
            The next state, of the same shapes.
        """

    def effective(self, parameters: Parameters, /) -> Parameters:
        """Return the parameters with quantities that depend on them alone, such as a parametrized weight."""
        return parameters

    def initial(self, parameters: Parameters, batch: int, /) -> State:
        """Return the initial state: zero, one part; a cell with more parts, or a trained one, overrides this."""
        like = next(iter(parameters.values()))
        return (like.new_zeros(like.shape[0], batch, self.features),)

    def unrolled(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> list[State]:
        """Return the state before the first step and after every step, each computed from the one before.

        This is the plain loop, for what differentiates from step to step, such as Pascanu's Ω, and the reference of
        :meth:`scan`.

        Parameters
        ----------
        parameters
            Of R runs.
        inputs
            ``(R, T, B, m)``.
        start
            The initial state; None for :meth:`initial`.

        Returns
        -------
        list of tuple of Tensor
            T + 1 states.
        """
        parameters = self.effective(parameters)
        states = [self.initial(parameters, inputs.shape[2]) if start is None else start]
        for x in inputs.unbind(1):
            states.append(self.step(parameters, x, states[-1]))
        return states

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        """Return h at every step, and the whole state after the last.

        The result of a run has the same bits for any R. Here one run is computed after another; a cell may override
        this with a faster computation of all runs at once.

        Parameters
        ----------
        parameters
            Of R runs.
        inputs
            ``(R, T, B, m)``.
        start
            The initial state; None for :meth:`initial`.

        Returns
        -------
        tuple
            h ``(R, T, B, features)``, and the state. The gradient of a loss that uses only the state is cheaper.
        """
        from unitcircle.experiments.models._aligned import run_by_run

        names = tuple(parameters)
        begin = self.initial(parameters, inputs.shape[2]) if start is None else start

        def scan_run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            parameters = dict(zip(names, others, strict=False))
            states = self.unrolled(parameters, x, others[len(names) :])
            return torch.stack([state[0] for state in states[1:]], 1), *states[-1]

        # The order of a sum in autograd, or in a library below it, may depend on the size of the stack.
        hidden, *state = run_by_run(scan_run, inputs, *parameters.values(), *begin)
        return hidden, tuple(state)

    def forward(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return h at every step ``(R, T, B, features)`` for inputs ``(R, T, B, m)``."""
        return self.scan(parameters, inputs)[0]

    def answers(self, parameters: Parameters, inputs: Tensor, V: Tensor, c: Tensor, /) -> Tensor:
        """Return the readout ``V h_T + c`` of the state after the last step.

        Parameters
        ----------
        parameters
            Of R runs.
        inputs
            ``(R, T, B, m)``.
        V, c
            The readout, ``(R, k, features)`` and ``(R, k)``.

        Returns
        -------
        Tensor
            ``(R, B, k)``.
        """
        from unitcircle.experiments.models._aligned import affine

        return affine(self.scan(parameters, inputs)[1][0], V, c)

    def is_faster_alone(self, device: torch.device, dtype: torch.dtype, /) -> bool:  # noqa: ARG002
        """Return whether runs are trained faster one after another than together: where a library has one kernel.

        Parameters
        ----------
        device, dtype
            Of the computation.

        Returns
        -------
        bool
            False, unless the cell says otherwise.
        """
        return False

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the effective recurrent weight of every gate, for the diagnostics.

        Parameters
        ----------
        parameters
            Of R runs.

        Returns
        -------
        dict
            Gate → ``(R, n, n)``, acting on columns; empty for a cell that has none.
        """
        return {}
