"""Next checks of the source: the modulus as a dose, rotations against other transitions, linear nets before tanh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.experiments.comparison import Interval, median_interval
from unitcircle.report import COLORS, CYCLE
from unitcircle_reproduction._board import PART
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval
from unitcircle_reproduction._kept_records import contests
from unitcircle_reproduction._transition import BATCH, CELLS, SEEDS, Memory
from unitcircle_reproduction._versus import MARGIN, Rivals, evidence_of

MODULI = (0.8, 0.95, 1.0, 1.1, 1.2)
SOURCE = 0.95
ROTATIONS = "rotations, uniform angles"
DOSES = {f"{ROTATIONS}, {m:g}": f"eigen(modulus={m}, angles=uniform)" for m in MODULI}
OTHERS = {
    "rotations, Haar angles": "eigen(modulus=0.95, angles=haar)",
    "Haar": "orthogonal(gain=0.95)",
    "identity": "identity(scale=0.95)",
    "independent blocks": "block_rotation(modulus=0.95)",
    "eigenvectors kept": "kept(0.95)",
    "Xavier": "xavier_normal",
}
LAWS = {**DOSES, **OTHERS}
DRAWS = 2000


def claims(context: Context, /) -> Iterator[Claim]:
    """Train linear networks, then tanh networks, and judge the modulus and the structure."""
    found = contests(context, "eigen-dose", CELLS.values(), LAWS)
    yield dose(found)
    yield structure(found)


def optimum(scores: np.ndarray, /, *, seed: int = 0) -> tuple[float, Interval]:
    """Return the modulus of the least loss, of losses ``(moduli, seeds)``, with its 95 % bootstrap interval."""
    # The vertex of the parabola through the mean losses in log m; where it has none within the doses, the end of the
    # doses that is better. Seeds are drawn whole, as all moduli share their data.
    drawn = np.random.default_rng([seed, 47]).integers(scores.shape[1], size=(DRAWS, scores.shape[1]))
    means = np.concatenate([scores.mean(1)[None], scores[:, drawn].mean(-1).T])
    x = np.log(MODULI)
    curvature, slope, _ = np.polyfit(x, means.T, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(curvature > 0, -slope / (2 * curvature), np.where(means[:, 0] < means[:, -1], x[0], x[-1]))
    best = np.exp(np.clip(vertex, x[0], x[-1]))
    low, high = np.quantile(best[1:], [0.025, 0.975])
    return float(best[0]), Interval(float(low), float(high))


def dose(found: Mapping[str, Mapping[str, np.ndarray]], /) -> Claim:
    """Judge whether .95 is the modulus to take, by the interval of the optimum."""
    evidence, words, rows = list[Evidence](), list[str](), list[dict[str, Any]]()
    for task in CELLS.values():
        scores = np.minimum(found[task.name]["scores"][: len(MODULI)], task.baseline)
        best, interval = optimum(scores)
        learned = bool((scores.mean(1) < (1 - PART) * task.baseline).any())
        inside = interval.low <= SOURCE <= interval.high
        narrow = interval.high / interval.low < MODULI[-1] / MODULI[0] * 0.999
        evidence.append(Evidence(task.name, (1 if inside and narrow else -1 if not inside else 0) if learned else 0))
        at = " (at the edge of the doses)" * (best in {MODULI[0], MODULI[-1]})
        words.append(f"{task.name}: optimum {with_interval(best, interval)}{at}")
        rows += _rows(task, found[task.name], range(len(MODULI)))
    verdict, condition = follows(evidence)
    return Claim(
        "dose",
        "The modulus as a dose: linear networks, then tanh",
        "All eigenvalues get the modulus 0.95; next to check: moduli of .8, .95, 1.0, 1.1, in linear networks first "
        "and then in nonlinear ones.",
        f"h ← φ(V h + ReLU(U x + b)), V trained, {CELLS['linear'].units} units, {CELLS['linear'].steps} steps of "
        f"{BATCH}, {SEEDS} seeds, each modulus at its best rate of another seed; optimum of a parabola in log m "
        f"through the mean losses, 95 % bootstrap over seeds: {'; '.join(words)}. As the source says where the "
        f"interval holds {SOURCE:g} and is narrower than the doses, the contrary where it does not hold it.",
        verdict,
        rows,
        {"Loss against the modulus: every seed, and the mean; dotted: baseline, dashed: .95.": partial(_figure, found)},
        condition=condition,
    )


def structure(found: Mapping[str, Mapping[str, np.ndarray]], /) -> Claim:
    """Judge rotations of all neighbouring planes against other transitions of one modulus, and against Xavier."""
    labels, rows = list(LAWS), list[dict[str, Any]]()
    reference = f"{ROTATIONS}, {SOURCE:g}"
    rivals = [Rivals(task, worse=label, better=reference) for task in CELLS.values() for label in OTHERS]
    for task in CELLS.values():
        rows += _rows(task, found[task.name], [labels.index(reference), *range(len(MODULI), len(labels))])
    verdict, condition = follows(evidence_of(found, labels, rivals, family=len(OTHERS)), margin=MARGIN)
    diversity = "; ".join(
        f"{row['cell']}, {row['transition']} {row['effective dimension before training']}" for row in rows
    )
    return Claim(
        "rotations",
        "Rotations against Haar, identity, blocks, and eigenvectors that are kept",
        "Next to check: is a chain of rotations better than a random orthogonal weight of the same modulus, and are "
        "the hidden states more diverse with it? Both readings of the eigendecomposition are tried: rotations, and the "
        "eigenvectors of a Gaussian weight with other moduli.",
        f"The same networks, |λ| = {SOURCE:g} (Xavier as it is); effective dimension of the last states before "
        f"training, median: {diversity}.",
        verdict,
        rows,
        condition=condition,
    )


def _rows(task: Memory, arrays: Mapping[str, np.ndarray], chosen: Sequence[int] | range) -> list[dict[str, Any]]:
    labels = list(LAWS)
    return [
        {
            "cell": task.activation,
            "transition": labels[k],
            "loss, median [95 %]": with_interval(
                float(np.median(arrays["scores"][k])), median_interval(arrays["scores"][k].tolist(), CONFIDENCE)
            ),
            "baseline": task.baseline,
            "rate": number(float(arrays["rates"][k])) + " (edge)" * bool(arrays["edge"][k]),
            "effective dimension before training": f"{np.median(arrays['dimensions'][k]):.1f}",
        }
        for k in chosen
    ]


def _figure(found: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    for ax, task in zip(figure.subplots(1, 2, sharey=True), CELLS.values(), strict=True):
        scores = np.minimum(found[task.name]["scores"][: len(MODULI)], 2 * task.baseline)
        ax.plot(MODULI, scores, "o", ms=3, color=CYCLE[0], alpha=0.5)
        ax.plot(MODULI, scores.mean(1), "-", color=CYCLE[1], lw=2)
        ax.axhline(task.baseline, color=COLORS["grey"], ls=":", lw=0.9)
        ax.axvline(SOURCE, color=COLORS["grey"], ls="--", lw=0.9)
        ax.set(title=task.activation, xlabel="modulus", ylim=(0, None))
    figure.axes[0].set_ylabel("cross entropy, nats an answer")
    return figure
