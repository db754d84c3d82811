"""The scaled Cayley transform: orthogonal matrices from skew-symmetric ones and signs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScaledCayley(nn.Module):
    """The map of scoRNN, ``W = (I + A)⁻¹ (I − A) D``: A skew-symmetric and free, D a fixed diagonal of ±1."""

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.signs: Tensor
        self.register_buffer("signs", torch.ones_like(like[0]))  # so that a file of the weights holds it

    def forward(self, free: Tensor) -> Tensor:
        """Return W ``(n, n)`` of the entries of A above its diagonal."""
        A = free.triu(1)
        A = A - A.mT
        eye = torch.eye(len(A), dtype=A.dtype, device=A.device)
        return torch.linalg.solve(eye + A, eye - A) * self.signs

    def right_inverse(self, W: Tensor) -> Tensor:
        """Return the entries of A of an orthogonal matrix; D is chosen such that there is one."""
        self.signs.copy_(signs_of(W))
        C = W * self.signs
        eye = torch.eye(len(C), dtype=C.dtype, device=C.device)
        A = torch.linalg.solve(eye + C, eye - C)
        return ((A - A.mT) / 2).triu(1)


def signs_of(W: Tensor) -> Tensor:
    """Return signs d for which ``I + W diag(d)`` is far from singular: its determinant is at least 1 in size."""
    # Elimination of W + D, each sign chosen when its pivot is reached: w + d with d = sign(w) is at least 1 in size.
    # What is left of an orthogonal W is orthogonal again, so that nothing grows (Ballard et al., Reconstructing
    # Householder vectors from tall-skinny QR, 2014, section 3).
    rest, signs = W.clone(), torch.ones_like(W[0])
    for k in range(len(W)):
        signs[k] = torch.where(rest[k, k] < 0, -1.0, 1.0)
        rest[k + 1 :, k + 1 :] -= torch.outer(rest[k + 1 :, k], rest[k, k + 1 :]) / (rest[k, k] + signs[k])
    return signs
