"""The rule of the verdicts, written before the study that it judges was run, and its words."""

from __future__ import annotations

from collections.abc import Iterable

from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._correlation import STRONG

BET = "The product's own bet: what is measured on an untrained network says how well it will train."
FEWEST_KINDS = 3
"""Kinds of task below which nothing is inferred for others."""
LEVEL = 0.05
"""Level of the p-values, which are corrected for the choice among diagnostics."""


def ruling(p: float, ends: Iterable[tuple[float, float]], /) -> Verdict:
    """Judge whether a diagnosis says something about training."""
    # ==============  ==========================  =======================================
    # verdict         better than chance          size
    # ==============  ==========================  =======================================
    # HOLDS           p at most .05               an interval lies beyond 0.7: prediction
    # CONDITIONALLY   p at most .05               none does: screening
    # FAILS           p above .05                 every interval excludes 0.7
    # TOO_FEW         p above .05, or no p        some interval includes it, or there is none
    # ==============  ==========================  =======================================
    #
    # Chance is what the permutation of families gives, with every choice made anew; the intervals are those of
    # the bootstrap over families. Both signs count alike where a sign was not learned elsewhere.
    known = [(low, high) for low, high in ends if low == low]  # noqa: PLR0124  (NaN)
    if p <= LEVEL:
        strong = any(low >= STRONG or high <= -STRONG for low, high in known)
        return Verdict.HOLDS if strong else Verdict.CONDITIONALLY
    if p > LEVEL and known and all(low > -STRONG and high < STRONG for low, high in known):
        return Verdict.FAILS
    return Verdict.TOO_FEW


def reason(verdict: Verdict, /) -> str:
    """Return the condition of a verdict, or why nothing is decided."""
    if verdict is Verdict.CONDITIONALLY:
        return "as screening, never as prediction: initializers are sorted better than by chance, one is not foretold"
    if verdict is Verdict.TOO_FEW:
        return "it is not better than chance by these runs, and an interval does not exclude prediction"
    return ""


def too_few(name: str, title: str, /) -> Claim:
    """Return a claim where there are not enough kinds of task."""
    return Claim(
        name,
        title,
        BET,
        "The records hold fewer than three kinds of task in which eight initializers of five families were "
        "compared and came out differently.",
        Verdict.TOO_FEW,
        condition="too few tasks are there; unitcircle study run prediction, then --records with its folder",
    )


def p_text(p: float, /) -> str:
    """Return a p-value as it is written in a sentence."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")
