"""Rules over the measurements of a run: findings UC3xx, reported during training."""

# The docstring of a rule is the page of its code: it describes the finding, not the function.
# ruff: noqa: D401

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis import Finding, Place, Rule, Severity, rule_of
from unitcircle.monitor._history import History, Series
from unitcircle.monitor._weights import WeightRole

DEAD = 1e-4
"""Share of its first value below which a gradient counts as vanished."""
GONE = 1e-6
"""Factor over the length of the batch below which a gradient counts as vanished."""
CONFIRMED = 3
"""Measurements in a row that confirm it."""
LEARNED = 0.5
"""Share of its first value below which the loss is low: small gradients are then expected."""
RADIUS = 1.5
"""Spectral radius, and multiple of its first value, above which growth is reported."""
GROWN = 1.02
"""Growth over the measurements looked at that counts: twice the error of a warm-started ρ."""
ORTHOGONAL = 0.1
"""Deviation ‖WᵀW − I‖_F/√n up to which a weight counts as orthogonal at the start ..."""
LOST = 0.5
"""... and from which it no longer does."""
FALLING = 0.9
"""Share of the losses before below which the latest losses are falling."""
SPIKE = 3.0
"""Multiple of the median of the last losses that is a spike ..."""
HIGHER = 1.5
"""... if it is so many times the highest peak of the measurements before, because losses of small batches scatter."""
LOOK_BACK = 10
TRANSIENT = math.log(2.0)
"""Transient growth (nats) that can make a spike."""

RULES: dict[str, Rule[History]] = {}
"""The rules by code."""


@rule_of(RULES, "UC301", "gradient-died")
def gradient_died(history: History) -> Iterator[Finding]:
    """The gradient of a weight has vanished although the loss is not low.

    ## What was found
    Either the norm of ∂L/∂W has been below 1/10,000 of its first measured value for three measurements in a row, while
    the loss is still above half of its first value. (If the loss is lower, a small gradient is expected and is not
    reported.) The finding is a note if the monitor has no loss, or if the first loss was not positive, because it is
    then unknown whether the loss is low.

    Or, if the monitor has a batch: the norm of the gradient at the start of the sequence was at least 1/1000 of that at
    the end when training began, and is now less than 1/1,000,000 of it.

    ## Why it matters
    Since the reported step the weight has hardly changed, so the network no longer learns from its gradient. Possible
    causes are saturated units, a closed gate, a ReLU layer whose units are all inactive, or an earlier optimizer step
    that was too large.

    ## Remedy
    Go back to a checkpoint before that step; clip the gradient's norm or lower the learning rate. Run
    `unitcircle.diagnose(model, batch)` on a checkpoint after it: UC201, UC203 and UC207 show where the gradient
    vanishes.
    """
    loss = history.series("loss")
    learned, judged = _is_low(loss), loss.first > 0
    for name, place, _ in history.blocks():
        gradient = history.series(f"{name}/gradient")
        low = gradient.values <= DEAD * gradient.first
        run = _run_at_end(low)
        if run < CONFIRMED or gradient.first == 0 or learned:
            continue
        since = int(gradient.steps[-run])
        yield Finding(
            Severity.ERROR if judged else Severity.NOTE,
            place,
            f"the gradient has vanished since step {since}: ‖∂L/∂W‖ is {gradient.now:.2g}, at first "
            f"{gradient.first:.2g}",
            "the weight no longer learns" + (", although the loss is not low" if judged else ""),
            ("" if judged else "nothing, if the loss is low (pass it to monitor.step(loss=loss)); else ")
            + "go back to a checkpoint before that step, clip the gradient or lower the learning rate; then "
            "unitcircle.diagnose(model, batch)",
            {"since": since, "gradient": gradient.now, "first": gradient.first},
        )
    for name in [key for key in history.latest if key.endswith("/gradient_reach")]:
        reach = history.series(name)
        run = _run_at_end(reach.values < math.log(GONE))
        if run >= 2 and reach.first > math.log(1e-3):
            since = int(reach.steps[-run])
            layer = name.removesuffix("/gradient_reach")
            yield Finding(
                Severity.WARNING,
                Place(layer),
                f"the gradient no longer reaches the start of the sequence: since step {since} its norm changes by a "
                f"factor of 10^{reach.now / math.log(10):.1f} from end to start, at first by "
                f"10^{reach.first / math.log(10):.1f}",
                "dependencies on early inputs are no longer learned",
                "lower the learning rate, or start from initialize_ (unitcircle.torch, .keras or .jax) with a gain or "
                "a bias for this length; in PyTorch unitcircle.diagnose(model, batch, try_initializers=['remedies']) "
                "measures which",
                {"since": since, "change": reach.now, "first": reach.first},
            )


