"""Which angles: how many units an eigenvector touches, and how the phases lie on the circle."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.initializers import BlockRotation, Eigen, Initializer, Orthogonal
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen import _dynamics_figures as figures

LAWS: dict[str, Initializer] = {
    "eigen, uniform angles": Eigen(angles="uniform"),
    "eigen, Haar angles": Eigen(angles="haar"),
    "eigen, θ = π/4": Eigen(angles=np.pi / 4),
    "eigen, θ = 0.1": Eigen(angles=0.1),
    "Haar": Orthogonal(gain=0.95),
    "blocks": BlockRotation(modulus=0.95),
}


def participation(W: np.ndarray, /) -> float:
    """Return the median over the eigenvectors of ``1 / Σ_i |v_i|⁴`` for ``‖v‖ = 1``: the units that one touches."""
    vectors = np.linalg.eig(W)[1]
    return float(np.median(1 / (np.abs(vectors) ** 4).sum(0)))


def gap_ratio(W: np.ndarray, /) -> float:
    """Return the mean of ``min(s_k, s_{k+1}) / max(s_k, s_{k+1})`` over the gaps s between the phases in (0, π)."""
    # 0.386 for independent phases (Poisson), about 0.6 for those of a Haar matrix, 1 for equal gaps.
    #
    # Y. Y. Atas, E. Bogomolny, O. Giraud, G. Roux, "Distribution of the ratio of consecutive level spacings in
    # random matrix ensembles", Phys. Rev. Lett. 110 (2013), 084101.
    phases = np.angle(np.linalg.eigvals(W))
    gaps = np.diff(np.sort(phases[(phases > 1e-9) & (phases < np.pi - 1e-9)]))
    if len(gaps) < 2:
        return float("nan")
    return float((np.minimum(gaps[1:], gaps[:-1]) / np.maximum(gaps[1:], gaps[:-1])).mean())


def claim(context: Context, /) -> Claim:
    """Measure what the choice of angles does to eigenvectors and phases."""
    sizes, draws = context.pick(((16, 32, 64, 128, 256), 4), ((16, 32, 64, 128, 256, 512, 1024), 20))
    rows: list[dict[str, Any]] = []
    logs: dict[str, list[tuple[float, float]]] = {}
    for law, init in LAWS.items():
        for n in sizes:
            weights = init.sample(n, size=(draws,), rng=context.draws)
            values = [participation(W) for W in weights]
            logs.setdefault(law, []).extend((np.log(n), np.log(value)) for value in values)
            row = {"weight": law, "n": n, "participation": float(np.mean(values))}
            rows.append(row | {"gap ratio": float(np.mean([gap_ratio(W) for W in weights]))})
    powers = {law: _power(np.array(points)) for law, points in logs.items()}
    last = {row["weight"]: row for row in rows if row["n"] == sizes[-1]}
    counts = "; ".join(
        f"{law} {last[law]['participation']:.1f} of {sizes[-1]} (∝ n^{power:.2f} ± {half:.2f})"
        for law, (power, half) in powers.items()
    )
    return Claim(
        "angles",
        "Which angles",
        "The weight is a product of plane rotations with one modulus, 0.95, for all eigenvalues. The summary does not "
        "say which angles the rotations have.",
        "Every choice has all moduli at 0.95, yet they are different weights. Units that a median eigenvector touches: "
        f"{counts}. With independent uniform angles a mode lives on a handful of units, however large the net, as in a "
        "disordered chain, and its phases do not repel each other (gap ratio "
        f"{last['eigen, uniform angles']['gap ratio']:.2f}, Poisson 0.39); with Haar angles the phases are those of a "
        f"Haar weight ({last['eigen, Haar angles']['gap ratio']:.2f}; Haar {last['Haar']['gap ratio']:.2f}). A "
        "constant angle θ confines the phases to ±2θ.",
        Verdict.UNDECIDED,
        condition="the summary names no law of the angles; which one was meant decides whether modes are local",
        table=rows,
        figures={
            "Left: participation of the median eigenvector against the size. Right: mean ratio of neighbouring gaps "
            "between phases; dotted: independent phases, and Haar unitary.": partial(figures.eigenvectors, rows)
        },
        data={"powers": {law: power for law, (power, _) in powers.items()}},
    )


def _power(points: np.ndarray) -> tuple[float, float]:
    fit: Any = stats.linregress(*points.T)
    return float(fit.slope), float(stats.t.isf(0.025, len(points) - 2) * fit.stderr)
