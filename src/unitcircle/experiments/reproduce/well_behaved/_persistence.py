"""Whether orthogonal weights stay near orthogonal in training, and why."""

from __future__ import annotations

__all__ = ["persistence_verdict", "training_claims"]

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.experiments.reproduce._claim import Claim, Verdict
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.well_behaved import _figures as figures
from unitcircle.experiments.reproduce.well_behaved._training import Setting, Trained, train_recurrent, trained_stack

NEAR = 0.1
"""We call a weight near orthogonal if ‖WᵀW − I‖_F/√n is below this: a tenth of a Gaussian weight's."""
LEARNED = 0.85
"""A network has learned the digits if it names this share of the test data."""


def training_claims(context: Context, /) -> Iterator[Claim]:
    """Train stacks and recurrent networks from orthogonal weights, and measure the claims on them.

    Parameters
    ----------
    context
        What may be spent.

    Yields
    ------
    Claim
        Whether they stay, in stacks and in recurrent networks, and why.
    """
    runs, steps = context.pick((3, 300), (10, 5000))
    trained = [
        trained_stack(context, Setting("stack", 64, optimizer, rate, steps), runs)
        for optimizer, rates in (("sgd", (0.01, 0.03, 0.1, 0.3)), ("adam", (1e-4, 3e-4, 1e-3, 3e-3)))
        for rate in rates
    ]
    trained += [
        trained_stack(context, Setting("stack", width, optimizer, rate, steps), runs)
        for optimizer, rate, widths in (
            ("sgd", 0.03, (128, 256, 512)),
            ("adam", 3e-4, context.pick((128, 256), (128, 256, 512))),
        )
        for width in widths
    ]
    recurrent = [train_recurrent(context, setting, runs) for setting in _recurrent_settings(context)]
    yield _persistence(_trained(trained), _diverged(trained))
    yield _recurrent(_trained(recurrent), _diverged(recurrent))
    widths = context.pick((32, 64, 128), (32, 64, 128, 256, 512))
    swept = {
        optimizer: [trained_stack(context, Setting("stack", n, optimizer, rate, 100), runs) for n in widths]
        for optimizer, rate in (("sgd", 0.03), ("adam", 1e-4))
    }
    yield _why(_trained(trained), _trained(recurrent), swept)


def _recurrent_settings(context: Context) -> list[Setting]:
    steps = context.pick(400, 3000)
    settings = [Setting("rnn", 64, "adam", rate, steps) for rate in (1e-4, 3e-4, 1e-3, 3e-3)]
    settings += [Setting("rnn", 64, "sgd", 0.1, steps)]
    settings += [Setting("rnn", width, "adam", 1e-3, steps) for width in context.pick((32, 128), (32, 128, 256))]
    return [*settings, Setting("rnn", 64, "adam", 1e-3, context.pick(300, 3000), "delayed_digits")]


def _trained(results: Sequence[Trained]) -> list[Trained]:
    """Return those of which two runs are left to make an interval of."""
    return [result for result in results if len(result.accuracy) > 1]


def _diverged(results: Sequence[Trained]) -> str:
    lost = [f"{result.diverged} of {result.setting}" for result in results if result.diverged]
    return f" Diverged and left out: {'; '.join(lost)}." if lost else ""


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(low), float(high)


def _row(trained: Trained) -> dict[str, Any]:
    """Return the end of a training as a row: means over layers and runs, the interval over runs."""
    moved = trained.moved
    each = moved.deviation[-1].mean(-1)
    return {
        "trained": str(trained.setting),
        "steps": trained.setting.steps,
        "accuracy": float(trained.accuracy.mean()),
        "‖ΔW‖/‖W‖": float(moved.drift[-1].mean()),
        "tangent share τ": float(moved.tangent_share[-1].mean()),
        "‖WᵀW − I‖/√n": float(each.mean()),
        "95 %": "{:.3f} to {:.3f}".format(*_interval(each)),
        "2√(1−τ)·drift": float(moved.first_order[-1].mean()),
    }


def persistence_verdict(rows: Sequence[dict[str, Any]], /) -> tuple[Verdict, str]:
    """Judge a tendency by every setting that learned: all of them near orthogonal, at least half, or fewer.

    One setting more in which a weight happens to stay near decides nothing.

    Parameters
    ----------
    rows
        Of all settings.

    Returns
    -------
    tuple
        The verdict and its condition.
    """
    learned = [row for row in rows if row["accuracy"] >= LEARNED]
    near = [row["trained"] for row in learned if row["‖WᵀW − I‖/√n"] < NEAR]
    if not learned:
        return Verdict.UNDECIDED, "no setting learned the task in the steps taken"
    if len(near) == len(learned):
        return Verdict.HOLDS, ""
    said = f"near in {len(near)} of the {len(learned)} settings that learned" + (f": {'; '.join(near)}" if near else "")
    return (Verdict.CONDITIONALLY if 2 * len(near) >= len(learned) else Verdict.FAILS), said


def _learned(rows: Sequence[dict[str, Any]]) -> str:
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


def _persistence(trained: Sequence[Trained], diverged: str) -> Claim:
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
        f"a setting. After 10 steps ‖WᵀW − I‖/√n is {min(early):.4f} to {max(early):.2f}. {_learned(rows)} What looks "
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


