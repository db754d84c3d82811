"""The steps of the answer's proof, each evaluated as it is written: directions, D + N, the binomial sum, the ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from unitcircle.initializers import Gaussian
from unitcircle.spectra import JordanChevalley, jordan_chevalley
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.powers._matrices import LABELLED, Labelled, random_labelled

EPS = float(np.finfo(float).eps)
UNITS = 16
POWERS = (1, 2, 5, 20, 64)
ROUNDING = 10.0
"""Units of n·size·eps·κ² that the rounding of a power may reach."""


Split = Sequence[tuple[Labelled, JordanChevalley]]
"""Matrices of known structure, each with its parts."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure what the answers say on the way to their propositions."""
    rng = np.random.default_rng([context.draws, 4])
    matrices = [*LABELLED, *(random_labelled(rng) for _ in range(context.pick(100, 1000)))]
    split = [(labelled, jordan_chevalley(labelled.matrix)) for labelled in matrices]
    yield _direction(context.pick(100, 1000), rng)
    yield _parts(split)
    yield _ranks(split)


def _direction(draws: int, rng: np.random.Generator) -> Claim:
    values = np.linalg.eigvals(Gaussian().sample(UNITS, rng=rng, size=draws)).ravel()
    real = np.abs(np.imag(values)) < math.sqrt(EPS)
    shares = {
        "λ > 0: exactly the same direction": float(np.mean(real & (np.real(values) > 0))),
        "λ < 0: the opposite direction": float(np.mean(real & (np.real(values) < 0))),
        "λ not real: no direction of the real space is kept": float(np.mean(~real)),
    }
    same, opposite, none = shares.values()
    return Claim(
        "direction",
        "The direction of an eigenvector",
        "A vector that is an eigenvector comes back in exactly the same direction, stretched or compressed.",
        f"Av = λv keeps the direction for λ > 0 alone. Of the eigenvalues of {draws} Gaussian matrices of size {UNITS} "
        f"these are {same:.0%}; {opposite:.0%} are negative and turn the vector round; {none:.0%} are not real, and a "
        "real vector in their plane turns at every step. What holds for all of them is the length, |λ|ᵗ.",
        Verdict.HOLDS if same == 1 else Verdict.FAILS,
        table=[{"eigenvalue": kind, "share": share} for kind, share in shares.items()],
    )


def binomial(parts: JordanChevalley, t: int, /) -> tuple[np.ndarray, float]:
    """Return Σ C(t, k) Nᵏ Dᵗ⁻ᵏ over k < m, and the size of its largest term."""
    terms = [
        math.comb(t, k)
        * np.linalg.matrix_power(parts.nilpotent, k)
        @ np.linalg.matrix_power(parts.diagonalizable, t - k)
        for k in range(min(parts.index or len(parts.nilpotent), t + 1))
    ]
    return np.sum(terms, axis=0), max(float(np.linalg.norm(term, 2)) for term in terms)


def _parts(split: Split) -> Claim:
    right, table, excess = 0, [], 0.0
    worst = {"commutator": 0.0, "nilpotency": 0.0}
    for labelled, parts in split:
        A = labelled.matrix
        index = max(size for _, size in labelled.blocks)
        right += parts.index == index
        worst = {name: max(value, getattr(parts, name)) for name, value in worst.items()}
        for t in POWERS:
            total, largest = binomial(parts, t)
            rounding = t * len(A) * EPS * parts.condition**2 * max(largest, float(np.linalg.norm(A, 2)) ** t)
            excess = max(excess, float(np.linalg.norm(total - np.linalg.matrix_power(A, t), 2)) / rounding)
        if labelled in LABELLED:
            table.append({
                "matrix": labelled.name, "index m": str(parts.index), "by construction": index,
                "κ of the eigenvectors of D": parts.condition, "‖DN − ND‖ / ‖A‖²": parts.commutator,
                "‖Nᵐ‖ / ‖A‖ᵐ": parts.nilpotency,
            })  # fmt: skip
    holds = right == len(split) and excess < ROUNDING
    return Claim(
        "parts",
        "Diagonalizable and nilpotent, and the binomial sum",
        "A = D + N with D diagonalizable, N nilpotent and DN = ND; hence Aⁿ = Σ C(n, k) Nᵏ Dⁿ⁻ᵏ over k up to the "
        "index m of N.",
        f"unitcircle.spectra.jordan_chevalley splits {len(split)} matrices of known Jordan structure: the index "
        f"is that of the construction in {right}; ‖DN − ND‖ ≤ {worst['commutator']:.0e} ‖A‖² and ‖Nᵐ‖ ≤ "
        f"{worst['nilpotency']:.0e} "
        f"‖A‖ᵐ. The sum is Aⁿ for n = {', '.join(map(str, POWERS))} within {excess:.1f} times n·size·eps·κ² (largest "
        f"term). Its last term, k = m, is zero: N to the m-th is.",
        Verdict.HOLDS if holds else Verdict.CONDITIONALLY if right > len(split) / 2 else Verdict.FAILS,
        table=table,
        data={"right": right, "of": len(split), "excess": excess} | worst,
        condition=""
        if holds
        else "where rounding does not hide the structure: the parts are not continuous in A, and of "
        f"{len(split) - right} matrices the index was not found",
    )  # fmt: skip


def rank_condition(A: np.ndarray, parts: JordanChevalley, /) -> bool:
    """Return whether Spec(A) lies in {|z| < 1} ∪ {1} and rk(A − I) = rk((A − I)²), with rounding allowed for."""
    rounding = len(A) ** 2 * EPS * parts.condition * max(1.0, float(np.linalg.norm(A, 2)))
    one = np.abs(parts.eigenvalues - 1) < rounding
    if np.any(~one & (np.abs(parts.eigenvalues) > 1 - rounding)):
        return False
    B = A - np.eye(len(A))
    size = float(np.linalg.norm(B, 2)) or 1.0
    ranks = [
        np.linalg.matrix_rank(C, tol=rounding * parts.condition * scale) for C, scale in ((B, size), (B @ B, size**2))
    ]
    return bool(ranks[0] == ranks[1])


def _ranks(split: Split) -> Claim:
    expected = [
        all(abs(value) < 1 or (value == 1 and size == 1) for value, size in labelled.blocks) for labelled, _ in split
    ]
    found = [rank_condition(labelled.matrix, parts) for labelled, parts in split]
    agree = [one == truth for one, truth in zip(found, expected, strict=True)]
    return Claim(
        "ranks",
        "Proposition 2 by its rank condition",
        "Aⁿ has a limit if and only if Spec(A) ⊂ {|z| < 1} ∪ {1} and rk(A − I) = rk((A − I)²).",
        f"Evaluated as written, with singular values up to rounding counted as zero, the condition says of "
        f"{sum(agree)} of {len(split)} matrices what their Jordan form says; {sum(expected)} have a limit. (The source "
        "writes the limit as an element of ℂ; it is a matrix.)",
        Verdict.HOLDS if all(agree) else Verdict.FAILS,
        data={"agree": sum(agree), "of": len(agree)},
    )
