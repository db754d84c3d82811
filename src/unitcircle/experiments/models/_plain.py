"""Plain recurrences: tanh, ReLU, linear and leaky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unitcircle.errors import ArgumentError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._activation import Activation
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Plain(TrainableCell):
    """``h_t = φ(W h_{t-1} + U x_t + b)``.

    Examples
    --------
    Its subclasses name the activation φ:

    >>> [(str(cell), cell.activation) for cell in (Tanh(size=4), ReLU(size=4), Linear(size=4))]
    [('tanh(size=4)', 'tanh'), ('relu(size=4)', 'relu'), ('linear(size=4)', 'linear')]
    """

    activation: ClassVar[Activation]

    @property
    def leak(self) -> float:
        """α, the share of the new value in a step; 1 except in :class:`Leaky`."""
        return 1.0

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "recurrent": Parameter((n, n), Role.RECURRENT),
            "input": Parameter((n, inputs), Role.INPUT),
            "bias": Parameter((n,), Role.BIAS),
        }

    def activate(self, z: Tensor, /) -> Tensor:
        """Return ``φ(z)``."""
        if self.activation == "linear":
            return z
        return torch.tanh(z) if self.activation == "tanh" else torch.relu(z)

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        (h,) = state
        drive = torch.baddbmm(parameters["bias"].unsqueeze(1), x, parameters["input"].transpose(1, 2))
        return (self.activate(torch.baddbmm(drive, h, parameters["recurrent"].transpose(1, 2))),)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        from unitcircle.experiments.models._scan import scan

        parameters = self.effective(parameters)
        (h,) = self.initial(parameters, inputs.shape[2]) if start is None else start
        U, b, W = (parameters[name] for name in ("input", "bias", "recurrent"))
        hidden, h = scan(inputs, U, b, W, h, activation=self.activation, alpha=self.leak)
        return hidden, (h,)

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        return {"h": self.effective(parameters)["recurrent"]}


@dataclass(frozen=True)
class Tanh(Plain):
    r"""The tanh-RNN.

    .. math:: h_t = \tanh(W h_{t-1} + U x_t + b)

    References
    ----------
    J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).

    Examples
    --------
    >>> cell = Tanh(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent']
    """

    name = "tanh"
    aliases = ("rnn",)
    activation = "tanh"


@dataclass(frozen=True)
class ReLU(Plain):
    r"""The ReLU-RNN.

    .. math:: h_t = \max(0, W h_{t-1} + U x_t + b)

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear units",
    arXiv 1504.00941.

    Examples
    --------
    >>> cell = ReLU(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent']
    """

    name = "relu"
    activation = "relu"


@dataclass(frozen=True)
class Linear(Plain):
    r"""The linear RNN.

    .. math:: h_t = W h_{t-1} + U x_t + b

    Examples
    --------
    >>> cell = Linear(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent']
    """

    name = "linear"
    activation = "linear"


@dataclass(frozen=True)
class Leaky(Plain):
    r"""The leaky tanh-RNN: a rate network in discrete time.

    .. math:: h_t = (1 - α) h_{t-1} + α \tanh(W h_{t-1} + U x_t + b), \qquad α = Δt / τ

    Parameters
    ----------
    alpha
        α, in (0, 1].

    Examples
    --------
    >>> cell = Leaky(size=8, alpha=0.1)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent']
    """

    name = "leaky"
    activation = "tanh"

    alpha: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.alpha <= 1:
            raise ArgumentError("alpha", "must be in (0, 1]", str(self.alpha))

    @property
    def leak(self) -> float:
        return self.alpha

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        return (torch.lerp(state[0], super().step(parameters, x, state)[0], self.alpha),)
