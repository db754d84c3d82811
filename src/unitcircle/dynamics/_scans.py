"""Standard cells run over whole sequences, with the transposed derivative of all their steps; no graph is recorded.

The activations that the derivative needs are kept from the forward pass, and its factors are formed for many steps at
once: one step back is one matrix product and a few elementwise operations, for any number of cotangents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unitcircle.dynamics._cells import GRUTorchCell, LSTMTorchCell, PlainTorchCell, State, TorchCell
from unitcircle.dynamics._numpy_scans import in_numpy, pull_lstm, run_lstm, run_plain

CHUNK = 2**16
"""Entries of the state for which factors are formed at once: they stay in the cache."""
_KEPT = 2**19
"""Entries of the gates of a scan whose derivative nobody asks for: 4 MiB of doubles at a time."""


@dataclass(frozen=True, eq=False)
class Scan(ABC):
    """The states of a cell over a sequence: each part ``(T + 1, B, n)``, the initial one first."""

    cell: TorchCell
    states: State

    @abstractmethod
    def pull(self, h: Tensor, last: Tensor | None = None, /) -> State:
        """Return the gradients of the states from those of the outputs alone.

        Parameters
        ----------
        h
            ``(T + 1, K, B, p)``: K cotangents of each h. The gradients of h take its place.
        last
            ``(K, B, n)``: cotangents of the last c of an LSTM; 0 where None.

        Returns
        -------
        tuple of Tensor
            Of each part ``(T + 1, K, B, n)``; that of c without what flows to it through h of the same step.
        """

    @abstractmethod
    def _factors(self, steps: slice, /) -> State:
        """Return the elementwise factors of the transposed derivative at some steps, each ``(steps, 1, B, ...)``."""

    def _backwards(self, *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield the factors of every step from the last to the first, with the rows of tensors that belong to it."""
        for steps in reversed(_pieces(self.states[0][1:])):
            parts = (*self._factors(steps), *(row[steps] for row in rows))
            yield from zip(*(reversed(part.unbind(0)) for part in parts), strict=True)

    def make_total(self, gradients: State, /) -> None:  # noqa: B027  (only an LSTM has two parts)
        """Add to the gradients of each part what flows through the other part of the same step."""

    @abstractmethod
    def pull_drives(self, gradients: State, /) -> Tensor:
        """Return the gradients ``(T, K, B, G)`` of the drives ``U x_t + b`` from those of the states."""

    def pull_inputs(self, gradients: State, /) -> Tensor:
        """Return the gradients ``(T, K, B, m)`` of the inputs from those of the states."""
        return self.pull_drives(gradients) @ self.cell.input_weight


def scan(cell: TorchCell, xs: Tensor, start: State, /) -> Scan:
    """Run a cell over inputs ``(T, B, m)`` from a state, without recording gradients."""
    return _scan_into(cell, xs, _states_from(start, len(xs)))


