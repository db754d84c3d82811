"""The unitary evolution RNN."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell
from unitcircle.initializers import Uniform

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class UnitaryEvolution(TrainableCell):
    r"""The uRNN: a complex recurrence whose weight is unitary by construction.

    .. math::
        h_t = \text{modReLU}(W h_{t-1} + U x_t), \qquad W = D_3 R_2 F^{-1} D_2 Π R_1 F D_1, \qquad
        \text{modReLU}(z) = \max(0, |z| + b) \, z / |z|

    D are diagonal with trained phases, R are trained reflections I − 2vvᴴ/‖v‖², F is the unitary Fourier transform
    and Π a permutation that is drawn once. W has 7n trained parameters; b and h_0 are trained too. No recurrent
    initializer applies. The state is the 2n numbers (Re h, Im h), which are also read out. Half precision is computed
    in single precision.

    A step applies the factors in O(n log n); a whole sequence forms W once, which is faster for the sizes trained here.

    Parameters
    ----------
    permutation
        Seed of Π.

    References
    ----------
    M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016, arXiv 1511.06464,
    sections 4 and 5: the laws of the phases, b and h_0.

    Examples
    --------
    >>> cell = UnitaryEvolution(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input', 'phases', 'reflections', 'start']
    """

    name = "unitary_evolution"
    aliases = ("urnn",)

    permutation: int = 0

    @property
    def features(self) -> int:
        return 2 * self.size

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "phases": Parameter((3, n), Role.OWN, own=Uniform(pi)),
            # v1 and v2, real and imaginary parts: their lengths cancel.
            "reflections": Parameter((4, n), Role.OWN, own=Uniform((6 / (2 + 2 * n)) ** 0.5)),
            "input": Parameter((2 * n, inputs), Role.INPUT, ("re", "im")),
            "bias": Parameter((n,), Role.OWN, own=Uniform(0.01)),
            "start": Parameter((2 * n,), Role.OWN, own=Uniform((3 / (2 * n)) ** 0.5)),
        }

    def initial(self, parameters: Parameters, batch: int, /) -> State:
        return (parameters["start"].unsqueeze(1).expand(-1, batch, -1),)

    def effective(self, parameters: Parameters, /) -> Parameters:
        """Return the parameters with the dense W, as ``"unitary"``, in place of its factors."""
        if "unitary" in parameters:
            return parameters
        others = {name: value for name, value in parameters.items() if name not in {"phases", "reflections"}}
        return others | {"unitary": self.recurrent_weights(parameters)["h"]}

    def evolve(self, parameters: Parameters, h: Tensor, /) -> Tensor:
        """Return ``W h`` for complex states ``(R, B, n)``, factor by factor.

        Parameters
        ----------
        parameters
            Of R runs.
        h
            ``(R, B, n)``.

        Returns
        -------
        Tensor
            ``(R, B, n)``.
        """
        phases = _wide(parameters["phases"])
        D1, D2, D3 = torch.polar(torch.ones_like(phases), phases).unsqueeze(2).unbind(1)
        v1, v2 = torch.complex(*_wide(parameters["reflections"]).unflatten(1, (2, 2)).unbind(2)).unbind(1)
        h = _reflect(v1, torch.fft.fft(D1 * h, norm="ortho"))
        h = D2 * h[..., _order(self.size, self.permutation)]
        return D3 * _reflect(v2, torch.fft.ifft(h, norm="ortho"))

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        h = _complex(state[0])
        drive = torch.bmm(x, parameters["input"].transpose(1, 2))
        if "unitary" in parameters:
            moved = torch.bmm(h, parameters["unitary"].transpose(1, 2))
        else:
            moved = self.evolve(parameters, h)
        z = moved + _complex(drive)
        h = torch.sgn(z) * torch.relu(z.abs() + _wide(parameters["bias"]).unsqueeze(1))
        return (torch.cat([h.real, h.imag], -1).to(x.dtype),)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        from unitcircle.experiments.models._unitary_scan import unitary_scan

        (h,) = self.initial(parameters, inputs.shape[2]) if start is None else start
        W = self.effective(parameters)["unitary"]
        x, U, b, h = (_wide(part) for part in (inputs, parameters["input"], parameters["bias"], h))
        hidden, h = (part.to(inputs.dtype) for part in unitary_scan(x, U, b, h, W))
        return hidden, (h,)

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        from unitcircle.experiments.models._aligned import run_by_run

        def weight_of_run(phases: Tensor, reflections: Tensor) -> tuple[Tensor, ...]:
            parts = {"phases": phases, "reflections": reflections}
            eye = torch.eye(self.size, dtype=torch.complex(phases, phases).dtype, device=phases.device)
            # Rows of the identity move to columns of W.
            return (self.evolve(parts, eye.unsqueeze(0)).transpose(1, 2),)

        # Fourier transforms of a batch may be rounded in another way than alone.
        return {"h": run_by_run(weight_of_run, _wide(parameters["phases"]), _wide(parameters["reflections"]))[0]}


def _reflect(v: Tensor, h: Tensor) -> Tensor:
    """Return ``h − 2 v (vᴴ h) / ‖v‖²`` for vectors ``(R, n)`` and states ``(R, B, n)``."""
    v = (v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)).unsqueeze(1)
    return h - 2 * torch.bmm(h, v.conj().transpose(1, 2)) * v


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _complex(x: Tensor) -> Tensor:
    return torch.complex(*_wide(x).chunk(2, -1))


@lru_cache
def _order(n: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).permutation(n).tolist()
