"""Rule UC303, orthogonality-lost."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis import Finding, Severity
from unitcircle.monitor._history import History
from unitcircle.monitor.rules._registry import rule

ORTHOGONAL = 0.1
"""Deviation ‖WᵀW − I‖_F/√n up to which a weight counts as orthogonal at the start ..."""
LOST = 0.5
"""... and from which it no longer does."""


@rule("UC303", "orthogonality-lost")
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
