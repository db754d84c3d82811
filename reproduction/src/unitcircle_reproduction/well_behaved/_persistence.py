"""Whether orthogonal weights stay near orthogonal in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.well_behaved import _figures as figures
from unitcircle_reproduction.well_behaved._perturbation import interval, why
from unitcircle_reproduction.well_behaved._training import Regimen, WeightCourse, train_recurrent, trained_stack

NEAR = 0.1
"""We call a weight near orthogonal if ‖WᵀW − I‖_F/√n is below this: a tenth of a Gaussian weight's."""
LEARNED = 0.85
"""A network has learned the digits if it names this share of the test data."""


def training_claims(context: Context, /) -> Iterator[Claim]:
    """Train stacks and recurrent networks from orthogonal weights, and measure the claims on them."""
    runs, steps = context.pick((3, 300), (10, 5000))
    trained = [
        trained_stack(context, Regimen("stack", 64, optimizer, rate, steps), runs)
        for optimizer, rates in (("sgd", (0.01, 0.03, 0.1, 0.3)), ("adam", (1e-4, 3e-4, 1e-3, 3e-3)))
        for rate in rates
    ]
    trained += [
        trained_stack(context, Regimen("stack", width, optimizer, rate, steps), runs)
        for optimizer, rate, widths in (
            ("sgd", 0.03, (128, 256, 512)),
            ("adam", 3e-4, context.pick((128, 256), (128, 256, 512))),
        )
        for width in widths
    ]
    recurrent = [train_recurrent(context, setting, runs) for setting in _recurrent_settings(context)]
    yield _persistence(_measurable(trained), _divergence_note(trained))
    yield _recurrent(_measurable(recurrent), _divergence_note(recurrent))
    widths = context.pick((32, 64, 128), (32, 64, 128, 256, 512))
    swept = {
        optimizer: [trained_stack(context, Regimen("stack", n, optimizer, rate, 100), runs) for n in widths]
        for optimizer, rate in (("sgd", 0.03), ("adam", 1e-4))
    }
    yield why(_measurable(trained), _measurable(recurrent), swept)


def _recurrent_settings(context: Context) -> list[Regimen]:
    steps = context.pick(400, 3000)
    settings = [Regimen("rnn", 64, "adam", rate, steps) for rate in (1e-4, 3e-4, 1e-3, 3e-3)]
    settings += [Regimen("rnn", 64, "sgd", 0.1, steps)]
    settings += [Regimen("rnn", width, "adam", 1e-3, steps) for width in context.pick((32, 128), (32, 128, 256))]
    return [*settings, Regimen("rnn", 64, "adam", 1e-3, context.pick(300, 3000), "delayed_digits")]


def _measurable(results: Sequence[WeightCourse]) -> list[WeightCourse]:
    """Return the results with at least two runs, which an interval needs."""
    return [result for result in results if len(result.accuracy) > 1]


def _divergence_note(results: Sequence[WeightCourse]) -> str:
    lost = [f"{result.diverged} of {result.setting}" for result in results if result.diverged]
    return f" Diverged and left out: {'; '.join(lost)}." if lost else ""


def _row(trained: WeightCourse) -> dict[str, Any]:
    """Return the end of a training as a row: means over layers and runs, the interval over runs."""
    moved = trained.moved
    deviation = moved.deviation[-1].mean(-1)
    return {
        "trained": str(trained.setting),
        "steps": trained.setting.steps,
        "accuracy": float(trained.accuracy.mean()),
        "‖ΔW‖/‖W‖": float(moved.drift[-1].mean()),
        "tangent share τ": float(moved.tangent_share[-1].mean()),
        "‖WᵀW − I‖/√n": float(deviation.mean()),
        "95 %": "{:.3f} to {:.3f}".format(*interval(deviation)),
        "2√(1−τ)·drift": float(moved.first_order[-1].mean()),
    }


def persistence_verdict(rows: Sequence[dict[str, Any]], /) -> tuple[Verdict, str]:
    """Judge a tendency by every setting that learned: all of them near orthogonal, at least half, or fewer."""
    # One setting more in which a weight happens to stay near decides nothing.
    learned = [row for row in rows if row["accuracy"] >= LEARNED]
    near = [row["trained"] for row in learned if row["‖WᵀW − I‖/√n"] < NEAR]
    if not learned:
        return Verdict.TOO_FEW, "no setting learned the task in the steps taken"
    if len(near) == len(learned):
        return Verdict.HOLDS, ""
    condition = f"near in {len(near)} of the {len(learned)} settings that learned" + (
        f": {'; '.join(near)}" if near else ""
    )
    return (Verdict.CONDITIONALLY if 2 * len(near) >= len(learned) else Verdict.FAILS), condition


def _learning(rows: Sequence[dict[str, Any]]) -> str:
    learned = [row for row in rows if row["accuracy"] >= LEARNED]
    near = [row for row in rows if row["‖WᵀW − I‖/√n"] < NEAR]
    if not learned:
        return f"None of {len(rows)} settings learned the digits ({LEARNED:.0%} of the test data)."
    deviation = [row["‖WᵀW − I‖/√n"] for row in learned]
    words = ", ".join(f"{row['trained']} ({row['accuracy']:.0%})" for row in near) or "none"
    return (
        f"Of {len(rows)} settings {len(learned)} learned the digits ({LEARNED:.0%} of the test data); there ‖WᵀW − "
        f"I‖/√n ends between {min(deviation):.2f} and {max(deviation):.2f}, where a Gaussian weight has 1. Near "
        f"orthogonal (below {NEAR:g}) at the end: {words}."
    )


def _persistence(trained: Sequence[WeightCourse], diverged: str) -> Claim:
    rows = [_row(result) for result in trained]
    early = [float(result.moved.deviation[result.steps <= 10][-1].mean()) for result in trained]
    widths = sorted({result.setting.width for result in trained})
    verdict, condition = persistence_verdict(rows)
    return Claim(
        "persistence",
        "Weights stay near orthogonal while training",
        "Weights initialized orthogonally tend to remain nearly orthogonal after training (seen on generated data and "
        "few steps); gradient descent changes them gently, without breaking the structure. Why?",
        f"Eight square ReLU layers of {widths[0]} to {widths[-1]} units on digits, {len(trained[0].accuracy)} networks "
        f"a setting. After 10 steps ‖WᵀW − I‖/√n is {min(early):.4f} to {max(early):.2f}. {_learning(rows)} What looks "
        f"like persistence is little movement: a small rate, few steps, or a wide layer that needs little.{diverged}",
        verdict,
        condition=condition,
        table=rows,
        figures={
            "Distance from the orthogonal matrices during training (mean over networks and layers; bands: all "
            "networks). Dashed: a Gaussian weight; dotted: what we call near.": partial(figures.training, trained)
        },
        data={"rows": rows},
    )


def _recurrent(trained: Sequence[WeightCourse], diverged: str) -> Claim:
    rows = [_row(result) for result in trained]
    verdict, condition = persistence_verdict(rows)
    return Claim(
        "recurrent",
        "Recurrent weights stay near orthogonal while training",
        "The same of a weight that is used at every step (the post has feed-forward layers in mind).",
        f"tanh networks that read digits pixel by pixel, {len(trained[0].accuracy)} a setting. "
        f"{_learning(rows)}{diverged}",
        verdict,
        condition=condition,
        table=rows,
        figures={
            "Recurrent networks: distance from the orthogonal matrices during training (mean; bands: all networks). "
            "Dashed: a Gaussian weight; dotted: what we call near.": partial(figures.recurrent, trained)
        },
        data={"rows": rows},
    )