def run_cell(cell: TorchCell, xs: Tensor, start: State, /) -> State:
    """Return the states of a scan ``(T + 1, B, n)``, with what it keeps for its derivative only for some steps."""
    states = _states_from(start, len(xs))
    steps = max(1, _KEPT // cell.weight.shape[0] // max(xs.shape[1], 1))
    for t in range(0, len(xs), steps):
        _scan_into(cell, xs[t : t + steps], tuple(part[t : t + steps + 1] for part in states))
    return states


def _scan_into(cell: TorchCell, xs: Tensor, states: State) -> Scan:
    """Run a cell from the first of the states on, and write the others."""
    with torch.no_grad():
        if isinstance(cell, LSTMTorchCell):
            return _LSTMScan.run(cell, xs, states)
        if isinstance(cell, GRUTorchCell):
            return _GRUScan.run(cell, xs, states)
        assert isinstance(cell, PlainTorchCell)
        return _PlainScan.run(cell, xs, states)


def _states_from(start: State, steps: int) -> State:
    states = tuple(part.new_empty(steps + 1, *part.shape) for part in start)
    for part, first in zip(states, start, strict=True):
        part[0] = first
    return states


def _pieces(steps: Tensor) -> list[slice]:
    """Return slices of the steps whose values stay in the cache; views of more would also keep the collector busy."""
    size = max(1, CHUNK // max(1, steps.shape[1:].numel()))
    return [slice(start, min(start + size, len(steps))) for start in range(0, len(steps), size)]


@dataclass(frozen=True, eq=False)
class _PlainScan(Scan):
    @classmethod
    def run(cls, cell: PlainTorchCell, xs: Tensor, states: State) -> _PlainScan:
        (hs,) = states
        drives, Wt = cell.drive(xs), cell.weight.t()
        if in_numpy(hs):
            run_plain(cell.weight, drives, hs, is_tanh=cell.activation == "tanh")
            return cls(cell, (hs,))
        with torch.inference_mode():
            h = hs[0]
            for steps in _pieces(drives):
                for pre, new in zip(drives[steps].unbind(0), hs[1:][steps].unbind(0), strict=True):
                    torch.addmm(pre, h, Wt, out=new)
                    h = new.tanh_() if cell.activation == "tanh" else new.relu_()
        return cls(cell, (hs,))

    def _factors(self, steps: slice, /) -> State:
        assert isinstance(self.cell, PlainTorchCell)
        h = self.states[0][1:][steps].unsqueeze(1)
        # As autograd: a NaN passes the gradient on.
        return ((1 - h.square()) if self.cell.activation == "tanh" else (~(h <= 0)).to(h.dtype),)

    def pull(self, h: Tensor, last: Tensor | None = None, /) -> State:  # noqa: ARG002
        W = self.cell.weight
        with torch.inference_mode():
            after = h[-1]
            pre = torch.empty_like(after)
            flat = pre.flatten(0, 1)
            for slope, row, before in self._backwards(h[:-1].flatten(1, 2), h[:-1]):
                torch.mul(after, slope, out=pre)
                row.addmm_(flat, W)
                after = before
        return (h,)

    def pull_drives(self, gradients: State, /) -> Tensor:
        return gradients[0][1:] * self._factors(slice(None))[0]


@dataclass(frozen=True, eq=False)
class _GRUScan(Scan):
    gates: Tensor  # (T, B, 3n): r, z, n
    inner: Tensor  # (T, B, 3n): W h, with the bias inside the reset product

    @classmethod
    def run(cls, cell: GRUTorchCell, xs: Tensor, states: State) -> _GRUScan:
        (hs,) = states
        n = hs.shape[-1]
        Wt = cell.weight.t()
        bias = hs.new_zeros(3 * n)
        if cell.recurrent_bias is not None:
            bias[2 * n :] = cell.recurrent_bias
        gates = cell.drive(xs)
        products = torch.empty_like(gates)
        both, r, z, new = slice(2 * n), slice(n), slice(n, 2 * n), slice(2 * n, None)
        with torch.inference_mode():
            h = hs[0]
            work = torch.empty_like(h)
            for steps in _pieces(gates):
                views = [gates[steps][..., part].unbind(0) for part in (both, r, z, new)]
                views += [products[steps][..., part].unbind(0) for part in (slice(None), both, new)]
                for sigmoids, reset, update, candidate, product, outer, inner, new_h in zip(
                    *views, hs[1:][steps].unbind(0), strict=True
                ):
                    torch.addmm(bias, h, Wt, out=product)
                    sigmoids.add_(outer).sigmoid_()
                    candidate.addcmul_(reset, inner)
                    _tanh(candidate, candidate)
                    torch.sub(h, candidate, out=work)
                    h = torch.addcmul(candidate, update, work, out=new_h)
        return cls(cell, (hs,), gates, products)

    def _factors(self, steps: slice, /) -> State:
        """Return those of r, z and n in W h; z; and that of n in the drive."""
        h = self.states[0][:-1][steps]
        n = h.shape[-1]
        r, z, new = self.gates[steps].split(n, -1)
        candidate = (1 - z) * (1 - new.square())
        reset = candidate * self.inner[steps][..., 2 * n :] * (r * (1 - r))
        recurrent = torch.stack([reset, (h - new) * (z * (1 - z)), candidate * r], -2)
        return recurrent.unsqueeze(1), z.unsqueeze(1), candidate.unsqueeze(1)

    def pull(self, h: Tensor, last: Tensor | None = None, /) -> State:  # noqa: ARG002
        W = self.cell.weight
        with torch.inference_mode():
            pre = h.new_empty(*h.shape[1:3], 3, h.shape[-1])
            flat, after = pre.flatten(2).flatten(0, 1), h[-1]
            for recurrent, update, _, row, before in self._backwards(h[:-1].flatten(1, 2), h[:-1]):
                torch.mul(after.unsqueeze(-2), recurrent, out=pre)
                before.addcmul_(after, update)
                row.addmm_(flat, W)
                after = before
        return (h,)

    def pull_drives(self, gradients: State, /) -> Tensor:
        h = gradients[0][1:]
        recurrent, _, candidate = self._factors(slice(None))
        return torch.cat([(h.unsqueeze(-2) * recurrent[..., :2, :]).flatten(-2), h * candidate], -1)


@dataclass(frozen=True, eq=False)
class _LSTMScan(Scan):
    gates: Tensor  # (T, B, 4n): o, i, f, g
    squashed: Tensor  # (T, B, n): tanh c
    projection: Tensor | None

    @classmethod
    def run(cls, cell: LSTMTorchCell, xs: Tensor, states: State) -> _LSTMScan:
        hs, cs = states
        n = cs.shape[-1]
        # o first, so that one call applies the sigmoid to three gates.
        Wt = _o_first(cell.weight).t()
        bias = None if cell.bias is None else _o_first(cell.bias)
        gates = hs.new_empty(*xs.shape[:2], 4 * n)
        Ut = _o_first(cell.input_weight).t()
        squashed = torch.empty_like(cs[1:])
        run = run_lstm if in_numpy(hs) else _run_lstm
        with torch.inference_mode():
            for steps in _pieces(gates):
                drive = gates[steps].flatten(0, 1)  # made here, it is still in the cache
                inputs = xs[steps].flatten(0, 1)
                if bias is None:
                    torch.mm(inputs, Ut, out=drive)
                else:
                    torch.addmm(bias, inputs, Ut, out=drive)
                parts = hs[steps.start : steps.stop + 1], cs[steps.start : steps.stop + 1]
                run(Wt, gates[steps], parts, squashed[steps], cell.projection)
        return cls(cell, (hs, cs), gates, squashed, cell.projection)

    def _factors(self, steps: slice, /) -> State:
        """Return those of i, f and g in the gradient of c; of o and of c in that of o ⊙ tanh c; and f."""
        before, tanh = self.states[1][:-1][steps], self.squashed[steps]
        o, i, f, g = self.gates[steps].split(tanh.shape[-1], -1)
        # One call each: y (1 − y) times what the gate multiplies, or 1 − y².
        inner = torch.stack([_of_sigmoid(g, i), _of_sigmoid(before, f), _of_tanh(i, g)], -2)
        factors = (inner, _of_sigmoid(tanh, o), _of_tanh(o, tanh), f)
        return tuple(part.unsqueeze(1) for part in factors)

    def _unprojected(self, h: Tensor) -> Tensor:
        return h if self.projection is None else h @ self.projection

    def pull(self, h: Tensor, last: Tensor | None = None, /) -> State:
        W = _o_first(self.cell.weight)
        n = self.squashed.shape[-1]
        c = h.new_empty(*h.shape[:3], n)
        c[-1] = 0 if last is None else last
        if in_numpy(h):
            with torch.inference_mode():
                for steps in reversed(_pieces(self.squashed)):
                    before, after = ((h[at], c[at]) for at in (steps, steps.stop))
                    pull_lstm(W, self._factors(steps), before, after, self.projection)
            return h, c
        with torch.inference_mode():
            pre = h.new_empty(*h.shape[1:3], 4, n)
            flat, of_output, of_cell = pre.flatten(2).flatten(0, 1), pre[..., 0, :], pre[..., 1:, :]
            total = torch.empty_like(c[0])
            column = total.unsqueeze(-2)
            of_h, of_c = h[-1], c[-1]
            rows = (h[:-1].flatten(1, 2), h[:-1], c[:-1])
            for inner, output, through, forget, row, before, earlier in self._backwards(*rows):
                of_h = self._unprojected(of_h)
                torch.addcmul(of_c, of_h, through, out=total)
                torch.mul(of_h, output, out=of_output)
                torch.mul(column, inner, out=of_cell)
                of_c = torch.mul(total, forget, out=earlier)
                row.addmm_(flat, W)
                of_h = before
        return h, c

    def make_total(self, gradients: State, /) -> None:
        h, c = (part[1:] for part in gradients)
        n = self.squashed.shape[-1]
        with torch.inference_mode():
            for steps in _pieces(self.squashed):
                through = _of_tanh(self.gates[steps][..., :n], self.squashed[steps])
                c[steps] += self._unprojected(h[steps]) * through.unsqueeze(1)

    def pull_drives(self, gradients: State, /) -> Tensor:
        h = self._unprojected(gradients[0][1:])
        inner, output, through, _ = self._factors(slice(None))
        total = gradients[1][1:] + h * through
        return torch.cat([(total.unsqueeze(-2) * inner).flatten(-2), h * output], -1)


def _run_lstm(Wt: Tensor, gates: Tensor, states: State, squashed: Tensor, projection: Tensor | None) -> None:
    """Do what :func:`run_lstm` does, in operations of torch."""
    hs, cs = states
    n = cs.shape[-1]
    blocks = (slice(None), slice(3 * n), *(slice(k * n, (k + 1) * n) for k in range(4)))
    views = [gates[..., block].unbind(0) for block in blocks]
    made = (part.unbind(0) for part in (hs[1:], cs[1:], squashed))
    h, c = hs[0], cs[0]
    for pre, sigmoids, o, i, f, g, new_h, new_c, tanh in zip(*views, *made, strict=True):
        pre.addmm_(h, Wt)
        sigmoids.sigmoid_()
        g.tanh_()
        c = torch.mul(f, c, out=new_c).addcmul_(i, g)
        torch.tanh(c, out=tanh)
        h = torch.mul(o, tanh, out=new_h) if projection is None else torch.mm(o * tanh, projection.t(), out=new_h)


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """Write tanh x: by NumPy for doubles in memory, which takes a third of torch's time."""
    if in_numpy(x):
        np.tanh(x.numpy(), out=out.numpy())
        return out
    return torch.tanh(x, out=out)


def _of_sigmoid(factor: Tensor, y: Tensor) -> Tensor:
    """Return ``factor ⊙ y (1 − y)`` in one pass."""
    return torch.ops.aten.sigmoid_backward(factor, y)


def _of_tanh(factor: Tensor, y: Tensor) -> Tensor:
    """Return ``factor ⊙ (1 − y²)`` in one pass."""
    return torch.ops.aten.tanh_backward(factor, y)


def _o_first(blocks: Tensor) -> Tensor:
    """Return gate blocks i f g o in the order o i f g."""
    i, f, g, o = blocks.chunk(4)
    return torch.cat([o, i, f, g])
