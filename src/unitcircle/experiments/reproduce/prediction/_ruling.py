"""The rules of the verdicts: written before the study they judge was run."""

from __future__ import annotations

__all__ = ["LEVEL", "ruling"]

from collections.abc import Iterable

from unitcircle.experiments.reproduce._claim import Verdict
from unitcircle.experiments.reproduce.prediction._correlation import STRONG

LEVEL = 0.05
"""Of the p-values, corrected for whatever was chosen among."""


def ruling(p: float, ends: Iterable[tuple[float, float]], /) -> Verdict:
    """Judge whether a diagnosis says something about training.

    ==============  ==========================  =======================================
    verdict         better than chance          size
    ==============  ==========================  =======================================
    HOLDS           p at most .05               an interval lies beyond 0.7: prediction
    CONDITIONALLY   p at most .05               none does: screening
    FAILS           p above .05                 every interval excludes 0.7
    UNDECIDED       p above .05, or no p        some interval includes it, or none is there
    ==============  ==========================  =======================================

    Chance is what the permutation of families gives, with every choice made anew; the intervals are those of the
    bootstrap over families. Both signs count alike where a sign was not learned elsewhere.

    Parameters
    ----------
    p
        Corrected for the choice; NaN for none.
    ends
        Intervals of all correlations that were chosen among, which hold together.

    Returns
    -------
    Verdict
        One of the four.
    """
    known = [(low, high) for low, high in ends if low == low]  # noqa: PLR0124  (NaN)
    if p <= LEVEL:
        strong = any(low >= STRONG or high <= -STRONG for low, high in known)
        return Verdict.HOLDS if strong else Verdict.CONDITIONALLY
    if p > LEVEL and known and all(low > -STRONG and high < STRONG for low, high in known):
        return Verdict.FAILS
    return Verdict.UNDECIDED
