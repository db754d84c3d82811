"""The real Schur form with equal diagonals, as free parameters of a weight: nnRNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.linalg import LinAlgError, schur
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unitcircle.errors import ArgumentError
from unitcircle.torch._parametrize import orthogonal_blocks, square_blocks

ATTEMPTS = 20
"""Of one weight to order its Schur form, each changed by rounding; of defective ones about 1 in 1000 needs a second."""


class SchurParametrization(nn.Module):
    """The map of nnRNN for each gate block, ``W = P (Λ + T) Pᵀ``, from P's parameters, moduli, phases and T."""

    def __init__(self, bases: Sequence[nn.Module]) -> None:
        super().__init__()
        self.bases = nn.ModuleList(bases)

    def forward(self, basis: Tensor, moduli: Tensor, phases: Tensor, upper: Tensor) -> Tensor:
        """Return the stack of blocks ``(k·n, n)``."""
        count = len(self.bases)
        parts = zip(self.bases, *(free.chunk(count) for free in (basis, moduli, phases, upper)), strict=True)
        blocks: list[Tensor] = []
        for make, free, moduli_of, phases_of, upper_of in parts:
            P = make(free)
            blocks.append(P @ (rotations(moduli_of[0], phases_of[0]) + upper_of.triu(1)) @ P.mT)
        return torch.cat(blocks)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the parameters of a stack, exact for every weight."""
        found: list[tuple[Tensor, ...]] = []
        for make, part in zip(self.bases, weight.chunk(len(self.bases)), strict=True):
            P, S = (torch.from_numpy(array).to(part) for array in equal_diagonal_schur(part.detach().cpu().numpy()))
            pairs = len(S) // 2
            cosines, sines = S.diagonal()[: 2 * pairs : 2], S.diagonal(-1)[: 2 * pairs : 2]
            # A last unit without a partner has a real eigenvalue of either sign.
            moduli = torch.cat([torch.hypot(cosines, sines), S.diagonal()[2 * pairs :]])
            phases = torch.atan2(sines, cosines)
            inverse: Any = make
            upper = (S - rotations(moduli, phases)).triu(1)
            found.append((inverse.right_inverse(P), moduli[None], phases[None], upper))
        basis, moduli, phases, upper = (torch.cat(parts) for parts in zip(*found, strict=True))
        return basis, moduli, phases, upper


def rotations(moduli: Tensor, phases: Tensor, /) -> Tensor:
    """Return the block-diagonal matrix of the rotations by the phases times the moduli; a last modulus stands alone."""
    pairs, n = len(phases), len(phases) + len(moduli)
    cosines, sines = moduli[:pairs] * torch.cos(phases), moduli[:pairs] * torch.sin(phases)
    beside = torch.stack([sines, torch.zeros_like(sines)], -1).flatten()[: n - 1]
    diagonal = torch.cat([cosines.repeat_interleave(2), moduli[pairs:]])
    return torch.diag(diagonal) + torch.diag(beside, -1) - torch.diag(beside, 1)


def equal_diagonal_schur(W: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return P and S of ``W = P S Pᵀ``: 2 × 2 blocks of equal diagonal entries from the top, zeros below them."""
    S, P = _complex_first(W.astype(np.float64))
    for i in range(0, len(S) - 1, 2):
        two = slice(i, i + 2)
        (a, b), (c, d) = S[two, two]
        angle = np.arctan2(d - a, b + c) / 2
        R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        S[:, two], P[:, two] = S[:, two] @ R, P[:, two] @ R
        S[two] = R.T @ S[two]
        S[two, two][np.diag_indices(2)] = (a + d) / 2
    return P, S


def _complex_first(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a real Schur form S, P with complex pairs first, so that real eigenvalues make pairs too."""
    # Where an eigenvalue is multiple, rounding turns complex pairs real while they change places, and the order fails.
    # A change of the weight by rounding then moves the eigenvalues, but not the form's distance from the weight.
    rng, size = np.random.default_rng(0), np.finfo(np.float64).eps * np.linalg.norm(W) / len(W)
    for attempt in range(ATTEMPTS):
        noise = size * rng.standard_normal(W.shape) if attempt else 0.0
        try:
            S, P = schur(W + noise, output="real", sort=lambda _, imaginary: imaginary != 0)[:2]
        except LinAlgError:
            continue
        if not np.any(S.diagonal(-1)[1::2]):
            return S, P
    raise ArgumentError("weight", "must have a Schur form that can be ordered", "eigenvalues between real and complex")


def parametrize_schur(
    module: nn.Module, name: str = "weight_hh_l0", /, *, orthogonal_map: str | None = None
) -> nn.Module:
    r"""Train every gate block of a recurrent weight in its real Schur form: eigenvalues and non-normal part apart.

    .. math:: W = P (Λ + T) P^T, \qquad P^T P = I, \quad
              Λ = γ_1 \begin{pmatrix} \cos θ_1 & -\sin θ_1 \\ \sin θ_1 & \cos θ_1 \end{pmatrix} ⊕ \cdots, \quad
              T \text{ strictly upper triangular}

    Every weight has such a form, and starts unchanged: the blocks of its real Schur form are turned until their two
    diagonal entries are equal, real eigenvalues in pairs. At T = 0 the weight is normal, with the eigenvalues
    γ e^{±iθ}; so is the law of its authors, P Λ Pᵀ with γ = 1 and θ uniform, which is ``block_rotation``. For an odd
    n the last γ is a real eigenvalue.

    Parameters
    ----------
    module
        nn.RNN, nn.GRU, nn.LSTM, a cell of them, or an nn.Linear.
    name
        The recurrent weight, as in :func:`parametrize_orthogonal`.
    orthogonal_map
        The map of P, as in :func:`parametrize_orthogonal`.

    Returns
    -------
    torch.nn.Module
        The module. Its ``parametrizations.<name>`` has ``original0`` (P), ``original1`` (γ, one row a gate),
        ``original2`` (θ) and ``original3`` (T), to be regularized or given other learning rates: the source adds
        ``δ ‖γ − 1‖²`` to the loss, and a decay of T.

    Raises
    ------
    UnknownNameError
        The module itself has no such recurrent weight, or there is no such map.
    DtypeError
        bfloat16 or float16.
    ShapeError
        The blocks are not square (a projected LSTM).
    ArgumentError
        A weight whose Schur form cannot be ordered: eigenvalues between real and complex.

    References
    ----------
    G. Kerg et al., "Non-normal recurrent neural network (nnRNN): learning long time dependencies while improving
    expressivity with transient dynamics", NeurIPS 2019, arXiv 1905.12080, equation 4.

    Examples
    --------
    >>> rnn = nn.RNN(3, 5)
    >>> before = rnn.weight_hh_l0.detach().clone()
    >>> rnn = parametrize_schur(rnn)
    >>> bool(torch.allclose(rnn.weight_hh_l0, before, atol=1e-5))
    True
    """
    weight, gates = square_blocks(module, name)
    bases = orthogonal_blocks([torch.eye(weight.shape[-1]).to(weight)] * gates, orthogonal_map)
    parametrize.register_parametrization(module, name, SchurParametrization(bases))
    return module
