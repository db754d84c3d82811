"""How an orthogonal weight moves: along the orthogonal matrices, and away from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitcircle.spectra import tangent_share


@dataclass(frozen=True, eq=False)
class Movement:
    r"""A weight W = Q + Δ beside the orthogonal Q it started from, in norms.

    With ``QᵀΔ = S + A``, S symmetric and A skew, ``WᵀW − I = 2S + ΔᵀΔ`` exactly, hence

    .. math:: \left| \frac{\|W^TW - I\|_F}{\sqrt n} - 2\sqrt{1-τ}\,δ \right|
        \le \frac{\|Δ^TΔ\|_F}{\sqrt n} \le \|Δ\|_2\,δ

    Attributes
    ----------
    deviation
        ``‖WᵀW − I‖_F/√n``; about 1 for a Gaussian weight with variance 1/n.
    drift
        δ = ``‖Δ‖_F/√n``, the movement relative to the weight.
    tangent_share
        τ = ``‖A‖_F²/‖Δ‖_F²``; NaN without movement.
    remainder
        ``‖ΔᵀΔ‖_F/√n``, which bounds what the first order leaves out.
    """

    deviation: np.ndarray
    drift: np.ndarray
    tangent_share: np.ndarray
    remainder: np.ndarray

    def of(self, runs: np.ndarray, /) -> Movement:
        """Return the movement of some runs, along the second axis."""
        return Movement(*(value[:, runs] for value in vars(self).values()))

    @property
    def first_order(self) -> np.ndarray:
        """The deviation to first order in the movement, 2√(1 − τ) δ."""
        return 2 * np.sqrt(1 - self.tangent_share) * self.drift


def movement(W: np.ndarray, Q: np.ndarray, /) -> Movement:
    """Measure how weights have moved from orthogonal ones: ``(..., n, n)`` to ``(...)``."""
    side = np.sqrt(W.shape[-1])
    # LAPACK refuses what is not finite.
    lost = np.asarray(~np.isfinite(W).all((-2, -1)))
    W = np.where(lost[..., None, None], Q, W)
    moved = W - Q
    gram = np.swapaxes(W, -1, -2) @ W - np.eye(W.shape[-1])
    measured = (
        _size(gram) / side,
        _size(moved) / side,
        tangent_share(moved, Q),
        _size(np.swapaxes(moved, -1, -2) @ moved) / side,
    )
    return Movement(*(np.where(lost, np.nan, value) for value in measured))


def _size(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.norm(matrix, axis=(-2, -1))
