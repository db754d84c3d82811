"""Rules over the measurements of a run: findings UC3xx, which fire while training goes on."""

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
"""Share of its first value below which a gradient counts as gone."""
GONE = 1e-6
"""Factor over the batch's length below which a gradient no longer arrives."""
CONFIRMED = 3
"""Measurements in a row that it takes."""
LEARNED = 0.5
"""Share of its first value below which the loss has fallen: small gradients are then what one hopes for."""
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
"""... if it is so many times the highest peak of the measurements before: losses of small batches always scatter."""
LOOK_BACK = 10
TRANSIENT = math.log(2.0)
"""Transient growth (nats) that can make a spike."""

RULES: dict[str, Rule[History]] = {}
"""The rules by code."""


@rule_of(RULES, "UC301", "gradient-died")
def gradient_died(history: History) -> Iterator[Finding]:
    """The gradient of a weight has fallen to nothing while the loss has not.

    ## What was found
    Either the norm of ∂L/∂W has been below 1/10,000 of its first measured value for three measurements in a row, while
    the loss is still above half of its first value (a gradient that shrinks with the loss is success, and is not
    reported). It is a note where the monitor is given no loss, or one that began below zero and so has no floor to be
    near: the gradient alone does not tell success from failure.

    Or, where a batch is given to the monitor, the gradient that reached the start of the sequence when training began,
    with at least 1/1000 of its norm, now arrives there with less than 1/1,000,000.

    ## Why it matters
    From the step named on the weight has hardly changed: what a recurrent network does over time is what it did then.
    Units that saturate, a gate that closes, a ReLU layer whose units are all off, an earlier step that was too long all
    look like this.

    ## Remedy
    Go back to a checkpoint before that step; clip the gradient's norm or lower the learning rate. Run
    `unitcircle.diagnose(model, batch)` on the checkpoint after it: UC201, UC203 and UC207 say where the gradient ends.
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
            f"the gradient died: ‖∂L/∂W‖ is {gradient.now:.2g} since step {since}, it was {gradient.first:.2g}",
            "the weight does not learn any more" + (", although the loss is not low" if judged else ""),
            ("" if judged else "nothing, if the loss is low (monitor.step(loss=loss) lets this be judged); else ")
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
                f"the gradient no longer reaches the start of the batch: since step {since} it changes by "
                f"10^{reach.now / math.log(10):.1f} on the way, at first by 10^{reach.first / math.log(10):.1f}",
                "what is early in the sequence is not learned any more",
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
    In a plain cell the linear part of a step multiplies the state by ρ: saturation is all that bounds it, and saturated
    units pass no gradient. It is a note where that does no visible harm: while the loss falls or is below half of its
    first value (plain tanh networks that learn to remember often end at ρ of 2 or 3), and in a gated cell, where ρ of a
    gate block says little by itself.

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
    """A weight that was orthogonal when training began is not any more.

    ## What was found
    ‖WᵀW − I‖_F/√n was below 0.1 at the first measurement and is above 0.5. With the tangent share
    τ = ‖skew(Qᵀ(W − W₀))‖²/‖W − W₀‖², Q the polar factor of W₀, to first order it is 2 √(1 − τ) times the drift
    ‖W − W₀‖/‖W₀‖: a weight stays orthogonal as long as it moves little, or moves along the orthogonal group. Nothing in
    gradient descent keeps it there: isotropic updates have τ near 1/2, and in our runs accumulated movement had .2 to
    .45.

    ## Why it matters
    The isometry the initializer gave is gone: singular values now spread, and norms over time with them. That is usual,
    and no defect by itself: trained networks that work well deviate by about 1, as Gaussian weights do.

    ## Remedy
    None is needed if the loss falls. To keep it: a smaller learning rate for the weight, a penalty on ‖WᵀW − I‖², or a
    parametrization; in PyTorch `unitcircle.torch.soft_orthogonality` and `unitcircle.torch.parametrize_orthogonal`.
    """
    for name, place, _ in history.blocks():
        deviation = history.series(f"{name}/orthogonality")
        if not (deviation.first <= ORTHOGONAL and deviation.now >= LOST):
            continue
        drift, tangent = history.latest.get(f"{name}/drift"), history.latest.get(f"{name}/tangent")
        moved = "" if drift is None or tangent is None else f"; it moved by {drift:.2g}, {tangent:.0%} of it tangent"
        yield Finding(
            Severity.NOTE,
            place,
            f"orthogonality is lost: ‖WᵀW − I‖/√n is {deviation.now:.2g}, it was {deviation.first:.1g}{moved}",
            "singular values spread, and with them the norms of signals and gradients",
            "nothing, if the loss falls; else a smaller learning rate, or a penalty on ‖WᵀW − I‖² (in PyTorch "
            "unitcircle.torch.parametrize_orthogonal keeps it exactly)",
            {"orthogonality": deviation.now, "first": deviation.first, "drift": drift, "tangent": tangent},
        )


@rule_of(RULES, "UC304", "spike-after-transient-growth")
def spike_after_transient_growth(history: History) -> Iterator[Finding]:
    """The loss spiked, and before it the transient growth of a recurrent weight had risen.

    ## What was found
    The largest loss since the last measurement is more than three times the median of those before, and half as much
    again as the largest of them. In the measurement before it, ‖Wᵗ v‖ of a weight rose more than twofold above what its
    eigenvalues give, and by a quarter more than in the measurements before.

    ## Why it matters
    A non-normal weight amplifies for a while what it will forget in the end: the spectral radius does not show it, the
    gradient over a sequence does, and one step is then much too long. The order of events is measured, the cause is not
    proved; in a gated cell, where powers of one gate block are no dynamics, it is a note.

    ## Remedy
    Clip the gradient's norm; lower the learning rate of the recurrent weight; go back to the checkpoint before the
    growth began.
    """
    peak = history.series("loss_peak")
    # The losses at the measurements: what is usual, for peaks depend on how many steps lie between.
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
                f"the loss spiked to {peak.now:.3g} (usual: {float(np.median(usual)):.3g}) between steps "
                f"{int(growth.steps[-2])} and {history.step}, after the transient growth of W had risen from "
                f"×{math.exp(float(np.min(before))):.2g} to ×{math.exp(preceding):.2g}",
                "a non-normal weight amplifies for a while what it forgets in the end, and one step is then too long",
                "clip the gradient's norm, or lower the learning rate of the recurrent weight",
                {"loss_peak": peak.now, "usual": float(np.median(usual)), "transient": preceding},
            )


@rule_of(RULES, "UC305", "not-finite")
def not_finite(history: History) -> Iterator[Finding]:
    """A watched weight, its gradient or the loss is NaN or infinite.

    ## What was found
    The weight holds a NaN or an infinity; or the loss does; or the gradient does at two measurements in a row. (One
    gradient that overflows is usual under mixed precision: the scaler then skips the step.)

    ## Why it matters
    A NaN in a weight never goes away: every later step is lost.

    ## Remedy
    Go back to the last checkpoint with finite weights; clip the gradient's norm; look for a step of the data that is
    not finite; `torch.autograd.set_detect_anomaly(True)` or `jax.config.update("jax_debug_nans", True)` names the
    operation.
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
        yield Finding(Severity.ERROR, place, message, "every later step is lost", remedy, evidence)
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
    """Whether a number has risen by more than a share of its size: for a negative loss, multiples say the reverse."""
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
