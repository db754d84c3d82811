"""Steps of standard cells in double precision on a CPU, where a call of NumPy costs a fifth of one of torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unitcircle.dynamics._cells import State


def in_numpy(tensor: Tensor, /) -> bool:
    """Return whether steps over tensors of this kind are run here."""
    return tensor.dtype == torch.float64 and tensor.device.type == "cpu"


@np.errstate(over="ignore", invalid="ignore")  # as torch; who asked refuses states that are not finite
def run_plain(weight: Tensor, drives: Tensor, states: Tensor, /, *, is_tanh: bool) -> None:
    """Write the states of a plain cell after the first, ``φ(drive + W h)``."""
    hs = states.numpy()
    Wt, h = np.ascontiguousarray(weight.numpy().T), hs[0]
    for drive, after in zip(drives.numpy(), hs[1:], strict=True):
        np.dot(h, Wt, out=after)
        h = np.add(after, drive, out=after)
        h = np.tanh(h, out=h) if is_tanh else np.maximum(h, 0.0, out=h)


@np.errstate(over="ignore", invalid="ignore")
def run_lstm(Wt: Tensor, gates: Tensor, states: State, squashed: Tensor, projection: Tensor | None, /) -> None:
    """Write gates, states after the first, and tanh c of an LSTM.

    Parameters
    ----------
    Wt
        ``(p, 4n)``: o, i, f and g.
    gates
        ``(T, B, 4n)``: the drives, which become the gates.
    states
        h ``(T + 1, B, p)`` and c ``(T + 1, B, n)``.
    squashed
        ``(T, B, n)``.
    projection
        ``(p, n)`` or None.
    """
    weight, values = np.ascontiguousarray(Wt.numpy()), gates.numpy()
    hs, cs = (part.numpy() for part in states)
    P = None if projection is None else projection.numpy().T
    n = cs.shape[-1]
    blocks = (values[..., k * n : (k + 1) * n] for k in range(4))
    sigmoids = gates[..., : 3 * n].unbind(0)  # torch's is one call, NumPy's three
    product, kept = np.empty_like(values[0]), np.empty_like(cs[0])
    h, c = hs[0], cs[0]
    steps = zip(values, sigmoids, *blocks, hs[1:], cs[1:], squashed.numpy(), strict=True)
    for pre, of_torch, o, i, f, g, new_h, new_c, tanh in steps:
        np.dot(h, weight, out=product)
        np.add(pre, product, out=pre)
        of_torch.sigmoid_()
        np.tanh(g, out=g)
        np.multiply(f, c, out=new_c)
        np.multiply(i, g, out=kept)
        c = np.add(new_c, kept, out=new_c)
        np.tanh(c, out=tanh)
        if P is None:
            h = np.multiply(o, tanh, out=new_h)
        else:
            np.multiply(o, tanh, out=kept)
            h = np.dot(kept, P, out=new_h)


@np.errstate(over="ignore", invalid="ignore")
def pull_lstm(W: Tensor, factors: State, states: State, after: State, projection: Tensor | None, /) -> None:
    """Add the gradients of the states of some steps of an LSTM from those of the state after them.

    Parameters
    ----------
    W
        ``(4n, p)``: o, i, f and g.
    factors
        As ``_LSTMScan._factors`` returns them.
    states
        Cotangents of h ``(steps, K, B, p)`` before each step, and room for those of c ``(steps, K, B, n)``.
    after
        Gradients of h and c after the last of the steps.
    projection
        ``(p, n)`` or None.
    """
    weight, P = W.numpy(), None if projection is None else projection.numpy()
    (h, c), (of_h, of_c) = ([part.numpy() for part in pair] for pair in (states, after))
    pre = np.empty((*c.shape[1:3], 4, c.shape[-1]))
    flat, of_output, of_cell = pre.reshape(-1, 4 * c.shape[-1]), pre[..., 0, :], pre[..., 1:, :]
    total, row = np.empty_like(c[0]), np.empty_like(h[0])
    column, product = total[..., None, :], row.reshape(-1, row.shape[-1])
    backwards = (array[::-1] for array in (*(factor.numpy() for factor in factors), h, c))
    for inner, output, through, forget, earlier_h, earlier_c in zip(*backwards, strict=True):
        if P is not None:
            of_h = of_h @ P
        np.multiply(of_h, through, out=total)
        np.add(total, of_c, out=total)
        np.multiply(of_h, output, out=of_output)
        np.multiply(column, inner, out=of_cell)
        of_c = np.multiply(total, forget, out=earlier_c)
        np.dot(flat, weight, out=product)
        of_h = np.add(earlier_h, row, out=earlier_h)
