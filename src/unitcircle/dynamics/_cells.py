"""The standard cells in plain operations, with their derivatives in closed form.

torch's fused layers are one kernel, which hides the states and gradients inside it. These cells compute the same
numbers step by step. Everything that depends on the input alone (the *drive* ``u_t = U x_t + b``) is computed for all
steps at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from unitcircle import recurrence

State = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class TorchCell(ABC):
    """One layer in one direction: weights, one step, and the derivative of the step."""

    gates: ClassVar[tuple[str, ...]] = recurrence.Cell.RNN.gates  # In the order of the stack

    input_weight: Tensor  # Stacked gate blocks (G, m)
    weight: Tensor  # Stacked gate blocks (G, p), acting on the p entries of h
    bias: Tensor | None  # (G,): the sum of all the biases added to the drive, or None

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """Entries of each part of the state: ``(n,)``, or ``(p, n)`` for the (h, c) of an LSTM."""

    @abstractmethod
    def advance(self, drive: Tensor, state: State, /) -> State:
        """Return the next state; drive ``(B, G)``, parts of the state ``(B, n)``."""

    def passed_on(self, state: State, /) -> State:
        """Return the state as separate nodes of a graph: the gradient of a part excludes what flows through another."""
        return state

    @abstractmethod
    def coefficients(self, drive: Tensor, state: State, /) -> State:
        """Return the elementwise factors of the derivative at a state, each ``(B, n)``."""

    @abstractmethod
    def push(self, coefficients: State, tangent: State, drive_tangent: Tensor | None, /) -> State:
        """Return the derivative applied to tangents ``(B, n, k)`` of the state and ``(B, G, k)`` of the drive."""

    @abstractmethod
    def pull(self, coefficients: State, cotangent: State, /) -> State:
        """Return the transposed derivative applied to cotangents ``(B, n, k)`` of the next state."""

    @abstractmethod
    def log_determinant(self, coefficients: State, /) -> Tensor | None:
        """Return log|det ∂s'/∂s| ``(B,)``, or None where it has no closed form."""

    def drive(self, x: Tensor, /) -> Tensor:
        """Return ``U x + b`` for inputs ``(..., m)``."""
        return torch.nn.functional.linear(x, self.input_weight, self.bias)


def times(W: Tensor, V: Tensor, /) -> Tensor:
    """Return ``W V`` of each ``(B, m, k)``: one product by rows, which for few columns takes half of the time."""
    return torch.nn.functional.linear(V.mT, W).mT


def _column(factor: Tensor) -> Tensor:
    return factor.unsqueeze(-1)


def _log_abs_det(W: Tensor) -> Tensor:
    return torch.linalg.slogdet(W).logabsdet


def _sech2(x: Tensor) -> Tensor:
    # 1 - tanh² would be exactly 0 beyond |x| = 19, and cosh infinite beyond 710.
    return 4 * _sigmoid_slope(2 * x)


def _sigmoid_slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


@dataclass(frozen=True, eq=False)
class PlainTorchCell(TorchCell):
    """``h' = φ(W h + u)`` with φ tanh or relu."""

    activation: Literal["tanh", "relu"]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.weight.shape[-1],)

    def _pre(self, drive: Tensor, h: Tensor) -> Tensor:
        return torch.addmm(drive, h, self.weight.t())

    def advance(self, drive: Tensor, state: State, /) -> State:
        pre = self._pre(drive, state[0])
        return (torch.tanh(pre) if self.activation == "tanh" else torch.relu(pre),)

    def coefficients(self, drive: Tensor, state: State, /) -> State:
        pre = self._pre(drive, state[0])
        return (_sech2(pre) if self.activation == "tanh" else (pre > 0).to(pre.dtype),)

    def push(self, coefficients: State, tangent: State, drive_tangent: Tensor | None, /) -> State:
        pre = times(self.weight, tangent[0])
        return (_column(coefficients[0]) * (pre if drive_tangent is None else pre + drive_tangent),)

    def pull(self, coefficients: State, cotangent: State, /) -> State:
        return (self.weight.t() @ (_column(coefficients[0]) * cotangent[0]),)

    def log_determinant(self, coefficients: State, /) -> Tensor | None:
        return torch.log(coefficients[0]).sum(-1) + _log_abs_det(self.weight)


