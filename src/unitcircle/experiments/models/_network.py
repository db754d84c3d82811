"""A cell with a readout, for many runs at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, TrainableCell
from unitcircle.initializers import Zeros

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Network:
    """``y_t = V h_t + c`` over a cell, at every step or after the last.

    Attributes
    ----------
    cell
        The cell.
    inputs
        m, features per step; integers below m stand for unit vectors.
    outputs
        Number of outputs.
    every_step
        Whether there is an output at every step.

    Examples
    --------
    >>> from unitcircle.experiments.models import Tanh
    >>> network = Network(Tanh(size=4), inputs=2, outputs=1)
    >>> {name: parameter.shape for name, parameter in network.parameters().items()}
    {'cell.recurrent': (4, 4), 'cell.input': (4, 2), 'cell.bias': (4,), 'readout.weight': (1, 4), 'readout.bias': (1,)}
    """

    cell: TrainableCell
    inputs: int
    outputs: int
    every_step: bool = False

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of the cell (``cell.*``) and of the readout."""
        cell = {f"cell.{name}": p for name, p in self.cell.parameters(self.inputs).items()}
        return cell | {
            "readout.weight": Parameter((self.outputs, self.cell.features), Role.READOUT),
            "readout.bias": Parameter((self.outputs,), Role.OWN, own=Zeros()),
        }

    def cell_parameters(self, parameters: Parameters, /) -> dict[str, Tensor]:
        """Return the parameters of the cell, by their names in the cell."""
        return {name.removeprefix("cell."): value for name, value in parameters.items() if name.startswith("cell.")}

    def stacks(self, parameters: Parameters, /) -> dict[str, dict[str, Tensor]]:
        """Return the one cell there is, as :meth:`EncoderDecoder.stacks` returns its several."""
        return {"cell": self.cell_parameters(parameters)}

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        """Return the effective recurrent weight of every gate: ``"h"`` → ``(R, n, n)``."""
        return self.cell.recurrent_weights(self.cell_parameters(parameters))

    def embed(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return inputs as numbers ``(..., m)`` in the precision of the parameters."""
        dtype = parameters["readout.weight"].dtype
        if inputs.is_floating_point():
            return inputs.to(dtype)
        return torch.nn.functional.one_hot(inputs.long(), self.inputs).to(dtype)

    def hidden(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return h at every step ``(R, T, B, features)`` for inputs ``(R, T, B, m)`` or integers ``(R, T, B)``."""
        return self.cell.forward(self.cell_parameters(parameters), self.embed(parameters, inputs))

    def read(self, parameters: Parameters, hidden: Tensor, /) -> Tensor:
        """Return the answers ``(R, B, outputs)``, or ``(R, T, B, outputs)``, to states ``(R, T, B, features)``."""
        from unitcircle.experiments.models._aligned import affine

        h = hidden if self.every_step else hidden[:, -1]
        return affine(h, parameters["readout.weight"], parameters["readout.bias"])

    def outputs_of(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return the answers to inputs: :meth:`read` of :meth:`hidden`, faster where only the last step answers."""
        from unitcircle.experiments.models._aligned import affine

        values, x = self.cell_parameters(parameters), self.embed(parameters, inputs)
        V, c = parameters["readout.weight"], parameters["readout.bias"]
        if self.every_step:
            return affine(self.cell.forward(values, x), V, c)
        return self.cell.answers(values, x, V, c)
