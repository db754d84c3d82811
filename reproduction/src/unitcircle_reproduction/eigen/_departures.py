"""Moduli far from 1, and angles that are constant, against the source's start: copying, linear and tanh networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import follows, number
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import BATCH, CELLS, SEEDS, drawn
from unitcircle_reproduction._versus import MARGIN, Rivals, evidence_of, in_words, rows_of

ONE, SOURCE = "modulus 1", "modulus .95, uniform angles"
FAR = {f"modulus {m:g}": f"eigen(modulus={m}, angles=uniform)" for m in (0.5, 0.7, 1.5, 2.0)}
CONSTANT = {
    f"modulus .95, θ = {name}": f"eigen(modulus=0.95, angles={angle})"
    for name, angle in (("0.1", 0.1), ("π/4", 0.7854), ("π/2", 1.5708))
}
LAWS = {
    ONE: "eigen(modulus=1.0, angles=uniform)",
    SOURCE: "eigen(modulus=0.95, angles=uniform)",
    **FAR,
    **CONSTANT,
}
SMALL, LARGE = "modulus 0.5", "modulus 2"
STEPS = 30
"""Of the copying task: what a gradient crosses."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Train all starts in both cells; judge moduli against 1, then the failures that the source foretells."""
    if context.leaves_out("eigen/departures"):
        return
    found = contests(context, "eigen-departures", CELLS.values(), LAWS)
    labels = list(LAWS)
    rows = [row for task in CELLS.values() for row in rows_of(task, labels, found[task.name])]
    setting = (
        f"h ← φ(V h + ReLU(U x + b)), copying over 20 steps, {CELLS['tanh'].units} units, "
        f"{CELLS['tanh'].steps} steps of {BATCH}, Adam, clipped at 1, {SEEDS} seeds, each start at its best rate of "
        f"another seed."
    )
    far = [Rivals(task, worse=label, better=ONE) for task in CELLS.values() for label in FAR]
    verdict, condition = follows(evidence_of(found, labels, far, family=len(FAR)), margin=MARGIN)
    chosen = [row for row in rows if row["transition starts as"] in {ONE, *FAR}]
    yield Claim(
        "far-moduli",
        "Moduli that depart from 1",
        "When the eigenvalues of the hidden weight deviate from modulus 1, optimization becomes difficult, especially "
        "of long-term dependencies (Arjovsky, Shah and Bengio).",
        f"{setting} {in_words(chosen)}.",
        verdict,
        chosen,
        condition=condition,
    )
    others = [SMALL, LARGE, *CONSTANT]
    failing = [Rivals(task, worse=label, better=SOURCE) for task in CELLS.values() for label in others]
    verdict, condition = follows(evidence_of(found, labels, failing, family=len(others)), margin=MARGIN)
    chosen = [row for row in rows if row["transition starts as"] in {SOURCE, *others}]
    signs = "; ".join(
        f"{label} {number(gradient(LAWS[label], context.first_seed))}" for label in (SMALL, SOURCE, LARGE)
    )
    yield Claim(
        "failures",
        "How it fails: moduli too small, too large, other angles",
        "Signs of failure: gradients vanish where eigenvalues are too small, explode where they are too large in spite "
        "of the activation, and convergence is poor where the rotation angles are wrong (which are, is not said).",
        f"{setting} A gradient crosses {STEPS} steps of the untrained tanh network with a factor of (median over "
        f"seeds): {signs}. {in_words(chosen)}. Angles are constant: every plane is turned by θ.",
        verdict,
        chosen,
        condition=condition,
    )


def gradient(law: str, first_seed: int, /) -> float:
    """Return ‖Vᵀ diag(1 − h²) … v‖/‖v‖ over the steps of the tanh network for random v, the median over seeds."""
    task = CELLS["tanh"]
    parameters = drawn(task, [(law, first_seed + k) for k in range(SEEDS)])
    rng = np.random.default_rng(48)
    inputs, behind = task.sample(rng, 1)[0][:, 0], rng.standard_normal(task.units)
    factors = []
    for V, U in zip(parameters["V"].double().numpy(), parameters["U"].double().numpy(), strict=True):
        h, slopes = np.zeros(task.units), []
        for x in inputs:
            h = np.tanh(V @ h + np.maximum(U @ x, 0))
            slopes.append(1 - h**2)
        g = behind
        for slope in reversed(slopes):
            g = V.T @ (slope * g)
        factors.append(np.linalg.norm(g) / np.linalg.norm(behind))
    return float(np.median(factors))
