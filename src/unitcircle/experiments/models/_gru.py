"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell
from unitcircle.initializers import Zeros
from unitcircle.recurrence import Cell

if TYPE_CHECKING:
    from torch import Tensor

GATES = Cell.GRU.gates
"""r z n."""


@dataclass(frozen=True)
class GRU(TrainableCell):
    r"""The GRU, with the gates of torch: r z n, the reset after the product.

    .. math::
        r, z = σ(W h_{t-1} + U x_t + b), \quad q = W_n h_{t-1} + b_q, \quad n = \tanh(U_n x_t + b_n + r ⊙ q),
        \qquad h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    One bias for each gate, and ``candidate_bias`` b_q, which is multiplied by the reset gate and initialized to zero.
    nn.GRU has two biases for r and z, which are added.

    References
    ----------
    K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014, arXiv 1406.1078 (version 1 has the reset after the product).

    Examples
    --------
    >>> cell = GRU(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'candidate_bias', 'input', 'recurrent']
    """

    name = "gru"
    gated = "gru"

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "recurrent": Parameter((3 * n, n), Role.RECURRENT, GATES),
            "input": Parameter((3 * n, inputs), Role.INPUT, GATES),
            "bias": Parameter((3 * n,), Role.BIAS, GATES),
            "candidate_bias": Parameter((n,), Role.OWN, own=Zeros()),
        }

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        (h,) = state
        drive = torch.baddbmm(parameters["bias"].unsqueeze(1), x, parameters["input"].transpose(1, 2))
        r, z, n = drive.chunk(3, -1)
        to_r, to_z, to_n = torch.bmm(h, parameters["recurrent"].transpose(1, 2)).chunk(3, -1)
        r, z = torch.sigmoid(r + to_r), torch.sigmoid(z + to_z)
        n = torch.tanh(n + r * (to_n + parameters["candidate_bias"].unsqueeze(1)))
        return (n + z * (h - n),)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        from unitcircle.experiments.models._gru_scan import gru_scan

        (h,) = self.initial(parameters, inputs.shape[2]) if start is None else start
        U, b, W, q = (parameters[name] for name in ("input", "bias", "recurrent", "candidate_bias"))
        hidden, h = gru_scan(inputs, U, b, W, q, h)
        return hidden, (h,)

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        return dict(zip(GATES, parameters["recurrent"].chunk(3, 1), strict=True))
