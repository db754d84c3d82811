"""When the powers of a matrix vanish, stay bounded, converge or explode: the propositions, and what they do not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.initializers import Gaussian, Orthogonal
from unitcircle.spectra import (
    Asymptotics,
    asymptotics,
    departure_from_normality,
    kreiss_constant,
    matrix_power,
    power_norms,
    spectral_radius,
)
from unitcircle_reproduction._claim import Claim, Text, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.powers import _figures as figures
from unitcircle_reproduction.powers import _proof
from unitcircle_reproduction.powers._matrices import (
    LABELLED,
    LONG,
    SHORT,
    Labelled,
    Seen,
    by_structure,
    grcar,
    jordan,
    random_labelled,
    see,
)

VANISHES, CONVERGES, BOUNDED = Asymptotics.VANISHES, Asymptotics.CONVERGES, Asymptotics.BOUNDED
SIZES = range(1, 7)


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure the claims of the source."""
    rng = np.random.default_rng([context.draws, 0])
    drawn = [random_labelled(rng) for _ in range(context.pick(300, 5000))]
    labelled = [(matrix, see(matrix.matrix, LONG)) for matrix in LABELLED]
    matrices = labelled, [(matrix, see(matrix.matrix, SHORT)) for matrix in drawn]
    yield _proposition(
        "vanish", "When powers vanish", "Aᵗ → 0 if and only if ρ(A) < 1.", {VANISHES}, matrices,
        figures={
            "Norms of the powers of one matrix of every kind; both axes are logarithmic.": figures.kinds,
        },
    )  # fmt: skip
    yield _proposition(
        "bounded", "When powers stay bounded",
        "sup ‖Aᵗ‖ is finite if and only if ρ(A) ≤ 1 and every eigenvalue on the unit circle is semisimple.",
        {VANISHES, CONVERGES, BOUNDED}, matrices, only=1.0,
    )  # fmt: skip
    yield _proposition(
        "converge", "When powers converge",
        "Aᵗ converges if and only if, besides, no eigenvalue but 1 lies on the unit circle.",
        {VANISHES, CONVERGES}, matrices, only=1.0,
    )  # fmt: skip
    yield _stretching(context)
    yield _nilpotent(context)
    yield _scalar(context)


# The propositions -----------------------------------------------------------------------------------------------------


def _proposition(
    name: str,
    title: str,
    statement: str,
    /,
    kinds: set[Asymptotics],
    matrices: tuple[list[tuple[Labelled, Seen]], list[tuple[Labelled, Seen]]],
    *,
    only: float | None = None,
    figures: dict[str, Callable[[], Any]] | None = None,
) -> Claim:
    labelled, random = matrices
    every = [*labelled, *random]
    agree = [(by_structure(matrix.blocks) in kinds) == (seen.behaviour in kinds) for matrix, seen in every]
    count = len(random)
    low = stats.binomtest(sum(agree[-count:]), count).proportion_ci(0.95, method="wilson").low
    yes = sum(by_structure(matrix.blocks) in kinds for matrix, _ in every)
    return Claim(
        name,
        title,
        statement,
        f"The condition, read off the Jordan form, and the powers themselves, multiplied out to t = {LONG:,} without "
        f"any eigenvalue, agree for {sum(agree[:-count])} of {len(labelled)} labelled matrices and "
        f"{sum(agree[-count:])} of {count} of random Jordan structure and similarity (t = {SHORT:,}; 95 % interval of "
        f"the share: at least {low:.4f}). The condition is met by {yes} of the {len(every)}.",
        Verdict.HOLDS if all(agree) else Verdict.FAILS,
        table=[_row(matrix, seen) for matrix, seen in labelled if only is None or matrix.radius == only],
        figures=figures or {},
        data={"agree": sum(agree), "of": len(agree), "share_at_least": float(low)},
    )


def _row(matrix: Labelled, seen: Seen) -> dict[str, Any]:
    on = [size for value, size in matrix.blocks if abs(value) == 1]
    return {
        "matrix": matrix.name,
        "ρ": float(matrix.radius),
        "Jordan blocks on the circle": ", ".join(map(str, on)) or "none",
        "powers seen": str(seen.behaviour),
        f"log₁₀ ‖Aᵗ‖ at t = {LONG:,}": float(seen.log_norm / np.log(10)),
        "unitcircle.asymptotics": str(asymptotics(matrix.matrix).verdict),
    }


# Stretching -----------------------------------------------------------------------------------------------------------


