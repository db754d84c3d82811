"""The numerical radius of a weight: how far its field of values reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from unitcircle._array import weight
from unitcircle.spectra._scaled import ScaledMatrix

EPS = float(np.finfo(np.float64).eps)
# Supporting lines at the start, over the whole turn.
LINES = 32
# Search ends when no intersection of supporting lines reaches further than this beyond the best point, relative.
GAP = 4e-4
# The maximum is flat: an angle to √eps gives its value to eps.
ACCURACY = {"xatol": EPS**0.5}
# Below this size all eigenvalues cost no more than the largest.
SMALL = 64
# Local maxima that are refined to rounding, the highest first.
PEAKS = 8


def numerical_radius(W: Any, /) -> Any:
    r"""Return the numerical radius, the largest modulus in the field of values.

    .. math:: w(W) = \max_{‖x‖_2 = 1} |x^* W x| = \max_θ h(θ), \qquad
              h(θ) = λ_{\max}\bigl(\tfrac12 (e^{iθ} W + e^{-iθ} W^*)\bigr)

    The global maximum is found between bounds. The field of values lies inside every polygon of supporting lines
    Re(e^{iθ} z) = h(θ), so no point of it lies further out than the furthest corner; lines are added at such corners
    until none reaches more than 4·10⁻⁴ beyond the largest h found. Every local maximum is then refined to rounding.
    Between ρ and ‖W‖₂ there is nothing to search where the two agree.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.

    Returns
    -------
    float or array
        A value of h, exact to rounding if the maximum it refines is the global one, and in any case at most
        4·10⁻⁴ (relative) below w(W). ρ ≤ w ≤ ‖W‖₂ ≤ 2 w, and ‖Wᵗ‖₂ ≤ 2 wᵗ. Shape ``(...)``.

    Raises
    ------
    ArgumentError
        Not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    References
    ----------
    Johnson, "Numerical determination of the field of values of a general complex matrix", SIAM J. Numer. Anal. 15
    (1978); Berger's power inequality w(Wᵗ) ≤ w(W)ᵗ: Trefethen & Embree, *Spectra and Pseudospectra* (2005), §17

    Examples
    --------
    The nilpotent shift of n units has cos(π/(n + 1)):

    >>> round(numerical_radius(np.eye(10, k=1)), 12), round(float(np.cos(np.pi / 11)), 12)
    (0.959492973614, 0.959492973614)
    """
    w = weight(W)
    radii = [_radius(value) for value in w.value.reshape(-1, w.n, w.n)]
    return w.restore(np.reshape(radii, w.batch).astype(np.float64))


def _radius(W: np.ndarray) -> float:
    scaled = ScaledMatrix.of(W)  # squares of entries beyond 1e154 would overflow
    with np.errstate(over="ignore"):
        return float(np.ldexp(_search(scaled.mantissa), scaled.exponent))


def _search(W: np.ndarray) -> float:
    n = len(W)
    lower = float(np.abs(np.linalg.eigvals(W)).max())
    if lower >= float(np.linalg.norm(W, 2)) * (1.0 - n * EPS):
        return lower

    def support(angle: float) -> float:
        turned = np.exp(1j * angle) * W
        hermitian = 0.5 * (turned + turned.conj().T)
        if n <= SMALL:
            return float(np.linalg.eigvalsh(hermitian)[-1])
        return float(scipy.linalg.eigvalsh(hermitian, subset_by_index=[n - 1, n - 1])[0])

    # The field of values of a real weight is symmetric about the real axis: half a turn is enough.
    turn = np.pi if np.isrealobj(W) else 2 * np.pi
    angles = np.linspace(0.0, turn, round(LINES * turn / (2 * np.pi)) + 1)
    h = np.array([support(angle) for angle in angles])
    while True:
        corners = _corners(angles, h)
        (wide,) = np.nonzero(corners > h.max() * (1.0 + GAP))
        if not len(wide):
            break
        new = 0.5 * (angles[wide] + angles[wide + 1])
        angles, h = np.append(angles, new), np.append(h, [support(angle) for angle in new])
        order = np.argsort(angles)
        angles, h = angles[order], h[order]
    from scipy import optimize  # noqa: PLC0415  (0.3 s of start-up)

    best = float(h.max())
    peaks = np.flatnonzero((h >= np.r_[h[:1], h[:-1]]) & (h >= np.r_[h[1:], h[-1:]]))
    # If the field of values is a disc, every line is a peak, and any of them will do.
    for k in peaks[np.argsort(-h[peaks], kind="stable")][:PEAKS]:
        around = angles[max(k - 1, 0)], angles[min(k + 1, len(h) - 1)]
        # Only a maximum whose corners reach beyond what is known can raise it.
        if corners[max(k - 1, 0) : k + 1].max() > best:
            optimum: Any = optimize.minimize_scalar(
                lambda a: -support(a), bounds=around, method="bounded", options=ACCURACY
            )
            best = max(best, -float(optimum.fun))
    return best


def _corners(angles: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return how far the field of values can reach between neighbouring supporting lines."""
    # The lines at θ₁ and θ₂ meet at the modulus sqrt(h₁² + h₂² − 2 h₁h₂ cos δ) / sin δ, δ = θ₂ − θ₁. Where that point
    # lies in a direction outside [θ₁, θ₂], the reach between them is that of the larger line.
    gap = np.diff(angles)
    left, right = h[:-1], h[1:]
    meet = np.sqrt(np.maximum(left**2 + right**2 - 2 * left * right * np.cos(gap), 0.0)) / np.sin(gap)
    inside = (left * np.cos(gap) <= right) & (right * np.cos(gap) <= left)
    return np.where(inside, meet, np.maximum(left, right))