@rule_of(RULES, "UC302", "radius-grows")
def radius_grows(history: History) -> Iterator[Finding]:
    """The spectral radius of a recurrent weight has passed 1.5, and 1.5 times its first value, and is still growing.

    ## What was found
    ρ is above both thresholds, has not fallen at any of the last three measurements, and has grown by more than 2 %
    over them.

    ## Why it matters
    In a plain cell the linear part of a step multiplies the state by up to ρ. Only saturation bounds the state, and
    saturated units pass no gradient. The finding is a note while the loss falls or is below half of its first value
    (plain tanh networks that learn long dependencies often end with ρ of 2 or 3), and in a gated cell, where ρ of one
    gate block does not determine the dynamics.

    ## Remedy
    A smaller learning rate, clipping, weight decay on the recurrent weight, or a penalty on growth of the gradient in
    time, which in PyTorch is `unitcircle.torch.pascanu_omega`.
    """
    loss = history.series("loss")
    learns = _is_low(loss) or _falls(loss)
    for name, place, role in history.blocks():
        if role is WeightRole.SQUARE:
            continue
        radius = history.series(f"{name}/radius")
        last, threshold = radius.values[-CONFIRMED - 1 :], RADIUS * max(1.0, radius.first)
        if len(last) <= CONFIRMED or not radius.now > threshold:
            continue
        if (np.diff(last) >= 0).all() and last[-1] > GROWN * last[0]:
            passed = int(radius.steps[-_run_at_end(radius.values > threshold)])
            yield Finding(
                Severity.NOTE if role is WeightRole.GATE or learns else Severity.WARNING,
                place,
                f"the spectral radius passed {threshold:.3g} by step {passed} and is still "
                f"growing: {last[0]:.3g} → {radius.now:.3g} since step {int(radius.steps[-len(last)])}",
                "only saturation bounds the state of a plain cell with ρ > 1, and saturated units pass no gradient",
                "lower the learning rate, clip the gradient, decay the weight, or penalise growth of the gradient in "
                "time (in PyTorch unitcircle.torch.pascanu_omega)",
                {"radius": radius.now, "first": radius.first, "passed": passed, "latest": last.tolist()},
            )


@rule_of(RULES, "UC303", "orthogonality-lost")
def orthogonality_lost(history: History) -> Iterator[Finding]:
    """A weight that was orthogonal when training began is no longer orthogonal.

    ## What was found
    ‖WᵀW − I‖_F/√n was below 0.1 at the first measurement and is above 0.5. With the tangent share
    τ = ‖skew(Qᵀ(W − W₀))‖²/‖W − W₀‖², Q the polar factor of W₀, to first order it is 2 √(1 − τ) times the drift
    ‖W − W₀‖/‖W₀‖: a weight stays orthogonal as long as it changes little, or only along the orthogonal group. Gradient
    descent does not preserve orthogonality: isotropic updates have τ near 1/2, and in our runs the accumulated change
    had τ from .2 to .45.

    ## Why it matters
    The weight is no longer an isometry: its singular values spread, and with them norms over time. This is common and
    not a defect by itself: trained networks that work well deviate by about 1, as Gaussian weights do.

    ## Remedy
    None is needed if the loss falls. To keep it: a smaller learning rate for the weight, a penalty on ‖WᵀW − I‖², or a
    parametrization; in PyTorch `unitcircle.torch.soft_orthogonality` and `unitcircle.torch.parametrize_orthogonal`.
    """
    for name, place, _ in history.blocks():
        deviation = history.series(f"{name}/orthogonality")
        if not (deviation.first <= ORTHOGONAL and deviation.now >= LOST):
            continue
        drift, tangent = history.latest.get(f"{name}/drift"), history.latest.get(f"{name}/tangent")
        moved = "" if drift is None or tangent is None else f"; it changed by {drift:.2g}, {tangent:.0%} of it tangent"
        yield Finding(
            Severity.NOTE,
            place,
            f"orthogonality is lost: ‖WᵀW − I‖/√n is {deviation.now:.2g}, at first {deviation.first:.1g}{moved}",
            "singular values spread, and with them the norms of signals and gradients",
            "nothing, if the loss falls; else a smaller learning rate, or a penalty on ‖WᵀW − I‖² (in PyTorch "
            "unitcircle.torch.parametrize_orthogonal keeps it exactly)",
            {"orthogonality": deviation.now, "first": deviation.first, "drift": drift, "tangent": tangent},
        )


