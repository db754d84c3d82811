"""The Kreiss constant of a weight: a bound of its transient growth from the resolvent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from unitcircle._array import weight
from unitcircle.spectra._asymptotics import Asymptotics, asymptotics
from unitcircle.spectra._pseudospectrum import single
from unitcircle.spectra._resolvent import Resolvent

EPS = float(np.finfo(np.float64).eps)
# Directions searched: this number, evenly spread over the circle, and those of as many of the largest eigenvalues.
DIRECTIONS = 64
# Distances |z| − 1 searched: this number per factor of ten, up to FAR.
PER_DECADE = 2
FAR = 30.0
# Peaks of the grid that are refined, how closely (in log(|z| − 1) and radians; the value's error is the square),
# and how many rounds that may take.
PEAKS = 6
# In every round a quadratic is fitted to log K on 3 × 3 points; where its top lies among them they draw together by
# SHRINK. At CLOSE the place is known to CLOSE², the value to CLOSE⁴.
SHRINK = 0.2
CLOSE = 1e-3
ROUNDS = 60
# Relative errors good enough to find a peak, and to find its top.
COARSE, FINE = 1e-3, 1e-11
# A peak lower than this part of the highest is dropped.
LAG = 0.8
# A limit at the unit circle has been reached if ten times further out the value is the same to this.
RISE = 1e-3


class KreissStatus(StrEnum):
    """How the Kreiss constant was computed; ``message`` gives the reason and the remedy."""

    message: str

    CONVERGED = "converged", "The maximum was refined until it no longer changed."
    INFINITE = (
        "infinite",
        (
            "The powers of the weight are unbounded: ρ > 1, or a defective eigenvalue lies on the unit circle. Scale "
            "the weight to ρ < 1 for a finite constant."
        ),
    )
    LOWER_BOUND = (
        "lower bound",
        (
            "Rounding hides whether the powers are bounded, or how far K rises next to the unit circle. Pass a weight "
            "in float64, or scaled away from the circle."
        ),
    )

    def __new__(cls, value: str, message: str) -> KreissStatus:
        """Make a member whose value is the first of its two texts."""
        member = str.__new__(cls, value)
        member._value_, member.message = value, message
        return member


@dataclass(frozen=True)
class Kreiss:
    """A Kreiss constant; ``float(result)`` is its value.

    Attributes
    ----------
    value
        K(W), at least 1; infinite where the powers of W are unbounded.
    z
        Where the supremum is attained; infinite where it is approached as z → ∞ (K = 1), NaN where K is infinite.
    status
        How it was computed; ``print`` shows its ``message``.
    """

    value: float
    z: complex
    status: KreissStatus

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"K = {self.value:.10g}, {self.status}: {self.status.message}"


def kreiss_constant(W: Any, /) -> Kreiss:
    r"""Return the Kreiss constant of a weight with respect to the unit disc.

    .. math:: K(W) = \sup_{|z| > 1} (|z| - 1) ‖(zI - W)^{-1}‖_2, \qquad K(W) ≤ \sup_t ‖W^t‖_2 ≤ e\,n\,K(W)

    The search covers a grid of distances from the unit circle and directions, including those of the largest
    eigenvalues, and refines the highest peaks. It is a global search, not a proof: the value is a lower bound of K(W),
    and every value of the resolvent in it is exact to rounding.

    Parameters
    ----------
    W
        One weight ``(n, n)``, real or complex, of any array library.

    Returns
    -------
    Kreiss
        Value, place and status. Points nearer to the unit circle than √(n·eps) (eps of the element type of ``W``)
        are not searched, since rounding hides on which side of the circle an eigenvalue lies.

    Raises
    ------
    ArgumentError
        A batch, or not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    References
    ----------
    Kreiss, "Über die Stabilitätsdefinition für Differenzengleichungen", BIT 2 (1962); Spijker, "On a conjecture by
    LeVeque and Trefethen related to the Kreiss matrix theorem", BIT 31 (1991), for the constant e·n; Trefethen &
    Embree, *Spectra and Pseudospectra* (2005), §18

    Examples
    --------
    >>> round(float(kreiss_constant([[0.9, 1.0], [0.0, 0.9]])), 9)
    2.6
    """
    w = single(weight(W))
    verdict = asymptotics(W).verdict
    if verdict in {Asymptotics.GROWS, Asymptotics.EXPLODES}:
        return Kreiss(np.inf, complex(np.nan, np.nan), KreissStatus.INFINITE)
    resolvent, nearest = Resolvent.of(w.value), (w.n * w.eps) ** 0.5
    value, z = _search(resolvent, np.isrealobj(w.value), nearest)
    hidden = verdict is Asymptotics.UNDECIDED or _rises(resolvent, value, z, nearest)
    return Kreiss(value, z, KreissStatus.LOWER_BOUND if hidden else KreissStatus.CONVERGED)


def _rises(resolvent: Resolvent, value: float, z: complex, nearest: float) -> bool:
    """Whether the maximum lies as near to the unit circle as the search goes, and still grows towards it."""
    if abs(z) - 1.0 > 2.0 * nearest:
        return False
    further = z / abs(z) * (1.0 + 10.0 * nearest)
    height = 10.0 * nearest / float(resolvent.smallest_singular_values(np.array([further]))[0])
    return value > height * (1.0 + RISE)


def _search(resolvent: Resolvent, real: bool, nearest: float) -> tuple[float, complex]:
    values = resolvent.eigenvalues
    largest = values[np.argsort(-np.abs(values))[:DIRECTIONS]]
    theta = np.concatenate([2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS, np.angle(largest) % (2 * np.pi)])
    if real:  # the mirror image has the same heights
        theta = np.where(theta > np.pi, 2 * np.pi - theta, theta)
    theta = np.unique(np.round(theta, 12))
    low, high = np.log(nearest), np.log(FAR)
    u = np.linspace(low, high, round(PER_DECADE * (high - low) / np.log(10)) + 1)

    def height(u: np.ndarray, theta: np.ndarray, relative: float) -> np.ndarray:
        z = (1.0 + np.exp(u)) * np.exp(1j * theta)
        sigma = resolvent.smallest_singular_values(z.ravel(), relative=relative).reshape(z.shape)
        return u - np.log(np.maximum(sigma, np.finfo(np.float64).tiny))

    grid = height(u[:, None], theta, COARSE)
    peaks = _peaks(grid)
    centre, best = np.stack([u[peaks[0]], theta[peaks[1]]], axis=1), grid[peaks]
    reach = np.tile([u[1] - u[0], 2 * np.pi / DIRECTIONS], (len(best), 1))
    for _ in range(ROUNDS):
        points = centre[:, None, :] + reach[:, None, :] * OFFSETS
        points[..., 0] = np.maximum(points[..., 0], low)
        heights = height(points[..., 0], points[..., 1], FINE)
        top = np.array([_top(values) for values in heights])
        inside = np.abs(top).max(axis=1) < 1.0
        best = heights.max(axis=1)
        centre = centre + reach * top
        centre[:, 0] = np.maximum(centre[:, 0], low)
        reach[inside] *= SHRINK
        keep = best >= np.log(LAG) + best.max()
        centre, best, reach = centre[keep], best[keep], reach[keep]
        if reach.max() < CLOSE:
            break
    k = int(best.argmax())
    value = float(np.exp(height(centre[k, :1], centre[k, 1:], 0.0)[0]))
    if value <= 1.0:
        return 1.0, complex(np.inf)
    return value, complex((1.0 + np.exp(centre[k, 0])) * np.exp(1j * centre[k, 1]))


OFFSETS = np.array([(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)])
FIT = np.linalg.pinv(np.stack([OFFSETS[:, 0], OFFSETS[:, 1], OFFSETS[:, 0] ** 2 / 2, OFFSETS[:, 1] ** 2 / 2,
                               OFFSETS[:, 0] * OFFSETS[:, 1], np.ones(9)], axis=1))  # fmt: skip


def _top(values: np.ndarray) -> np.ndarray:
    """Return where on the 3 × 3 points the quadratic through their values is highest, else the highest of them."""
    x, y, xx, yy, xy, _ = FIT @ values
    if xx < 0.0 and xx * yy > xy**2:
        top = np.array([xy * y - yy * x, xy * x - xx * y]) / (xx * yy - xy**2)
        if np.abs(top).max() < 1.0:
            return top
    return OFFSETS[values.argmax()]


def _peaks(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest points that none of their neighbours on the grid exceeds."""
    padded = np.pad(grid, 1, constant_values=-np.inf)
    neighbours = [np.roll(padded, shift, axis=(0, 1))[1:-1, 1:-1] for shift in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    rows, columns = np.nonzero(grid >= np.max(neighbours, axis=0))
    order = np.argsort(-grid[rows, columns], kind="stable")[:PEAKS]
    return rows[order], columns[order]
