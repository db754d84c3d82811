"""The asymptotics of the powers of a weight: vanish, converge, stay bounded, grow, or explode."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from unitcircle import _array
from unitcircle.errors import ArgumentError
from unitcircle.spectra._circle import Group, Side, eigenvalue_groups
from unitcircle.spectra._nilpotent import CLEAR
from unitcircle.spectra._triangular import triangular_parts

LARGEST = 1e305
"""Where n times the largest entry stays below this, no eigenvalue or error bound overflows."""


class Asymptotics(StrEnum):
    """The behaviour of the powers Wᵗ as t → ∞."""

    VANISHES = "vanishes"
    """Wᵗ → 0: ρ < 1."""
    CONVERGES = "converges"
    """Wᵗ has a limit that is not zero: 1 is the only eigenvalue on the unit circle, and semisimple."""
    BOUNDED = "bounded"
    """sup ‖Wᵗ‖ is finite, and there is no limit: every eigenvalue on the unit circle is semisimple, one is not 1."""
    GROWS = "grows"
    """‖Wᵗ‖ ~ tᵈ: ρ = 1, and an eigenvalue on the unit circle is defective."""
    EXPLODES = "explodes"
    """‖Wᵗ‖ ~ ρᵗ, times a power of t: ρ > 1."""
    UNDECIDED = "undecided"
    """Within rounding in the element type of the weight, more than one of the other verdicts is possible."""


_DESCRIPTIONS = {
    Asymptotics.VANISHES: "the powers vanish",
    Asymptotics.CONVERGES: "the powers converge to a limit that is not zero",
    Asymptotics.BOUNDED: "the powers stay bounded and have no limit",
    Asymptotics.GROWS: "the powers grow polynomially",
    Asymptotics.EXPLODES: "the powers explode",
    Asymptotics.UNDECIDED: "the behaviour of the powers is within rounding error",
}


@dataclass(frozen=True)
class AsymptoticsResult:
    """The asymptotics of the powers of one weight, with the evidence.

    Attributes
    ----------
    verdict
        The asymptotics.
    evidence
        The measurements behind the verdict, one phrase each.
    tolerance
        The change of W, in the spectral norm, that the verdict allows for. Within it a defective eigenvalue, or one
        on the unit circle, counts as such: almost every matrix nearby has neither.
    radius
        Lower and upper bound of the spectral radius, to first order in the tolerance.
    unit_eigenvalues
        How many eigenvalues lie on the unit circle, with multiplicity.
    growth_degree
        The d of ‖Wᵗ‖ ~ tᵈ where the verdict is GROWS, 0 where the powers are bounded, else None.
    limit_rank
        Rank of lim Wᵗ where there is a limit, else None.
    trust_horizon
        Steps after which a change of W within the tolerance could show in the eigenvalues on the unit circle;
        infinite where there are none.

    Examples
    --------
    >>> result = asymptotics([[0.5, 1.0], [0.0, 0.5]])
    >>> str(result.verdict), result.limit_rank, result.radius[0] < 0.6
    ('vanishes', 0, True)
    """

    verdict: Asymptotics
    evidence: tuple[str, ...]
    tolerance: float
    radius: tuple[float, float]
    unit_eigenvalues: int
    growth_degree: int | None
    limit_rank: int | None
    trust_horizon: float

    def __str__(self) -> str:
        return f"{_DESCRIPTIONS[self.verdict]} ({'; '.join(self.evidence)})"


def asymptotics(W: Any, /) -> Any:
    r"""Determine whether the powers of a weight vanish, converge, stay bounded, grow or explode.

    .. math::
        W^t \to 0 &\iff ρ(W) < 1 \\
        W^t \text{ converges} &\iff σ(W) \subset \{|z| < 1\} \cup \{1\},\
            \operatorname{rank}(W - I) = \operatorname{rank}(W - I)^2 \\
        \sup_t \|W^t\| < ∞ &\iff ρ(W) \le 1,\ \text{every}\ |λ| = 1\ \text{semisimple}

    The verdict is that of a matrix within rounding of W in the element type of W: a float32 orthogonal matrix is
    BOUNDED although its eigenvalues are off the circle by 1e-7. Exact zeros stay zeros, so an explicit Jordan block is
    classified exactly. A dense matrix is reduced to Schur form; eigenvalues that rounding could have split from one
    multiple eigenvalue are classified together, by their mean and by the Jordan structure of W on their invariant
    subspace. The verdict is UNDECIDED if more than one remains possible.

    Parameters
    ----------
    W
        Weight ``(..., n, n)`` of any array library. Integers are exact.

    Returns
    -------
    AsymptoticsResult
        Of a single weight; of a batch, a NumPy object array of them in the shape of the batch.

    Raises
    ------
    ShapeError
        Not square in the last two axes, or 0 × 0.
    DtypeError
        Not numbers.
    NotFiniteError
        A NaN or an infinity.
    ArgumentError
        An entry so large that an eigenvalue may overflow.

    References
    ----------
    Higham and Knight (1995), Matrix powers in finite precision arithmetic, SIAM Journal on Matrix Analysis and
    Applications 16(2). Meyer (2000), Matrix Analysis and Applied Linear Algebra, equations 7.10.5 and 7.10.33.
    Golub and Van Loan (2013), Matrix Computations, 4th edition, sections 7.2 and 7.6.

    Examples
    --------
    >>> asymptotics([[0.0, -1.0], [1.0, 0.0]]).verdict.value
    'bounded'
    >>> result = asymptotics([[1.0, 1.0], [0.0, 1.0]])
    >>> result.verdict.value, result.growth_degree
    ('grows', 1)
    >>> print(asymptotics([[0.9, 10.0], [0.0, 0.8]]))
    the powers vanish (spectral radius 0.9)
    """
    weight = _array.weight(W)
    largest = float(np.abs(weight.value).max(initial=0.0))
    if largest * weight.n > LARGEST:
        raise ArgumentError("W", f"must have entries below {LARGEST:.0e} / n", f"one of modulus {largest:.3g}")
    results = np.empty(weight.batch, dtype=object)
    for index in np.ndindex(weight.batch):
        parts = triangular_parts(weight.value[index], eps=weight.eps)
        results[index] = _result([group for part in parts for group in eigenvalue_groups(part)])
    return results if weight.batch else results[()]


def _result(groups: list[Group]) -> AsymptoticsResult:
    unit_groups = [group for group in groups if group.side is Side.ON]
    verdict = _verdict({group.side for group in groups}, unit_groups)
    multiplicity = sum(len(group.members) for group in unit_groups)
    bounds = [_modulus_bounds(group) for group in groups]
    radius = max(low for low, _ in bounds), max(high for _, high in bounds)
    bounded = {Asymptotics.VANISHES: 0, Asymptotics.CONVERGES: multiplicity, Asymptotics.BOUNDED: None}
    growth_degree = 0 if verdict in bounded else None
    if verdict is Asymptotics.GROWS:
        growth_degree = max(group.jordan_size for group in unit_groups) - 1
    return AsymptoticsResult(
        verdict=verdict,
        evidence=tuple(_evidence(groups, radius)),
        tolerance=max(group.tolerance for group in groups),
        radius=radius,
        unit_eigenvalues=multiplicity,
        growth_degree=growth_degree,
        limit_rank=bounded.get(verdict),
        # A perturbation splits a Jordan block of size k by its k-th root.
        trust_horizon=min((group.error ** (-1 / group.jordan_size) for group in unit_groups), default=np.inf),
    )


def _verdict(sides: set[Side], unit_groups: list[Group]) -> Asymptotics:
    if Side.OUTSIDE in sides:
        return Asymptotics.EXPLODES
    if Side.UNRESOLVED in sides:
        return Asymptotics.UNDECIDED
    if any(group.jordan_size > 1 for group in unit_groups):
        return Asymptotics.GROWS
    if any(abs(group.mean - 1) >= CLEAR * group.error for group in unit_groups):
        return Asymptotics.BOUNDED
    if any(abs(group.mean - 1) > group.error for group in unit_groups):
        return Asymptotics.UNDECIDED
    return Asymptotics.CONVERGES if unit_groups else Asymptotics.VANISHES


def _modulus_bounds(group: Group) -> tuple[float, float]:
    """Bound the largest modulus of a group."""
    mean = abs(group.mean)
    if group.side is Side.ON:
        return 1 - group.error, 1 + group.error
    spread = float(np.abs(group.eigenvalues - group.mean).max())
    return max(0.0, mean - group.error), mean + 2 * spread + group.error


def _evidence(groups: list[Group], radius: tuple[float, float]) -> list[str]:
    low, high = radius
    middle, half = (low + high) / 2, (high - low) / 2
    phrases = [f"spectral radius {middle:.6g}" + (f" ± {half:.1g}" if half > 1e-6 * middle else "")]
    unit_groups = [group for group in groups if group.side is Side.ON]
    if unit_groups:
        count = sum(len(group.members) for group in unit_groups)
        phrases.append(f"{count} eigenvalue{'s' if count > 1 else ''} on the unit circle")
        worst = max(unit_groups, key=lambda group: group.jordan_size)
        phrases.append(
            f"{_number(worst.mean)} has a Jordan block of size {worst.jordan_size}"
            if worst.jordan_size > 1
            else "none of them defective"
        )
    phrases += [
        f"{len(group.members)} near {_number(group.mean)} cannot be placed: error {group.error:.1g}"
        for group in groups
        if group.side is Side.UNRESOLVED
    ]
    return phrases


def _number(z: complex) -> str:
    return f"{z.real:.6g}" if abs(z.imag) < 1e-9 else f"{z.real:.6g}{z.imag:+.6g}i"