@rule_of(RULES, "UC304", "spike-after-transient-growth")
def spike_after_transient_growth(history: History) -> Iterator[Finding]:
    """The loss spiked, and before it the transient growth of a recurrent weight had risen.

    ## What was found
    The largest loss since the last measurement is more than three times the median of the losses before, and more than
    1.5 times the largest of them. At the measurement before, ‖Wᵗ v‖ of a weight rose to more than twice what its
    spectral radius gives, and to more than 1.25 times the smallest such factor of the measurements before.

    ## Why it matters
    A non-normal weight can amplify a signal for some steps before it decays. The spectral radius does not show this
    transient growth, but the gradient over a sequence contains it, and an optimizer step can then be much too large.
    The finding reports the order of events and does not prove the cause. In a gated cell, where the powers of one gate
    block are not the dynamics, it is a note.

    ## Remedy
    Clip the gradient's norm; lower the learning rate of the recurrent weight; go back to the checkpoint before the
    growth began.
    """
    peak = history.series("loss_peak")
    # The losses at the measurements, and not the peaks, which depend on how many steps lie between.
    usual = history.series("loss").values[-LOOK_BACK - 1 : -1]
    if len(usual) < CONFIRMED or not math.isfinite(peak.now):
        return
    earlier = peak.values[-LOOK_BACK - 1 : -1]
    earlier = earlier[np.isfinite(earlier)]
    if not _rose(float(np.median(usual)), peak.now, SPIKE - 1):
        return
    if len(earlier) and not _rose(float(earlier.max()), peak.now, HIGHER - 1):
        return
    for name, place, role in history.blocks():
        if role is WeightRole.SQUARE:
            continue
        growth = history.series(f"{name}/transient")
        if len(growth) < CONFIRMED + 1:
            continue
        preceding, before = float(growth.values[-2]), growth.values[-LOOK_BACK - 2 : -2]
        if preceding > TRANSIENT and preceding > float(np.min(before)) + math.log(1.25):
            yield Finding(
                Severity.NOTE if role is WeightRole.GATE else Severity.WARNING,
                place,
                f"the loss spiked to {peak.now:.3g} (median before: {float(np.median(usual)):.3g}) between steps "
                f"{int(growth.steps[-2])} and {history.step}, after the transient growth of W had risen from "
                f"×{math.exp(float(np.min(before))):.2g} to ×{math.exp(preceding):.2g}",
                "a non-normal weight can amplify the gradient for some steps, and an optimizer step is then too large",
                "clip the gradient's norm, or lower the learning rate of the recurrent weight",
                {"loss_peak": peak.now, "usual": float(np.median(usual)), "transient": preceding},
            )


@rule_of(RULES, "UC305", "not-finite")
def not_finite(history: History) -> Iterator[Finding]:
    """A watched weight, its gradient or the loss is NaN or infinite.

    ## What was found
    The weight or the loss contains a NaN or an infinity, or the gradient does at two measurements in a row. (A single
    gradient that overflows is normal under mixed precision: the scaler then skips the step.)

    ## Why it matters
    A weight that contains a NaN stays NaN, so all later steps are useless.

    ## Remedy
    Go back to the last checkpoint with finite weights; clip the gradient's norm; check the data for values that are not
    finite. `torch.autograd.set_detect_anomaly(True)` or `jax.config.update("jax_debug_nans", True)` reports the
    operation that produced the first NaN.
    """
    remedy = "go back to a checkpoint with finite weights, clip the gradient, and check the data for NaN"
    for name, place, _ in history.blocks():
        radius, gradient = history.series(f"{name}/radius"), history.series(f"{name}/gradient")
        norm = history.series(f"{name}/norm")
        if _infinite(radius, 1) or _infinite(norm, 1):
            what = "the weight is not finite"
        elif _infinite(gradient, 2):
            what = "the gradient is not finite at two measurements in a row"
        else:
            continue
        evidence = {"step": history.step}
        message = f"{what} at step {history.step}"
        yield Finding(Severity.ERROR, place, message, "all later steps are useless", remedy, evidence)
    loss = history.series("loss")
    if _infinite(loss, 1):
        yield Finding(
            Severity.ERROR,
            Place(),
            f"the loss is {loss.now} at step {history.step}",
            "its gradient is not finite either",
            remedy,
            {"step": history.step, "loss": loss.now},
        )


def _rose(before: float, now: float, by: float) -> bool:
    """Whether a number has risen by more than a share of its absolute value, so that a negative loss works too."""
    return now - before > by * abs(before)


def _fell(before: float, now: float, by: float) -> bool:
    return before - now > by * abs(before)


def _is_low(loss: Series) -> bool:
    return _fell(loss.first, loss.now, 1 - LEARNED)


def _falls(loss: Series) -> bool:
    """Whether the latest losses are lower than those before."""
    before, latest = loss.values[:-CONFIRMED], loss.values[-CONFIRMED:]
    return len(before) > 0 and _fell(float(np.median(before)), float(np.median(latest)), 1 - FALLING)


def _run_at_end(flags: np.ndarray) -> int:
    """Return how many flags in a row are set at the end."""
    clear = np.flatnonzero(~flags[::-1])
    return int(clear[0]) if clear.size else len(flags)


def _infinite(series: Series, count: int) -> bool:
    return len(series) >= count and not np.isfinite(series.values[-count:]).any()
