"""What training does to the eigenvalues, and where it sends the hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.initializers import Eigen
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen import _dynamics_figures as dynamics_figures
from unitcircle_reproduction.eigen import _trained_figures as figures
from unitcircle_reproduction.eigen._driven import N, drive
from unitcircle_reproduction.eigen._nets import TrainedNet
from unitcircle_reproduction.eigen._studies import EIGEN

AT_THE_SURFACE = 0.5
"""Share of saturated units from which we say that a state lies at the surface of the hypercube."""


def mean_and_half(values: Sequence[float], /) -> tuple[float, float]:
    """Return the mean and half of its 95 % t interval; NaN for one value."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    return float(np.mean(values)), float(stats.t.isf(0.025, len(values) - 1) * stats.sem(values))


def spectra(nets: Sequence[TrainedNet], /) -> Claim:
    """Compare the eigenvalue moduli of nets trained to answer with numbers and with classes."""
    rows: list[dict[str, Any]] = []
    for task in dict.fromkeys(net.task for net in nets):
        for label in dict.fromkeys(net.label for net in nets if net.task == task):
            group = [net for net in nets if (net.task, net.label) == (task, label)]
            radius, half = mean_and_half([float(net.end[0]) for net in group])
            beyond, beyond_half = mean_and_half([float((net.end > 1).mean()) for net in group])
            rows.append(
                {
                    "task": task,
                    "answers": "classes" if group[0].classes else "numbers",
                    "start": label,
                    "nets": len(group),
                    "solved": sum(net.solved for net in group),
                    "ρ before": float(np.mean([net.start[0] for net in group])),
                    "ρ after": radius,
                    "±": half,
                    "median |λ| after": float(np.mean([np.median(net.end) for net in group])),
                    "share of |λ| > 1": beyond,
                    "± of the share": beyond_half,
                }
            )
    shared = {EIGEN, "Xavier"}
    compared = [row for row in rows if row["start"] in shared]
    verdict, ranges = apart(compared)
    return Claim(
        "spectra",
        "Eigenvalues of trained networks: regression and classification",
        "In well-trained networks eigenvalues behave differently for regression and for classification tasks. "
        "(Abstract; in which way is not said there.)",
        f"tanh-RNNs, n = {len(nets[0].end)}, from the same two starts for every task ({' and '.join(sorted(shared))}); "
        f"well trained, in the sense that they solve their task, are {sum(row['solved'] for row in compared)} of "
        f"{sum(row['nets'] for row in compared)}. "
        f"{ranges} With so few tasks of either kind, task and kind of answer are confounded; and the share of "
        "eigenvalues beyond the circle depends on the start as well as on the task.",
        verdict,
        condition="the source does not say which way they differ; "
        + ("here the ranges of the two kinds overlap" if verdict is Verdict.TOO_FEW else "on these tasks only"),
        table=rows,
        figures={
            "Moduli of all eigenvalues, sorted, mean over nets and the range over them: before (dashed) and after "
            "(solid) training.": partial(figures.spectra, [net for net in nets if net.label in shared]),
            "Spectral radius after training, each net a dot; ○: start.": partial(
                figures.radii, [net for net in nets if net.label in shared]
            ),
        },
        data={"rows": rows},
    )


def apart(rows: Sequence[dict[str, Any]], /) -> tuple[Verdict, str]:
    """Return whether spectra tell the two kinds of tasks apart, and a sentence with the ranges."""
    # They are if every row of one kind lies beyond every row of the other, in radius or in the share beyond the
    # circle.
    separated, parts = False, []
    for name in ("ρ after", "share of |λ| > 1"):
        numbers, classes = ([row[name] for row in rows if row["answers"] == kind] for kind in ("numbers", "classes"))
        if not numbers or not classes:
            return Verdict.TOO_FEW, "One of the kinds has no trained net here."
        separated |= max(numbers) < min(classes) or max(classes) < min(numbers)
        parts.append(
            f"{name}: {min(numbers):.2f} to {max(numbers):.2f} (numbers), "
            f"{min(classes):.2f} to {max(classes):.2f} (classes)"
        )
    return Verdict.CONDITIONALLY if separated else Verdict.TOO_FEW, f"Means by task and start: {'; '.join(parts)}."


def surface(context: Context, nets: Sequence[TrainedNet], /) -> Claim:
    """Measure how close hidden states are to the surface of the hypercube, before and after training."""
    rows: list[dict[str, Any]] = [
        {"input scale": scale, "modulus": m, "distance": result.distance, "saturation": result.saturation}
        for scale in (0.1, 1.0)
        for m in (0.8, 0.95, 1.0, 1.1, 1.5, 2.0)
        for W in [Eigen(modulus=m, angles="uniform").sample(N, rng=context.draws)]
        for result in [drive(W, scale=scale, steps=context.pick(100, 1000), sequences=16, seed=context.draws)]
    ]
    after: list[dict[str, Any]] = [
        {
            "task": task,
            "answers": "classes" if group[0].classes else "numbers",
            "nets": len(group),
            "distance before": float(np.mean([net.distance[0] for net in group])),
            "distance after": float(np.mean([net.distance[1] for net in group])),
            "change": change,
            "±": half,
            "saturated before": float(np.mean([net.saturation[0] for net in group])),
            "saturated after": float(np.mean([net.saturation[1] for net in group])),
        }
        for task in dict.fromkeys(net.task for net in nets)
        for group in [[net for net in nets if net.task == task]]
        for change, half in [mean_and_half([net.distance[1] - net.distance[0] for net in group])]
    ]
    outward = [row["task"] for row in after if row["change"] > row["±"]]
    saturated = [row["task"] for row in after if row["saturated after"] > AT_THE_SURFACE]
    changes = "; ".join(
        f"{row['task']} {row['distance before']:.2f} → {row['distance after']:.2f} "
        f"(saturated units {row['saturated before']:.0%} → {row['saturated after']:.0%})"
        for row in after
    )
    verdict = on_surface(len(after), len(outward), len(saturated))
    is_conditional = verdict is Verdict.CONDITIONALLY
    drawn = [
        {"task": net.task, "distance at start": net.distance[0], "distance at end": net.distance[1]} for net in nets
    ]
    return Claim(
        "surface",
        "Hidden states at the surface of the hypercube",
        "The hidden states of a tanh-RNN move to the surface of the hypercube [−1, 1]ⁿ.",
        f"Distance from the origin ‖h‖/√n (1 in the corners) of the last state, before → after training: {changes}. Of "
        f"{len(after)} tasks, states move outward in {len(outward)} (95 % interval of the change above 0), and more "
        f"than half of the units are saturated (|h| ≥ .95) in {len(saturated)}. Untrained, the modulus decides the "
        "distance at weak inputs alone; strong ones push the state outward at every modulus.",
        verdict,
        condition="states move outward with training, but most units stay inside" if is_conditional else "",
        table=[*after],
        figures={
            "Left: untrained eigen weights under white noise. Right: the last state over validation data, each line a "
            "trained net.": partial(dynamics_figures.surface, rows, drawn)
        },
        data={"untrained": rows},
    )


def on_surface(tasks: int, outward: int, saturated: int, /) -> Verdict:
    """Judge from the number of tasks, of those where states move outward, and of those where most units saturate."""
    if saturated == tasks:
        return Verdict.HOLDS
    return Verdict.CONDITIONALLY if 2 * outward > tasks or saturated else Verdict.FAILS