def _recurrent(trained: Sequence[Trained], diverged: str) -> Claim:
    rows = [_row(result) for result in trained]
    verdict, condition = persistence_verdict(rows)
    return Claim(
        "recurrent",
        "Recurrent weights stay near orthogonal while training",
        "The same of a weight that is used at every step (the post has feed-forward layers in mind).",
        f"tanh networks that read digits pixel by pixel, {len(trained[0].accuracy)} a setting. "
        f"{_learned(rows)}{diverged}",
        verdict,
        condition=condition,
        table=rows,
        figures={
            "Recurrent networks: distance from the orthogonal matrices during training (mean; bands: all networks). "
            "Dashed: a Gaussian weight; dotted: what we call near.": partial(figures.recurrent, trained)
        },
        data={"rows": rows},
    )


def _across_widths(trained: Sequence[Trained], optimizer: str) -> list[Trained]:
    """Return the settings of the learning rate at which the most widths were trained."""
    of = [result for result in trained if result.setting.optimizer == optimizer]
    rates = [result.setting.learning_rate for result in of]
    return [result for result in of if result.setting.learning_rate == max(rates, key=rates.count)]


def _exponents(results: Sequence[Trained]) -> np.ndarray:
    """Return the exponent of the last drift in the width, run by run."""
    runs = min(len(result.accuracy) for result in results)
    logs = np.log([result.moved.drift[-1].mean(-1)[:runs] for result in results])
    return np.polyfit(np.log([result.setting.width for result in results]), logs, 1)[0]


def _words(exponents: dict[str, np.ndarray]) -> dict[str, str]:
    return {k: "{:+.2f} ({:+.2f} to {:+.2f})".format(v.mean(), *_interval(v)) for k, v in exponents.items()}


def _why(trained: Sequence[Trained], recurrent: Sequence[Trained], swept: dict[str, list[Trained]]) -> Claim:
    exponents = {optimizer: _exponents(results) for optimizer, results in swept.items()}
    final = {optimizer: _exponents(_across_widths(trained, optimizer)) for optimizer in swept}
    everything = [*trained, *recurrent]
    drift, measured, first = (
        np.concatenate([getattr(r.moved, name).ravel() for r in everything])
        for name in ("drift", "deviation", "first_order")
    )
    error = np.abs(first / measured - 1)
    far = np.quantile(drift, 0.9)
    small, large = error[(drift > 0) & (drift < 0.05)], error[drift >= far]
    gradient = trained[0].gradient_share[0].mean(-1)
    gradient_interval, expected = _interval(gradient), (1 - 1 / trained[0].setting.width) / 2
    ratio = measured[drift > 0] / drift[drift > 0]
    share = np.array([r.moved.tangent_share[-1].mean() for r in everything])
    text, end = _words(exponents), _words(final)
    return Claim(
        "why",
        "Why they stay, as far as they do",
        "Gradient descent only perturbs: WᵀW − I after t steps is of the order of the learning rate, so the structure "
        "remains; the optimization goes on within a manifold around the start.",
        "With W = Q + Δ and QᵀΔ = S + A (symmetric, skew), WᵀW − I = 2S + ΔᵀΔ exactly, so ‖WᵀW − I‖/√n is "
        f"2√(1−τ)·drift to first order, τ the share of Δ along A. Measured against this: {np.median(small):.1%} off "
        f"(median) below a drift of 0.05, {np.median(large):.0%} in the tenth that moved most (drift above {far:.2f}). "
        f"Nothing protects the structure: the first gradient's tangent share is {gradient.mean():.3f} (95 %: "
        f"{gradient_interval[0]:.3f} to {gradient_interval[1]:.3f}), that of no direction in particular ((n − 1)/2n = "
        f"{expected:.3f}), and the movement ends at {share.min():.2f} to {share.max():.2f}: training prefers to "
        f"stretch. The deviation is {ratio.min():.2f} to {ratio.max():.2f} times the drift. Step by step a wider layer "
        f"is no lazier: drift after 100 steps goes with width n to the power {text['sgd']} for SGD (first order says "
        f"0) and {text['adam']} for Adam (½). But it needs less movement: at the end of training the power is "
        f"{end['sgd']} for SGD and {end['adam']} for Adam.",
        Verdict.CONDITIONALLY if np.median(small) < 0.1 and share.max() < 0.9 else Verdict.FAILS,
        condition="while the sum of all steps is small beside the weight; then any property changes little, this one "
        "without preference",
        table=[
            {"drift": f"{low:g} to {high:g}", "measurements": int(inside.sum()),
             "median ‖WᵀW − I‖/√n": float(np.median(measured[inside])),
             "first order, median": float(np.median(first[inside])),
             "median error": f"{np.median(error[inside]):.1%}"}
            for low, high in ((0, 0.01), (0.01, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, np.inf))
            if (inside := (drift > low) & (drift <= high)).any()
        ],
        figures={
            "Left: distance from the orthogonal matrices against drift, every layer, run and recorded step; lines: "
            "first order for τ = 0, ½ and 0.9. Middle: tangent share of gradient and movement during training of the "
            "stack. Right: drift after 100 steps against width, mean and standard deviation; dotted: first "
            "order.": partial(figures.why, trained, recurrent, swept)
        },
        data={"exponents": {k: v.tolist() for k, v in exponents.items()},
            "final_exponents": {k: v.tolist() for k, v in final.items()}, "gradient_share": gradient.tolist()},
    )  # fmt: skip