@dataclass(frozen=True, eq=False)
class GRUTorchCell(TorchCell):
    """torch's GRU, gates r z n: ``n = tanh(u_n + r ⊙ (W_n h + b_hn))``, ``h' = (1 − z) ⊙ n + z ⊙ h``."""

    gates = recurrence.Cell.GRU.gates

    recurrent_bias: Tensor | None  # b_hn (n,): inside the reset product, so it cannot be added to the other bias

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.weight.shape[-1],)

    def _pre_activations(self, drive: Tensor, h: Tensor) -> State:
        n = h.shape[-1]
        recurrent = h @ self.weight.t()
        gates = drive[..., : 2 * n] + recurrent[..., : 2 * n]
        inner = recurrent[..., 2 * n :]
        if self.recurrent_bias is not None:
            inner = inner + self.recurrent_bias
        return gates, inner, drive[..., 2 * n :]

    def advance(self, drive: Tensor, state: State, /) -> State:
        (h,) = state
        gates, inner, outer = self._pre_activations(drive, h)
        r, z = torch.sigmoid(gates).chunk(2, -1)
        candidate = torch.tanh(outer + r * inner)
        return (candidate + z * (h - candidate),)

    def coefficients(self, drive: Tensor, state: State, /) -> State:
        (h,) = state
        gates, inner, outer = self._pre_activations(drive, h)
        r, z = torch.sigmoid(gates).chunk(2, -1)
        r_slope, z_slope = _sigmoid_slope(gates).chunk(2, -1)
        pre = outer + r * inner
        candidate_slope = torch.sigmoid(-gates).chunk(2, -1)[1] * _sech2(pre)
        reset = candidate_slope * inner * r_slope
        # Factors in h' of h and of the pre-activations of r, z and n; and r, through which W_n h passes.
        return z, reset, (h - torch.tanh(pre)) * z_slope, candidate_slope, r

    def push(self, coefficients: State, tangent: State, drive_tangent: Tensor | None, /) -> State:
        z, reset, update, candidate, r = map(_column, coefficients)
        dr, dz, dn = times(self.weight, tangent[0]).chunk(3, -2)
        dn = r * dn
        if drive_tangent is not None:
            ur, uz, un = drive_tangent.chunk(3, -2)
            dr, dz, dn = dr + ur, dz + uz, dn + un
        return (z * tangent[0] + reset * dr + update * dz + candidate * dn,)

    def pull(self, coefficients: State, cotangent: State, /) -> State:
        z, reset, update, candidate, r = map(_column, coefficients)
        (h,) = cotangent
        return (z * h + self.weight.t() @ torch.cat([reset * h, update * h, r * candidate * h], -2),)

    def log_determinant(self, coefficients: State, /) -> Tensor | None:  # noqa: ARG002
        return None


@dataclass(frozen=True, eq=False)
class LSTMTorchCell(TorchCell):
    """torch's LSTM, gates i f g o: ``c' = f ⊙ c + i ⊙ g``, ``h' = W_hr (o ⊙ tanh c')``."""

    gates = recurrence.Cell.LSTM.gates

    projection: Tensor | None  # W_hr (p, n)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.weight.shape[-1], self.weight.shape[0] // 4

    def advance(self, drive: Tensor, state: State, /) -> State:
        h, c = state
        i, f, g, o = torch.addmm(drive, h, self.weight.t()).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if self.projection is not None:
            h = h @ self.projection.t()
        return h, c

    def passed_on(self, state: State, /) -> State:
        h, c = state
        return h, c.view_as(c)

    def coefficients(self, drive: Tensor, state: State, /) -> State:
        h, c = state
        i, f, g, o = torch.addmm(drive, h, self.weight.t()).chunk(4, -1)
        f_gate, i_gate, candidate = torch.sigmoid(f), torch.sigmoid(i), torch.tanh(g)
        new = f_gate * c + i_gate * candidate
        # Factors in c' of c and of the pre-activations of i, f and g; in h' of that of o and of c'.
        return (
            f_gate,
            _sigmoid_slope(i) * candidate,
            _sigmoid_slope(f) * c,
            i_gate * _sech2(g),
            _sigmoid_slope(o) * torch.tanh(new),
            torch.sigmoid(o) * _sech2(new),
        )

    def push(self, coefficients: State, tangent: State, drive_tangent: Tensor | None, /) -> State:
        forget, i, f, g, o, cell = map(_column, coefficients)
        pre = times(self.weight, tangent[0])
        if drive_tangent is not None:
            pre = pre + drive_tangent
        di, df, dg, do = pre.chunk(4, -2)
        dc = forget * tangent[1] + i * di + f * df + g * dg
        dh = cell * dc + o * do
        return (dh if self.projection is None else self.projection @ dh), dc

    def pull(self, coefficients: State, cotangent: State, /) -> State:
        forget, i, f, g, o, cell = map(_column, coefficients)
        dh, dc = cotangent
        if self.projection is not None:
            dh = self.projection.t() @ dh
        dc = dc + cell * dh
        return self.weight.t() @ torch.cat([i * dc, f * dc, g * dc, o * dh], -2), forget * dc

    def log_determinant(self, coefficients: State, /) -> Tensor | None:
        if self.projection is not None:
            return None
        # Subtracting o tanh'(c') times the rows of c' from those of h' leaves [[D W_o, 0], [·, diag f]].
        n = self.weight.shape[-1]
        rows = torch.log(coefficients[0]) + torch.log(torch.abs(coefficients[4]))
        return rows.sum(-1) + _log_abs_det(self.weight[3 * n :])
