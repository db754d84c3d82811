"""What follows for a claim from several comparisons of which some are significant: one rule for every text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from unitcircle.experiments.comparison import Interval, holm
from unitcircle_reproduction._claim import Verdict

CONFIDENCE = 0.95


class Evidence(NamedTuple):
    """One comparison: its name, and 1 if it is as the text says, −1 if the contrary, 0 if not told apart."""

    name: str
    sign: int
    equivalent: bool = False  # Not told apart, and shown to differ by less than the margin
    needed: float = math.nan  # Pairs that would tell; NaN where no margin was declared


def significant(signs: Sequence[int], p_values: Sequence[float], /) -> list[int]:
    """Return the signs of the significant comparisons, 0 for the others: Holm over all comparisons of a claim."""
    return [sign if p < 1 - CONFIDENCE else 0 for sign, p in zip(signs, holm(p_values), strict=True)]


def follows(evidence: Sequence[Evidence], /, *, margin: str = "") -> tuple[Verdict, str]:
    """Return what follows from all comparisons of a claim, each counted once, and its condition."""
    # Equivalence needs no correction for their number: of the whole it is only said where each shows it by itself.
    if not evidence:
        return Verdict.TOO_FEW, "there are no runs"
    names = {standing: [each.name for each in evidence if _standing(each) == standing] for standing in _WORDS}
    so, contrary, equal, open_ = names.values()
    if len(so) == len(evidence):
        return Verdict.HOLDS, ""
    if len(equal) == len(evidence):
        return Verdict.NO_DIFFERENCE, margin
    needed = _needed([each for each in evidence if _standing(each) == "not told apart"])
    if len(open_) == len(evidence):
        return Verdict.TOO_FEW, f"these runs do not tell them apart{needed}"
    parts = [
        f"{standing} in {len(group)} ({'; '.join(group)}){needed if standing == 'not told apart' else ''}"
        for standing, group in names.items()
        if group
    ]
    verdict = Verdict.CONDITIONALLY if so else Verdict.FAILS if contrary else Verdict.TOO_FEW
    return verdict, f"of {len(evidence)} comparisons, {'; '.join(parts)}"


_WORDS = ("so", "the contrary", "no practical difference", "not told apart")


def _standing(each: Evidence) -> str:
    return {1: "so", -1: "the contrary"}.get(each.sign, _WORDS[2 if each.equivalent else 3])


def _needed(evidence: Sequence[Evidence]) -> str:
    """Return how many pairs would tell those apart that are open, in words; nothing where no margin was declared."""
    counts = [each.needed for each in evidence if not math.isnan(each.needed)]
    if not counts:
        return ""
    if (most := max(counts)) == math.inf:
        return "; how many would be enough, their spread does not tell"
    return f"; about {most:.0f} pairs of runs would be enough"


def number(value: float, /) -> str:
    """Return a number in three digits."""
    return "∞" if value == math.inf else f"{value:.3g}"


def with_interval(value: float, interval: Interval, /) -> str:
    """Return a number with its interval, nothing for NaN."""
    return "" if math.isnan(value) else f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"