def _stretching(context: Context) -> Claim:
    rng = np.random.default_rng([context.draws, 1])
    steps, count = np.arange(20, 41), context.pick(40, 400)
    deviations, rates, table = [], [], []
    for _ in range(count):
        values = np.array([1.0, rng.uniform(0.3, 0.8) * rng.choice([-1, 1])]) * rng.uniform(0.8, 1.2)
        V = rng.standard_normal((2, 2))
        V /= np.linalg.norm(V, axis=0)
        A = V * values @ np.linalg.inv(V)
        powers = np.array([matrix_power(A, int(t), method="squaring") for t in steps])
        stretched = np.linalg.norm(powers @ V, axis=1)
        # In units of what rounding may do to a product of t factors in these axes.
        rounding = steps[:, None] * np.finfo(float).eps * np.linalg.cond(V) ** 2
        expected = np.abs(values) ** steps[:, None]
        scale = np.abs(values).max() ** steps[:, None]
        deviations.append(float((np.abs(stretched - expected) / scale / rounding).max()))
        x = powers @ rng.standard_normal(2)
        across = np.abs(x @ np.array([-V[1, 0], V[0, 0]])) / np.linalg.norm(x, axis=1)
        seen = across > 1e3 * rounding[:, 0]
        if seen.sum() >= 3:
            rate = float(np.polyfit(steps[seen], np.log(across[seen]), 1)[0])
            rates.append(rate - np.log(abs(values[1] / values[0])))
    interval = stats.ttest_1samp(rates, 0.0).confidence_interval(0.95)
    table = [
        {"measured": "‖Aᵗv‖ against |λ|ᵗ‖v‖, worst, in t·eps·κ(V)²", "value": max(deviations), "matrices": count},
        {"measured": "rate of turning towards v₁, less log |λ₂/λ₁|, mean", "value": float(np.mean(rates)),
         "matrices": len(rates)},
        {"measured": "the same, largest in modulus", "value": float(np.abs(rates).max()), "matrices": len(rates)},
    ]  # fmt: skip
    return Claim(
        "stretching",
        "Stretching along eigenvectors",
        "Along an eigenvector Aᵗ stretches by λᵗ; a vector in general is stretched most along the eigenvector of the "
        "largest |λ|, and turns into its direction.",
        f"In {count} random diagonalizable 2 × 2 matrices, ‖Aᵗv‖ = |λ|ᵗ‖v‖ within {max(deviations):.2f} units of "
        "rounding (t·eps·κ(V)²). A random vector turns towards the leading eigenvector at a rate that differs from "
        f"log |λ₂/λ₁| by {np.mean(rates):.1e} a step (95 %: {interval.low:.1e} to {interval.high:.1e}; largest "
        f"{np.abs(rates).max():.1e}).",
        Verdict.HOLDS if max(deviations) < 10 and np.abs(rates).max() < 1e-2 else Verdict.FAILS,
        table=table,
        figures={
            "The unit circle under Aᵗ, t = 0, 1, 2, 4 (light to dark), with the eigenvectors. A symmetric matrix "
            "stretches by λᵗ and nothing else; one with oblique eigenvectors stretches more first; a defective one "
            "shears without end; a rotation seen in oblique axes neither grows nor shrinks.": figures.stretching
        },
        data={"rate_interval": [interval.low, interval.high]},
    )


# The nilpotent part ---------------------------------------------------------------------------------------------------


def exponent(A: np.ndarray, steps: int, /) -> float:
    """Return log₂ ‖A²ᵗ‖/‖Aᵗ‖, the local exponent of a norm that grows like a power of t."""
    power = matrix_power(A, steps, method="squaring")
    return float(np.log2(np.linalg.norm(power @ power, 2) / np.linalg.norm(power, 2)))


def _nilpotent(context: Context) -> Claim:
    table, wrong = [], 0.0
    for size in SIZES:
        row: dict[str, Any] = {"Jordan block size k": size, "expected": size - 1}
        for value in (1.0, -1.0, 0.95):
            row[f"λ = {value:g}"] = exponent(jordan(value, size) / abs(value), 2**15)
            wrong = max(wrong, abs(row[f"λ = {value:g}"] - (size - 1)))
        table.append(row)
    rng = np.random.default_rng([context.draws, 2])
    mixed = []
    for _ in range(context.pick(30, 300)):
        size = int(rng.integers(2, 4))
        S = stats.ortho_group.rvs(size, random_state=rng) * np.exp(rng.uniform(-1, 1, size))
        mixed.append(exponent(S @ jordan(1.0, size) @ np.linalg.inv(S), 2**9) - (size - 1))
    interval = stats.ttest_1samp(mixed, 0.0).confidence_interval(0.95)
    return Claim(
        "nilpotent",
        "The nilpotent part gives a polynomial",
        "J = λI + N with Nᵏ = 0 has Jᵗ = Σ C(t, j) λᵗ⁻ʲ Nʲ, j < k: |λ|ᵗ times a polynomial in t of degree k − 1.",
        f"The exponent of t, measured between t = 2¹⁵ and 2¹⁶ after division by |λ|ᵗ, is k − 1 to {wrong:.1e} for k = "
        f"1 to {SIZES[-1]} and λ = 1, −1 and 0.95. After {len(mixed)} random similarities (k = 2, 3; t = 2⁹ to 2¹⁰) it "
        f"differs by {np.mean(mixed):.1e} (95 %: {interval.low:.1e} to {interval.high:.1e}): it does not depend on the "
        "basis. The polynomial decides at |λ| = 1; at |λ| < 1 it is why the norm rises before it falls.",
        Verdict.HOLDS if wrong < 0.01 and np.abs(mixed).max() < 0.1 else Verdict.FAILS,
        table=table,
        figures={
            "Norms of powers of Jordan blocks of size k. Left: λ = 1, lines of slope k − 1 dashed. Right: λ = 0.95, "
            "with 0.95ᵗ dashed.": figures.nilpotent
        },
        data={"worst": wrong, "mixed_interval": [interval.low, interval.high]},
    )


