"""On which side of the unit circle the eigenvalues of a weight lie, within rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from unitcircle.spectra._nilpotent import CLEAR, nilpotency_index
from unitcircle.spectra._triangular import Triangular

DOUBT = 10.0
"""Factor of the backward error at which separate eigenvalues are tried as one defective eigenvalue."""
ILL_CONDITIONED = 0.1
"""An eigenvalue with |yᴴx| above this is not a fragment of a defective one."""
ANGLES = 64
"""Points of the unit circle from which the search for its distance starts."""


class Side(Enum):
    """Where the eigenvalues of a group lie."""

    INSIDE = "inside"
    ON = "on"
    OUTSIDE = "outside"
    """At least one of them."""
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, eq=False)
class Group:
    """Eigenvalues that are equal within rounding, and their common place relative to the unit circle."""

    members: np.ndarray  # Indices of the eigenvalues
    eigenvalues: np.ndarray  # Their computed values
    side: Side  # Where they lie
    error: float  # Error bound of their mean; of a single one, of its modulus
    jordan_size: int  # Size of the largest Jordan block (1: semisimple) where the side is ON, else 0
    tolerance: float  # The backward error allowed for, in the spectral norm

    @property
    def mean(self) -> complex:
        """Their mean, which is well conditioned even if single eigenvalues are not."""
        return complex(self.eigenvalues.mean())


def eigenvalue_groups(weight: Triangular, /) -> list[Group]:
    r"""Group the eigenvalues that a backward error could merge, and place each group against the unit circle.

    A backward error δ moves a simple eigenvalue by :math:`δ / |y^H x|`. Discs of that radius that overlap make a
    group, placed by its mean and by the compression of W to its invariant subspace, both known to
    :math:`δ \|P\|` with P the spectral projector. The placement is rejected if a δ that is ``DOUBT`` times as large
    merges separate eigenvalues into a defective one.

    Parameters
    ----------
    weight
        The weight in block-triangular Schur form.

    Returns
    -------
    list of Group
        A partition of the eigenvalues.
    """
    groups: dict[int, Group] = {}
    for members, near in merged_eigenvalues(weight, 1.0):
        group = _place_near(weight, members, 1.0) if near else _place_far(weight, members)
        groups.update((i, group) for i in members.tolist())
    for block, (start, end) in zip(weight.blocks, pairwise(weight.starts.tolist()), strict=True):
        # The error bound of a single eigenvalue may be too wide: what counts is whether any can cross the circle.
        if (
            any(groups[i].side is Side.UNRESOLVED for i in range(start, end))
            and circle_distance(block.T) >= CLEAR * block.backward_error
        ):
            members, delta = np.arange(start, end), block.backward_error
            eigenvalues = weight.eigenvalues[members]
            group = Group(members, eigenvalues, _side(eigenvalues), delta, 0, delta)
            groups.update((i, group) for i in range(start, end))
    for members, near in merged_eigenvalues(weight, DOUBT):
        merged = {groups[i] for i in members.tolist()}
        if near and len(merged) > 1 and weight.condition[members].min() < ILL_CONDITIONED:
            group = _place_near(weight, members, DOUBT)
            if group.jordan_size > 1:
                doubtful = replace(group, side=Side.UNRESOLVED, jordan_size=0)
                groups.update((int(i), doubtful) for group in merged for i in group.members)
    return list(dict.fromkeys(groups.values()))


def merged_eigenvalues(weight: Triangular, level: float) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the indices of eigenvalues that a backward error merges, and whether they reach the circle."""
    eigenvalues, delta = weight.eigenvalues, level * weight.backward_error
    with np.errstate(over="ignore"):  # a radius may be infinite
        first_order = delta / weight.condition
    distance = np.abs(eigenvalues[:, None] - eigenvalues)
    gap = (distance + np.diag(np.full(len(distance), np.inf))).min(axis=1)
    # A pair with coupling c at distance d has |yᴴx| ~ d / c and, once merged, moves by √(δc) = √(d · δ / |yᴴx|). The
    # first-order bound is far larger, and would merge everything.
    radius = np.sqrt(first_order) * np.sqrt(np.clip(gap, delta, first_order))
    near = np.abs(np.abs(eigenvalues) - 1) < CLEAR * first_order
    touching = scipy.sparse.csr_array(distance <= radius[:, None] + radius)
    _, label = scipy.sparse.csgraph.connected_components(touching, directed=False)
    order = np.argsort(label, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        yield members, bool(near[members].any())


def _place_far(weight: Triangular, members: np.ndarray) -> Group:
    """Place a group none of whose discs comes near the circle."""
    eigenvalues, delta = weight.eigenvalues[members], float(weight.backward_error[members].max())
    return Group(members, eigenvalues, _side(eigenvalues), _first_order(weight, members), 0, delta)


def _first_order(weight: Triangular, members: np.ndarray) -> float:
    """Return how far a backward error within the blocks moves any of some eigenvalues."""
    return float((weight.backward_error[members] / weight.condition[members]).max())


def _place_near(weight: Triangular, members: np.ndarray, level: float) -> Group:
    """Place a group by its mean, by its Jordan structure, or by the pseudospectrum of its compression."""
    eigenvalues = weight.eigenvalues[members]
    mean, m = eigenvalues.mean(), len(members)
    compression, condition, block = weight.compression(members)
    delta = level * block.backward_error
    error = scatter = delta / condition
    if len(set(weight.owner[members])) > 1:  # coupling between blocks moves no eigenvalue
        error = min(error, level * _first_order(weight, members))
    # The disc of an ill-conditioned eigenvalue is wide: an intersection with the circle is not evidence.
    width = error / CLEAR if m == 1 and condition < ILL_CONDITIONED else error
    excess = abs(mean) - 1
    size = 0
    if excess >= CLEAR * error:
        side = Side.OUTSIDE  # the largest modulus is at least that of the mean
    elif abs(excess) <= min(width, 1 / CLEAR) and (
        size := nilpotency_index(compression - mean * np.eye(m), tolerance=2 * m * scatter)
    ):
        side = Side.ON
    elif circle_distance(compression) >= CLEAR * scatter:
        side = _side(eigenvalues)
    else:
        side = Side.UNRESOLVED
    return Group(members, eigenvalues, side, error, size, delta)


def _side(eigenvalues: np.ndarray) -> Side:
    return Side.OUTSIDE if (np.abs(eigenvalues) > 1).any() else Side.INSIDE


def circle_distance(T: np.ndarray, /) -> float:
    r"""Return the norm of the smallest change of a triangular matrix that puts an eigenvalue on the unit circle.

    .. math:: \min_{|z|=1} σ_{\min}(T - zI)

    Parameters
    ----------
    T
        ``(m, m)`` upper triangular.

    Returns
    -------
    float
        The minimum over a grid of the circle and the angles of the eigenvalues, refined around the best: never below
        the true distance, and above it only where the grid misses the valley.

    References
    ----------
    Byers (1988), A bisection method for measuring the distance of a stable matrix to the unstable matrices, SIAM
    Journal on Scientific and Statistical Computing 9(5).
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  (0.3 s of start-up)

    eigenvalues = np.diagonal(T)
    if len(T) == 1:
        return float(abs(abs(eigenvalues[0]) - 1))
    nearest = np.argsort(np.abs(np.abs(eigenvalues) - 1))[:ANGLES]
    angles = np.concatenate([np.linspace(-np.pi, np.pi, ANGLES, endpoint=False), np.angle(eigenvalues[nearest])])
    values = [_smallest_singular_value(T, float(angle)) for angle in angles]
    best, width = float(angles[int(np.argmin(values))]), 2 * np.pi / ANGLES
    refined: Any = minimize_scalar(
        lambda angle: _smallest_singular_value(T, angle), bounds=(best - width, best + width), method="bounded"
    )
    return float(min(*values, refined.fun))


def _smallest_singular_value(T: np.ndarray, angle: float) -> float:
    """Return σ_min(T − exp(i angle) I) by inverse iteration: two triangular solves per step."""
    (trtrs,) = scipy.linalg.get_lapack_funcs(("trtrs",), (T,))
    shifted = T - np.exp(1j * angle) * np.eye(len(T))
    x = np.full(len(T), len(T) ** -0.5, complex)
    value = np.inf
    for _ in range(4):
        y, info = trtrs(shifted, x)
        norm = float(scipy.linalg.norm(y, check_finite=False))
        if info or not np.isfinite(norm):  # an eigenvalue lies exactly here
            return 0.0
        value = min(value, 1 / norm)
        x, _ = trtrs(shifted, y / norm, trans=2)
        x /= scipy.linalg.norm(x, check_finite=False)
    return value
