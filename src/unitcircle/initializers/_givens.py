"""The product of n − 1 rotations in neighbouring planes, in O(n²)."""

from __future__ import annotations

from typing import Any

from unitcircle._array import device, namespace
from unitcircle.initializers._banded import banded

TILE = 128
"""Columns made at a time."""


def givens_chain(cosines: Any, sines: Any, /, *, scale: float = 1.0) -> Any:
    r"""Return ``scale · G_1 G_2 ⋯ G_{n−1}``, where G_i turns the plane (i, i + 1) by the angle θ_i.

    .. math:: Q_{ij} = c_{i-1} c_j \prod_{k=i}^{j-1} (-s_k) \ (i \le j), \qquad Q_{j+1,j} = s_j, \qquad
              c_0 = c_n = 1

    All other entries are 0. Above the diagonal every tile of columns is an outer product, ``v wᵀ``: v holds the
    products up to the tile and w those inside it. Only products of at most 128 sines are formed at a time and
    carried on, so nothing is divided, and what underflows is 0 to working precision.

    Parameters
    ----------
    cosines, sines
        Arrays ``(..., n − 1)``, n ≥ 2.
    scale
        Factor of the whole product.

    Returns
    -------
    array
        ``(..., n, n)``.
    """
    xp = namespace(cosines)
    one = xp.ones_like(cosines[..., :1])
    left = xp.concat([one, cosines], axis=-1)
    right = scale * xp.concat([cosines, one], axis=-1)
    turn = -sines
    n = left.shape[-1]
    above = left[..., :0]
    blocks = []
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        products = _products(xp.concat([one, turn[..., start : stop - 1]], axis=-1))
        tile = products * left[..., start:stop, None]
        subdiagonal = banded(tile, {-1: scale * sines[..., start : stop - 1]})
        rows = [
            above[..., :, None] * (products[..., 0, :] * right[..., start:stop])[..., None, :],
            tile * right[..., None, start:stop] + subdiagonal,
        ]
        if stop < n:
            rest = xp.zeros((*left.shape[:-1], n - stop, stop - start), dtype=left.dtype, device=device(left))
            corner = xp.concat([rest[..., 0, 1:], scale * sines[..., stop - 1 : stop]], axis=-1)
            rows += [corner[..., None, :], rest[..., 1:, :]]
            last = turn[..., stop - 1 : stop]
            above = xp.concat([above * products[..., 0, -1:], tile[..., :, -1]], axis=-1) * last
        blocks.append(xp.concat(rows, axis=-2))
    return xp.concat(blocks, axis=-1)


def _products(factors: Any) -> Any:
    """Return the upper triangle ``P_ij = Π_{k=i+1}^{j} factors_k``, ones on its diagonal."""
    xp = namespace(factors)
    ones = xp.ones_like(factors[..., :, None] * factors[..., None, :])
    steps = xp.triu(ones * factors[..., None, :], k=1) + xp.tril(ones)
    return xp.triu(xp.cumulative_prod(steps, axis=-1))
