"""Gate blocks that stay orthogonal during training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from unitcircle._arguments import one_of
from unitcircle.errors import DtypeError, ShapeError, UnknownNameError
from unitcircle.torch._cayley import ScaledCayley
from unitcircle.torch._modules import recurrent_tensors

MAPS = ("matrix_exp", "cayley", "householder", "scaled_cayley")
"""torch's orthogonal maps, and scoRNN's."""


class BlockwiseParametrization(nn.Module):
    """A parametrization for each gate block of a stacked weight ``(k·n, n)``."""

    def __init__(self, blocks: Sequence[nn.Module], gain: torch.Tensor) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.gain: torch.Tensor
        self.register_buffer("gain", gain)  # so that a file of the weights holds it

    def forward(self, free: torch.Tensor) -> torch.Tensor:
        """Return the stack of orthogonal blocks ``(k·n, n)`` that the free parameters stand for."""
        parts = free.chunk(len(self.blocks))
        return self.gain * torch.cat([block(part) for block, part in zip(self.blocks, parts, strict=True)])

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the free parameters of a stack, or of the nearest one with orthogonal blocks."""
        parts = (weight / self.gain).chunk(len(self.blocks))
        return torch.cat(
            [block.right_inverse(_nearest_orthogonal(part)) for block, part in zip(self.blocks, parts, strict=True)]  # pyright: ignore[reportCallIssue]
        )


def _nearest_orthogonal(block: torch.Tensor) -> torch.Tensor:
    # torch projects a weight that is not orthogonal by QR; the polar factor is the nearest orthogonal matrix.
    U, _, Vh = torch.linalg.svd(block)
    return U @ Vh


def parametrize_orthogonal(
    module: nn.Module,
    name: str = "weight_hh_l0",
    /,
    *,
    orthogonal_map: str | None = None,
    gain: float = 1.0,
) -> nn.Module:
    r"""Keep every gate block of a recurrent weight orthogonal while it trains.

    .. math:: W = [W_1; \dots; W_k], \qquad W_j^T W_j = g^2 I \text{ for every gate } j

    ``torch.nn.utils.parametrizations.orthogonal(lstm, "weight_hh_l0")`` keeps the *stack* orthogonal, whose blocks then
    have singular values down to 0. This puts torch's parametrization on each block. The weight starts at the polar
    factor of each of its present blocks, so that orthogonal blocks do not change.

    Parameters
    ----------
    module
        nn.RNN, nn.GRU, nn.LSTM, a cell of them, or an nn.Linear.
    name
        The recurrent weight: ``"weight_hh_l0"``, ``"weight_hh_l1_reverse"``, ``"weight_hh"``, ``"weight"``.
    orthogonal_map
        torch's orthogonal map: ``"matrix_exp"`` (expRNN), ``"cayley"`` or ``"householder"``, torch's choice by default;
        or ``"scaled_cayley"`` (scoRNN), (I + A)⁻¹ (I − A) D, whose diagonal D of ±1 is chosen from the weight, such
        that A exists whatever the weight is, and is then fixed.
    gain
        g, every singular value of every block.

    Returns
    -------
    torch.nn.Module
        The module, with the parametrization registered.

    Raises
    ------
    UnknownNameError
        The module itself has no such recurrent weight (for a weight of a submodule, pass the submodule), or there is no
        such map.
    DtypeError
        bfloat16 or float16, in which torch's maps fail at the first forward pass.
    ShapeError
        The blocks are not square (a projected LSTM).

    Notes
    -----
    The map is computed at every use of the weight: at every step of a loop over a cell, and four times in one call of
    ``nn.LSTM``. Inside ``with torch.nn.utils.parametrize.cached():`` it is computed once; leave the block before the
    optimizer's step, after which the weight is another.

    References
    ----------
    M. Lezcano-Casado, D. Martínez-Rubio, "Cheap orthogonal constraints in neural networks", ICML 2019,
    arXiv 1901.08428; K. Helfrich, D. Willmott, Q. Ye, "Orthogonal recurrent neural networks with scaled Cayley
    transform", ICML 2018, arXiv 1707.09520, theorem 3.1.

    Examples
    --------
    >>> lstm = parametrize_orthogonal(nn.LSTM(3, 5))
    >>> block = lstm.weight_hh_l0.chunk(4)[1]
    >>> bool(torch.allclose(block.T @ block, torch.eye(5), atol=1e-5))
    True
    """
    weight, gates = square_blocks(module, name)
    nearest = [_nearest_orthogonal(part / gain) for part in weight.detach().chunk(gates)]
    blocks = orthogonal_blocks(nearest, orthogonal_map)
    parametrize.register_parametrization(
        module, name, BlockwiseParametrization(blocks, torch.full_like(weight[0, 0], gain))
    )
    return module


def square_blocks(module: nn.Module, name: str, /) -> tuple[torch.Tensor, int]:
    """Return a recurrent weight of square gate blocks, and their number, after checks that it can be parametrized."""
    linear_names = ["weight"] if isinstance(module, nn.Linear) else []
    known = {t.name: len(t.gates) for t in recurrent_tensors(module) if "." not in t.name} | dict.fromkeys(
        linear_names, 1
    )
    if name not in known:
        raise UnknownNameError("name", name, known)
    weight: torch.Tensor = getattr(module, name)
    if weight.dtype in {torch.bfloat16, torch.float16}:
        remedy = "Keep this weight in float32; autocast casts it for the products."
        raise DtypeError(name, "must be float32 or float64", str(weight.dtype), remedy)
    gates, n = known[name], weight.shape[-1]
    if weight.shape[0] != gates * n:
        raise ShapeError(name, "must have square gate blocks", f"shape {tuple(weight.shape)} for {gates} gates")
    return weight, gates


def orthogonal_blocks(values: Sequence[torch.Tensor], orthogonal_map: str | None, /) -> list[nn.Module]:
    """Return a parametrization by orthogonal matrices for each of several orthogonal matrices, where it starts."""
    if orthogonal_map is not None:
        one_of("orthogonal_map", orthogonal_map, MAPS)
    if orthogonal_map == "scaled_cayley":
        return [ScaledCayley(value) for value in values]
    blocks: list[nn.Module] = []
    for value in values:
        # torch builds its parametrization on a module's weight: a Linear that is then dropped.
        scratch = nn.Linear(len(value), len(value), bias=False, device=value.device, dtype=value.dtype)
        with torch.no_grad():
            scratch.weight.copy_(value)
        parametrizations.orthogonal(scratch, orthogonal_map=orthogonal_map)
        blocks.append(scratch.get_submodule("parametrizations.weight.0"))
    return blocks
