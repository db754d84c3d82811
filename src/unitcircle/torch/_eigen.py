"""Eigen weights that torch draws itself: n − 1 angles in place of n² normal numbers, written where the weight lies."""

from __future__ import annotations

from collections.abc import Callable

import torch

from unitcircle.initializers import Eigen, Initializer

TILE = 128
"""Rows written at a time."""

_WITH_GAMMA = {"cpu", "cuda"}
"""Devices on which torch draws gamma variables."""
# What torch.distributions.Gamma calls, which takes no generator itself.
_gamma: Callable[..., torch.Tensor] = torch._standard_gamma  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


def draws_angles(init: Initializer, block: torch.Tensor, generator: torch.Generator, /) -> bool:
    """Return whether a block ``(n, n)`` is filled by :func:`eigen_`: random angles, in single or double precision."""
    return (
        type(init) is Eigen
        and isinstance(init.angles, str)
        and block.dtype in (torch.float32, torch.float64)
        and block.shape[0] == block.shape[1] > 1
        and generator.device.type in _WITH_GAMMA
    )


def eigen_(block: torch.Tensor, init: Eigen, generator: torch.Generator, /) -> None:
    """Fill a block ``(n, n)`` from the law of an Eigen initializer with random angles."""
    n = len(block)
    dtype, device = block.dtype, generator.device
    first = torch.empty(n - 1, dtype=dtype, device=device).normal_(0, 0.5**0.5, generator=generator)
    if init.angles == "haar":
        # Half the squared length of k normal numbers is a gamma variable of shape k / 2.
        halves = torch.arange((n - 1) / 2, 0, -0.5, dtype=dtype, device=device)
        second = _gamma(halves, generator=generator).sqrt_()
    else:
        second = torch.empty_like(first).normal_(0, 0.5**0.5, generator=generator)
    length = torch.hypot(first, second)
    chain_(block, (first / length).to(block.device), (second / length).to(block.device), scale=init.modulus)


def chain_(out: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, /, *, scale: float) -> None:
    """Write ``scale · G_1 ⋯ G_{n−1}`` into an array ``(n, n)``: each number once, in tiles of rows from the last up."""
    # Q_ij = left_i Π_{i<k≤j} turn_k right_j above the diagonal. Right of its tile a row is a multiple of one vector,
    # the products of turns from the end of the tile on, of which no more than a tile's are new.
    n = len(out)
    size = min(TILE, n)
    tiles = -(-n // size)
    one, padding = cosines.new_ones(1), cosines.new_zeros(tiles * size - n)
    left = torch.cat((one, cosines, padding)).view(tiles, size, 1)
    right = torch.cat((cosines, one, padding)).mul_(scale).view(tiles, 1, size)
    turn = torch.cat((one, sines, padding)).neg_().view(tiles, 1, size)
    lower = torch.ones(size, size, dtype=torch.bool, device=turn.device).tril_()
    inside = torch.where(lower, one, turn).cumprod(-1).mul_(left).masked_fill_(lower.tril_(-1), 0.0)
    if tiles == 1:
        torch.mul(inside[0], right[0], out=out)
    else:
        # The products to the end of a tile, and from its first turn on.
        last, after = inside[:, :, -1:].clone(), turn.cumprod(-1)[:, 0]
        inside *= right
        row = (after * right[:, 0]).flatten()
        for k in range(tiles - 1, -1, -1):
            start, stop = k * size, min((k + 1) * size, n)
            rows, count = out[start:stop], stop - start
            rows[:, :start].zero_()
            rows[:, start:stop] = inside[k, :count, :count]
            if stop < n:
                torch.mul(last[k], row[stop:n], out=rows[:, stop:])
                row[stop:] *= after[k, -1]
    torch.mul(sines, scale, out=out.diagonal(-1))