# The scalar analogy ---------------------------------------------------------------------------------------------------


def _scale_to_radius(matrix: np.ndarray, radius: float) -> np.ndarray:
    return matrix * (radius / float(spectral_radius(matrix)))


def _scalar(context: Context) -> Claim:
    rng = np.random.default_rng([context.draws, 3])
    n, steps = context.pick(32, 128), 600
    matrices = {
        "orthogonal, ρ = 0.95": 0.95 * Orthogonal().sample(n, rng=rng),
        "Gaussian, ρ = 0.95": _scale_to_radius(Gaussian().sample(n, rng=rng), 0.95),
        "shear, ρ = 0.9": np.array([[0.9, 10.0], [0.0, 0.8]]),
        "Jordan block of size 8, λ = 0.9": jordan(0.9, 8),
        "Grcar 32, ρ = 0.95": _scale_to_radius(grcar(32), 0.95),
    }
    rows = [_transient(name, A, steps) for name, A in matrices.items()]
    gaussian = [
        float(np.exp(power_norms(_scale_to_radius(Gaussian().sample(n, rng=rng), 0.95), 60).max()))
        for _ in range(context.pick(40, 400))
    ]
    interval = stats.ttest_1samp(gaussian, 0.0).confidence_interval(0.95)
    normal, others = rows[0], rows[1:]
    bounds = all(row["Kreiss K"] <= row["sup ‖Aᵗ‖"] * (1 + 1e-6) <= row["e·n·K"] for row in rows)
    misleads = all(row["sup ‖Aᵗ‖"] > 1.05 for row in others) and normal["sup ‖Aᵗ‖"] <= 1 + 1e-9
    worst = max(others, key=lambda row: row["sup ‖Aᵗ‖"])
    return Claim(
        "scalar",
        "Where the scalar analogy misleads",
        "Think of the matrix as a number: below 1 in modulus its powers vanish, above 1 they explode.",
        f"In the limit, yes. On the way, only for normal matrices, where ‖Aᵗ‖ = ρᵗ. {worst['matrix']} first grows "
        f"{worst['sup ‖Aᵗ‖']:.3g}-fold, until step {worst['at t']}, and is above 1 until step "
        f"{worst['last t with ‖Aᵗ‖ > 1']}. {len(gaussian)} Gaussian matrices of size {n} scaled to ρ = 0.95 reach "
        f"{np.mean(gaussian):.3f} on average (95 %: {interval.low:.3f} to {interval.high:.3f}). Kreiss' theorem K ≤ "
        "sup ‖Aᵗ‖ ≤ e·n·K " + ("holds for all." if bounds else "is violated."),
        Verdict.CONDITIONALLY if misleads else Verdict.HOLDS,
        condition="in the limit t → ∞, or for normal matrices" if misleads else "",
        table=rows,
        figures={
            "Norms of powers of matrices whose eigenvalues lie inside the unit circle. Dotted: ρᵗ, what a number would "
            "do. Marks on the right: the Kreiss constants, which the maxima must exceed.": partial(
                figures.transients, matrices, steps=120
            ),
            "Pseudospectra, log₁₀ ε, of two matrices with the same eigenvalues (dots). Left: Grcar 32, scaled to ρ = "
            "0.95: a perturbation of 10⁻² moves eigenvalues beyond the unit circle (grey). Right: the normal matrix, "
            "where ε moves them by ε.": partial(figures.pseudospectra, matrices["Grcar 32, ρ = 0.95"]),
        },
        data={"gaussian_sup": float(np.mean(gaussian)), "interval": [interval.low, interval.high], "kreiss": bounds},
    )


def _transient(name: str, A: np.ndarray, steps: int) -> dict[str, Any]:
    logs, K = power_norms(A, steps), float(kreiss_constant(A))
    above = np.flatnonzero(logs > 1e-9)
    return {
        "matrix": name,
        "n": len(A),
        "ρ": float(spectral_radius(A)),
        "departure / ‖A‖_F": float(departure_from_normality(A)) / float(np.linalg.norm(A)),
        "Kreiss K": K,
        "sup ‖Aᵗ‖": float(np.exp(logs.max())),
        "e·n·K": float(np.e * len(A) * K),
        "at t": int(logs.argmax()),
        "last t with ‖Aᵗ‖ > 1": int(above[-1]) if above.size else 0,
    }


TEXT = Text(
    "powers",
    "When powers of a matrix vanish or explode",
    "The question when the powers of a matrix vanish or explode, and its two answers",
    {"claims": claims, "proof": _proof.claims},
)
