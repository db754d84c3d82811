"""What follows for a claim from several comparisons of which some are significant: one rule for every text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from unitcircle.experiments.comparison import Interval, holm
from unitcircle_reproduction._claim import Verdict

CONFIDENCE = 0.95


class Evidence(NamedTuple):
    """One comparison: its name, and 1 if it is as the text says, −1 if the contrary, 0 if undecided."""

    name: str
    sign: int


def significant(signs: Sequence[int], p_values: Sequence[float], /) -> list[int]:
    """Return the signs of the significant comparisons, 0 for the others: Holm over all comparisons of a claim."""
    return [sign if p < 1 - CONFIDENCE else 0 for sign, p in zip(signs, holm(p_values), strict=True)]


def follows(evidence: Sequence[Evidence], /) -> tuple[Verdict, str]:
    """Return what follows from all comparisons of a claim, each counted once, and its condition."""
    names = {sign: [name for name, other in evidence if other == sign] for sign in (1, -1, 0)}
    if not evidence:
        return Verdict.UNDECIDED, "there are no runs"
    if len(names[1]) == len(evidence):
        return Verdict.HOLDS, ""
    if len(names[0]) == len(evidence):
        return Verdict.UNDECIDED, "these runs do not tell them apart"
    words = {1: "so", -1: "the contrary", 0: "not told apart"}
    parts = [f"{words[sign]} in {len(group)} ({'; '.join(group)})" for sign, group in names.items() if group]
    verdict = Verdict.CONDITIONALLY if names[1] else Verdict.FAILS
    return verdict, f"of {len(evidence)} comparisons, {'; '.join(parts)}"


def number(value: float, /) -> str:
    """Return a number in three digits."""
    return "∞" if value == math.inf else f"{value:.3g}"


def with_interval(value: float, interval: Interval, /) -> str:
    """Return a number with its interval, nothing for NaN."""
    return "" if math.isnan(value) else f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"
