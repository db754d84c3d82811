"""Initialization of one tensor, gate block by gate block."""

from __future__ import annotations

from typing import cast

import torch

from unitcircle._filling import gated_cell
from unitcircle._keywords import right_keywords
from unitcircle._renamed import renamed_arguments
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.initializers import Eigen, GateBias, Initializer, parse
from unitcircle.torch._dense import require_tensor
from unitcircle.torch._eigen import draws_angles, eigen_
from unitcircle.torch._random import Rng, generator_of


def gaussian(
    shape: tuple[int, ...], like: torch.Tensor, generator: torch.Generator, /, *, field: str = "real"
) -> torch.Tensor:
    """Draw standard-normal numbers on the generator's device, in float32 or float64, and put them where ``like`` is."""
    dtype = torch.float64 if like.dtype in {torch.float64, torch.complex128} else torch.float32
    if field == "complex" and like.is_complex():
        dtype = dtype.to_complex()
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).to(like.device)


def draw(init: Initializer, shape: tuple[int, ...], like: torch.Tensor, generator: torch.Generator, /) -> torch.Tensor:
    """Draw a weight, computed in float32 or float64 where ``like`` is."""
    weight = init(gaussian(shape, like, generator, field=init.field))
    if weight.is_complex() and not like.is_complex():
        rule = "must be a real initializer for a real tensor"
        raise ArgumentError("init", rule, f"{init}, whose weights are complex")
    return weight


def fill_block(block: torch.Tensor, init: Initializer, generator: torch.Generator, /) -> None:
    """Fill one block in place; random angles are drawn as such, every other law from normal numbers."""
    if draws_angles(init, block, generator):
        eigen_(block, cast("Eigen", init), generator)
    else:
        block.copy_(draw(init, tuple(block.shape), block, generator))


def blocks_of(tensor: torch.Tensor, gates: int, /) -> list[torch.Tensor]:
    """Return the gate blocks ``(n, m)`` of a stacked tensor ``(k·n, m)`` as views."""
    if gates < 1 or tensor.shape[0] % gates:
        raise ShapeError(
            "tensor", f"must have a multiple of {gates} rows, one block per gate", f"shape {tuple(tensor.shape)}"
        )
    return list(tensor.chunk(gates))


@renamed_arguments(generator="rng")
@right_keywords
@torch.no_grad()
def fill_(
    tensor: torch.Tensor, init: Initializer | str, /, *, gates: int | None = None, rng: Rng = None
) -> torch.Tensor:
    """Fill one tensor, in torch's convention ``(out, in)``, each gate block with its own draw.

    Parameters
    ----------
    tensor
        Weight ``(k·n, m)`` or bias ``(k·n,)``, filled in place. bfloat16 and float16 are computed in float32 and cast
        last.
    init
        Specification, or its text.
    gates
        Number k of gate blocks: 4 for an LSTM, 3 for a GRU; None for one weight. In a bias with gates
        ``forget_bias``, ``chrono`` and ``uniform_gate`` fill the gates that they set, and put zeros into the others.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``; a fresh seed by default. torch's global random state
        is not touched.

    Returns
    -------
    torch.Tensor
        The tensor.

    Raises
    ------
    ShapeError
        The shape does not fit the gates or the initializer.
    ArgumentError
        A complex initializer for a real tensor, or a gate bias for a number of gates other than 3 or 4.

    Examples
    --------
    >>> weight = fill_(torch.empty(8, 2), "orthogonal", gates=4, rng=0)
    >>> [bool(torch.allclose(block.T @ block, torch.eye(2), atol=1e-6)) for block in weight.chunk(4)]
    [True, True, True, True]
    """
    init = parse(init)
    require_tensor(tensor, argument="tensor")
    if tensor.ndim != init.axes and not (init.elementwise and tensor.ndim == 1):
        raise ShapeError("tensor", f"must have {init.axes} axes for {init}", f"shape {tuple(tensor.shape)}")
    generator = generator_of(rng)
    blocks = [tensor] if gates is None else blocks_of(tensor, gates)
    if isinstance(init, GateBias) and len(blocks) > 1:
        cell = gated_cell(init, len(blocks))
        tensor.zero_()
        z = gaussian(tuple(blocks[0].shape), tensor, generator)
        for gate, value in init.gates(z, cell=cell).items():
            blocks[cell.gates.index(gate)].copy_(value)
        return tensor
    for block in blocks:
        fill_block(block, init, generator)
    return tensor
