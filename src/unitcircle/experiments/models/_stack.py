"""A deep feed-forward stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell

if TYPE_CHECKING:
    from torch import Tensor, nn

_ACTIVATIONS = ("linear", "tanh", "relu")


@dataclass(frozen=True)
class Stack(TrainableCell):
    r"""A deep feed-forward stack, such as the deep linear networks of Saxe, McClelland and Ganguli.

    .. math:: h = φ(W_L \, φ(W_{L-1} \cdots φ(W_1 x + b_1) \cdots) + b_L)

    W_1 is ``(n, m)``, with the input initializer; W_2, …, W_L are ``(n, n)``, each with a draw of the recurrent
    initializer. A linear stack has no biases. There is no recurrence: a step ignores the state, and only the
    last input of a sequence is used. The readout comes on top, so that a linear network has L + 1 matrices.

    Parameters
    ----------
    depth
        L, the number of weight matrices below the readout.
    activation
        φ: ``"linear"``, ``"tanh"`` or ``"relu"``.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", ICLR 2014, arXiv 1312.6120.

    Examples
    --------
    >>> cell = Stack(size=8, depth=2)
    >>> sorted(cell.parameters(2))
    ['input', 'recurrent']
    """

    name = "stack"
    recurrent: ClassVar[bool] = False

    depth: int = 8
    activation: str = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 1:
            raise ArgumentError("depth", "must be at least 1 layer", str(self.depth))
        if self.activation not in _ACTIVATIONS:
            raise UnknownNameError("activation", self.activation, _ACTIVATIONS)

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the square blocks: ``"1"`` to ``"L − 1"``."""
        return tuple(str(layer) for layer in range(1, self.depth))

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        parameters = {"input": Parameter((n, inputs), Role.INPUT, ("0",))}
        if self.depth > 1:
            parameters["recurrent"] = Parameter(((self.depth - 1) * n, n), Role.RECURRENT, self.gates)
        if self.activation != "linear":
            parameters["bias"] = Parameter((self.depth * n,), Role.BIAS, ("0", *self.gates))
        return parameters

    def layers(self, parameters: Parameters, /) -> list[tuple[Tensor, Tensor | None]]:
        """Return weight and bias of every layer, the first one first."""
        weights = [parameters["input"], *self.recurrent_weights(parameters).values()]
        biases = parameters["bias"].chunk(self.depth, 1) if "bias" in parameters else [None] * self.depth
        return list(zip(weights, biases, strict=True))

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:  # noqa: ARG002
        from unitcircle.experiments.models._aligned import affine

        for W, b in self.layers(parameters):
            x = affine(x, W, b)
            x = x if self.activation == "linear" else torch.tanh(x) if self.activation == "tanh" else torch.relu(x)
        return (x,)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        """Return the last layer for the last input ``(R, 1, B, n)``, and the same as state."""
        (h,) = self.step(parameters, inputs[:, -1], start or ())
        return h.unsqueeze(1), (h,)

    def answers(self, parameters: Parameters, inputs: Tensor, V: Tensor, c: Tensor, /) -> Tensor:
        # Of a linear stack only the map counts, and its narrow end is mostly the readout, not the batch.
        if self.activation != "linear" or V.shape[1] > inputs.shape[2]:
            return super().answers(parameters, inputs, V, c)
        from unitcircle.experiments.models._aligned import affine
        from unitcircle.experiments.models._product import product

        W = parameters["input"]
        inner = parameters.get("recurrent", W.new_empty(len(W), 0, self.size))
        return affine(inputs[:, -1], product(V, inner, W), c)

    def module(self, parameters: Parameters, /) -> nn.Sequential:
        """Return the layers of one run as a torch module, for :func:`unitcircle.dynamics.depth_flow`.

        Parameters
        ----------
        parameters
            Of one run, R = 1.

        Returns
        -------
        torch.nn.Sequential
            Linear layers, each followed by its activation where there is one; its weights are copies.

        Raises
        ------
        ArgumentError
            There is more than one run.
        """
        from torch import nn

        if parameters["input"].shape[0] != 1:
            raise ArgumentError("parameters", "must be those of one run", f"{parameters['input'].shape[0]} runs")
        modules: list[nn.Module] = []
        for W, b in self.layers(parameters):
            linear = nn.utils.skip_init(nn.Linear, W.shape[2], W.shape[1], bias=b is not None, dtype=W.dtype)
            linear.weight = nn.Parameter(W[0].detach().clone())
            if b is not None:
                linear.bias = nn.Parameter(b[0].detach().clone())
            modules.append(linear)
            if self.activation != "linear":
                modules.append(nn.Tanh() if self.activation == "tanh" else nn.ReLU())
        return nn.Sequential(*modules)

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        if self.depth == 1:
            return {}
        return dict(zip(self.gates, parameters["recurrent"].chunk(self.depth - 1, 1), strict=True))
