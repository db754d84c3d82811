"""The tanh-RNN whose recurrent weight is only rotated by training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unitcircle.errors import UnknownNameError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State
from unitcircle.experiments.models._plain import Tanh
from unitcircle.initializers import Zeros

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Orthogonal(Tanh):
    r"""The orthogonally parametrised tanh-RNN.

    .. math:: h_t = \tanh(W_0 Q h_{t-1} + U x_t + b), \qquad Q = \exp(A - A^T)
              \;\text{ or }\; Q = (I - K)^{-1} (I + K), \; K = (A - A^T) / 2

    W_0 is drawn by the run's recurrent initializer and not trained; A is trained and starts at zero. The weight starts
    at W_0, with either sign of the determinant, and keeps the singular values of W_0: if W_0 is orthogonal (times a
    gain), so is the weight, up to the rounding error of one evaluation of the map, which does not accumulate.

    Both maps reach all rotations, except that the Cayley map does not reach those with the eigenvalue −1. The Cayley
    map costs the solution of one linear system, the exponential several products and, backwards, an exponential of
    twice the size. The map is computed in single precision at least.

    Parameters
    ----------
    map
        ``"cayley"`` or ``"expm"``.

    References
    ----------
    M. Lezcano-Casado, D. Martínez-Rubio, "Cheap orthogonal constraints in neural networks", ICML 2019, section 3;
    K. Helfrich, D. Willmott, Q. Ye, "Orthogonal recurrent neural networks with scaled Cayley transform", ICML 2018.

    Examples
    --------
    >>> cell = Orthogonal(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'recurrent', 'skew']
    """

    name = "orthogonal"

    map: str = "cayley"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.map not in _MAPS:
            raise UnknownNameError("map", self.map, _MAPS)

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        plain = super().parameters(inputs)
        start = replace(plain["recurrent"], trainable=False)
        return plain | {"recurrent": start, "skew": Parameter((self.size, self.size), Role.OWN, own=Zeros())}

    def effective(self, parameters: Parameters, /) -> Parameters:
        """Return plain parameters, with the weight ``W_0 Q``; those that have no skew matrix are that already."""
        if "skew" not in parameters:
            return parameters
        from unitcircle.experiments.models._aligned import run_by_run

        A, W = parameters["skew"], parameters["recurrent"]
        wide = torch.promote_types(A.dtype, torch.float32)

        def rotate(A: Tensor, W: Tensor) -> tuple[Tensor, ...]:
            return (W @ _MAPS[self.map](A - A.transpose(1, 2)),)

        (rotated,) = run_by_run(rotate, A.to(wide), W.to(wide))
        plain = {name: value for name, value in parameters.items() if name != "skew"}
        return plain | {"recurrent": rotated.to(W.dtype)}

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        return super().step(self.effective(parameters), x, state)


def _cayley(S: Tensor) -> Tensor:
    eye = torch.eye(S.shape[-1], dtype=S.dtype, device=S.device)
    return torch.linalg.solve(eye - S / 2, eye + S / 2)


def _expm(S: Tensor) -> Tensor:
    return torch.matrix_exp(S)


_MAPS: dict[str, Callable[[Tensor], Tensor]] = {"cayley": _cayley, "expm": _expm}
