"""The long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell
from unitcircle.recurrence import Cell

if TYPE_CHECKING:
    from torch import Tensor

GATES = Cell.LSTM.gates
"""i f g o."""


@dataclass(frozen=True)
class LSTM(TrainableCell):
    r"""The LSTM, with the gates of torch: i f g o.

    .. math::
        i, f, o = σ(W h_{t-1} + U x_t + b), \quad g = \tanh(W_g h_{t-1} + U_g x_t + b_g), \qquad
        c_t = f ⊙ c_{t-1} + i ⊙ g, \quad h_t = o ⊙ \tanh c_t

    One bias for each gate, where nn.LSTM has two that are added.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); the forget gate is of
    F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000).

    Examples
    --------
    >>> cell = LSTM(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent']
    """

    name = "lstm"
    gated = "lstm"

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "recurrent": Parameter((4 * n, n), Role.RECURRENT, GATES),
            "input": Parameter((4 * n, inputs), Role.INPUT, GATES),
            "bias": Parameter((4 * n,), Role.BIAS, GATES),
        }

    def initial(self, parameters: Parameters, batch: int, /) -> State:
        return super().initial(parameters, batch) * 2

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        h, c = state
        drive = torch.baddbmm(parameters["bias"].unsqueeze(1), x, parameters["input"].transpose(1, 2))
        i, f, g, o = torch.baddbmm(drive, h, parameters["recurrent"].transpose(1, 2)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        from unitcircle.experiments.models._lstm_scan import lstm_scan

        h, c = self.initial(parameters, inputs.shape[2]) if start is None else start
        U, b, W = (parameters[name] for name in ("input", "bias", "recurrent"))
        hidden, h, c = lstm_scan(inputs, U, b, W, h, c)
        return hidden, (h, c)

    def answers(self, parameters: Parameters, inputs: Tensor, V: Tensor, c: Tensor, /) -> Tensor:
        from unitcircle.experiments.models._aligned import affine
        from unitcircle.experiments.models._lstm_scan import is_fused, last_states

        if not is_fused(inputs.device, inputs.dtype):
            return super().answers(parameters, inputs, V, c)
        # The hidden states of all runs, which nobody reads here, are not copied into one stack.
        U, b, W = (parameters[name] for name in ("input", "bias", "recurrent"))
        start = self.initial(parameters, inputs.shape[2])
        return affine(last_states(inputs, U, b, W, *start), V, c)

    def is_faster_alone(self, device: torch.device, dtype: torch.dtype, /) -> bool:
        from unitcircle.experiments.models._lstm_scan import is_fused

        return is_fused(device, dtype)

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        return dict(zip(GATES, parameters["recurrent"].chunk(4, 1), strict=True))
