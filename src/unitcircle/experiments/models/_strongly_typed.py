"""The strongly-typed RNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StronglyTyped(TrainableCell):
    r"""The T-RNN: a running average with a rate that depends on the input, without a recurrent weight.

    .. math:: f_t = σ(V x_t + b), \qquad h_t = f_t ⊙ h_{t-1} + (1 - f_t) ⊙ W x_t

    No recurrent initializer applies. The gradient through a unit is Π f_t ≤ 1, which cannot explode.

    References
    ----------
    D. Balduzzi, M. Ghifary, "Strongly-typed recurrent neural networks", ICML 2016, arXiv 1602.02218, section 3.2.

    Examples
    --------
    >>> cell = StronglyTyped(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input']
    """

    name = "strongly_typed"
    aliases = ("trnn",)

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "input": Parameter((2 * n, inputs), Role.INPUT, ("h", "f")),
            "bias": Parameter((n,), Role.BIAS, ("f",)),
        }

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        value, f = torch.bmm(x, parameters["input"].transpose(1, 2)).chunk(2, -1)
        return (torch.lerp(value, state[0], torch.sigmoid(f + parameters["bias"].unsqueeze(1))),)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        from unitcircle.experiments.models._aligned import affine
        from unitcircle.experiments.models._strongly_typed_scan import strongly_typed_scan

        (h,) = self.initial(parameters, inputs.shape[2]) if start is None else start
        W, V = parameters["input"].chunk(2, 1)
        value, gate = affine(inputs, W, None), affine(inputs, V, parameters["bias"])
        hidden, h = strongly_typed_scan(value, gate, h)
        return hidden, (h,)
